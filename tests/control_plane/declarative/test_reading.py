"""Every mistake of a file is told at once: where, what, and what would be right."""

import json

import pytest

from control_plane.declarative.nodes import Problem, RefusedPolicy
from control_plane.declarative.parsing import MOST_BYTES, TooLarge, load_json, read_objects, read_yaml
from control_plane.declarative.reading import PolicyFile, read_policy

PROVIDER = "kind: Provider\nmetadata: {name: main}\nspec: {vendor: anthropic}\n"


def read(text: str) -> PolicyFile:
    return read_policy(read_yaml(text.encode()))


def refused(text: str) -> tuple[Problem, ...]:
    with pytest.raises(RefusedPolicy) as failure:
        read(text)
    return failure.value.problems


def told(text: str) -> list[tuple[int, int, str, str]]:
    return [(each.document, each.place.line, each.field, each.sentence) for each in refused(text)]


def test_all_mistakes_of_all_documents_are_told_with_line_field_and_right_form() -> None:
    text = """\
kind: Provider
metadata: {name: Main}
spec:
  vendor: antropic
  modells: ["*"]
  connect_timeout_ms: "5000"
  first_byte_timeout_ms: 5
---
kind: VirtualModle
metadata: {name: x}
spec: {}
---
kind: ServiceAccount
metadata: {nam: ci}
spec: {description: [a]}
---
apiVersion: switchyard/v9
kind: Team
metadata: {name: core}
spec:
  tags: [a, b]
  lead: nobody
"""
    found = told(text)
    assert [(document, line, field) for document, line, field, _ in found] == [
        (1, 2, "metadata.name"),
        (1, 4, "spec.vendor"),
        (1, 5, "spec.modells"),
        (1, 6, "spec.connect_timeout_ms"),
        (1, 7, "spec.first_byte_timeout_ms"),
        (2, 9, "kind"),
        (3, 14, "metadata"),
        (3, 14, "metadata.nam"),
        (3, 15, "spec.team"),
        (3, 15, "spec.description"),
        (4, 17, "apiVersion"),
        (4, 21, "spec.tags"),
        (4, 22, "spec.lead"),
    ]
    sentences = {field or "": sentence for _, _, field, sentence in found}
    assert "Did you mean anthropic?" in sentences["spec.vendor"]
    assert "Did you mean models?" in sentences["spec.modells"]
    assert "a whole number from 100 to 600000 milliseconds, without quotes" in sentences["spec.connect_timeout_ms"]
    assert "Did you mean VirtualModel?" in sentences["kind"]
    assert "Did you mean name?" in sentences["metadata.nam"]
    assert "switchyard/v1" in sentences["apiVersion"]


def test_the_same_object_twice_names_the_first_one() -> None:
    (problem,) = refused(f"{PROVIDER}---\n{PROVIDER}")
    assert (problem.document, problem.place.line) == (2, 6)
    assert "first in document 1, line 1" in problem.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("kind: !!python/object:os.system x\n", 1, "Tags such as"),
        ("kind: !custom x\n", 1, "Tags such as"),
        ("kind: &a Team\nmetadata: {name: *a}\n", 1, "Anchors and aliases"),
        ("kind: Team\n<<: {a: b}\n", 2, "Merge keys"),
        ("kind: Team\nkind: User\n", 2, "stands here twice; first in line 1"),
        ("kind: Team\nmetadata:\n\tname: x\n", 3, "cannot be read as YAML"),
        ("kind: [Team\n", 2, "cannot be read as YAML"),
        ("? [a, b]\n: c\n", 1, "A name of a field must be text"),
        ("kind: Te\x07am\n", 1, "a character that YAML does not allow"),
        ("spec: " + "[" * 40 + "]" * 40, 1, "nested deeper"),
        ("spec: " + "[" * 10_000, 1, "nested deeper"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    problem = refused(text)[0]
    assert message in problem.message
    assert problem.place.line == line


def test_laughs_by_the_billion_are_refused_without_being_counted() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{name}: &{name} [{', '.join(['*' + before] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert all("Anchors" in problem.message for problem in refused("\n".join(lines)))


def test_a_file_of_fifty_megabytes_is_not_even_looked_at() -> None:
    with pytest.raises(TooLarge):
        read_yaml(b"x" * (MOST_BYTES + 1))


def test_bytes_that_are_no_text_are_told_by_line() -> None:
    with pytest.raises(RefusedPolicy) as failure:
        read_yaml(b"kind: Team\nname: \xff\n")
    assert failure.value.problems[0].place.line == 2


@pytest.mark.parametrize(
    "word", ["no", "on", "1e3", "0o17", "12:30", "~", "2024-01-31", "true", "0x1F", "1_000", ".inf"]
)
def test_words_stay_text_where_text_is_wanted(word: str) -> None:
    file = read(f"kind: Team\nmetadata: {{name: core}}\nspec:\n  cost_centre: {word}\n  tags: {{a: {word}}}\n")
    (wanted,) = file.wanted.values()
    assert wanted.spec["cost_centre"] == word
    assert wanted.spec["tags"] == {"a": word}


def test_a_field_with_nothing_behind_it_is_not_given() -> None:
    (wanted,) = read("kind: Team\nmetadata: {name: core}\nspec:\n  lead:\n  cost_centre: null\n").wanted.values()
    assert (wanted.spec["lead"], wanted.spec["cost_centre"]) == (None, "")


SECRET = "sk-ant-api03-0123456789abcdef"


def test_a_secret_in_the_wrong_place_is_refused_and_never_repeated() -> None:
    problems = refused(
        "kind: Provider\nmetadata: {name: main}\n"
        f"spec: {{vendor: anthropic, account: {SECRET}, credential: {SECRET}}}\n"
    )
    assert [each.field for each in problems] == ["spec.account", "spec.credential"]
    assert SECRET not in "".join(each.sentence for each in problems)


def test_a_value_is_in_no_spec_and_in_no_repr() -> None:
    text = f"kind: Provider\nmetadata: {{name: main}}\nspec: {{vendor: anthropic, credential: {{value: {SECRET}}}}}\n"
    (wanted,) = read(text).wanted.values()
    assert wanted.spec["credential"] == {"value": None}
    assert wanted.secrets == {"credential": SECRET}
    assert SECRET not in repr(wanted)


def test_kinds_and_fields_that_arrive_later_are_kept_and_not_applied() -> None:
    file = read(
        f"{PROVIDER}---\nkind: Guardrail\nmetadata: {{name: daily}}\nspec: {{limit_usd: '10.00'}}\n"
        "---\nkind: VirtualModel\nmetadata: {name: fast}\n"
        "spec: {strategy: weight, targets: [{model: main/a, weight: 40}, {model: main/b, weight: 60}]}\n"
    )
    assert [str(key) for key in file.wanted] == ["Provider main"]
    assert [(str(each.key), each.document, each.line) for each in file.deferred] == [
        ("Guardrail daily", 2, 5),
        ("VirtualModel fast", 3, 9),
    ]
    assert "weight (shares between targets)" in file.deferred[1].why


def test_several_targets_without_anything_else_arrive_later_too() -> None:
    file = read("kind: VirtualModel\nmetadata: {name: fast}\nspec: {targets: [{model: main/a}, {model: main/b}]}\n")
    assert (len(file.wanted), len(file.deferred)) == (0, 1)


def test_json_is_read_alike_and_refuses_alike() -> None:
    objects = [
        {"kind": "Team", "metadata": {"name": "core"}, "spec": {"cost_centre": "1", "tags": {"a": "\U0001f600"}}}
    ]
    (wanted,) = read_policy(read_objects(load_json(json.dumps(objects).encode()))).wanted.values()
    assert wanted.spec == {"cost_centre": "1", "lead": None, "tags": {"a": "\U0001f600"}}
    with pytest.raises(RefusedPolicy) as failure:
        read_policy(read_objects([{"kind": "Team", "metadata": {"name": "core"}, "spec": {"cost_center": 1}}]))
    assert [(each.document, each.field, each.suggestion) for each in failure.value.problems] == [
        (1, "spec.cost_center", "cost_centre")
    ]
    for bad in (b'{"a": 1, "a": 2}', b"[", b"[" * 100_000, b"\xff"):
        with pytest.raises(RefusedPolicy):
            load_json(bad)
