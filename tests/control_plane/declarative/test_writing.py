"""Whatever somebody names things, what is written is read back as the same."""

from hypothesis import given
from hypothesis import strategies as st

from control_plane.declarative.kinds.kind import Key, PolicyObject
from control_plane.declarative.nodes import Problem, RefusedPolicy
from control_plane.declarative.parsing import read_yaml
from control_plane.declarative.reading import objects_in, read_policy
from control_plane.declarative.shapes import looks_secret
from control_plane.declarative.writing import write_policy

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)
WORDS = st.sampled_from(
    ["no", "on", "~", "null", "", "1e3", "0o17", "12:30", "true", "- a", "a: b", "#", "---", "*x", "&y"]
)
ANY = (TEXT | WORDS).filter(lambda text: not looks_secret(text))
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,40}[A-Za-z0-9.]", fullmatch=True)
EMAIL = st.from_regex(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,20}@[a-z]{1,10}\.[a-z]{2,5}", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
TAGS = st.dictionaries(TAG, ANY, max_size=4).map(lambda tags: {name: tags[name] for name in sorted(tags)})
MODEL = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=30).filter(
    lambda text: not looks_secret(text) and text == text.strip()
)


@st.composite
def teams(draw: st.DrawFn) -> PolicyObject:
    spec = {"cost_centre": draw(ANY), "lead": draw(st.none() | EMAIL), "tags": draw(TAGS)}
    return PolicyObject(Key("Team", draw(NAME)), spec)


@st.composite
def accounts(draw: st.DrawFn) -> PolicyObject:
    spec = {"team": draw(NAME), "description": draw(ANY), "tags": draw(TAGS), "is_active": draw(st.booleans())}
    return PolicyObject(Key("ServiceAccount", draw(NAME)), spec)


@st.composite
def providers(draw: st.DrawFn) -> PolicyObject:
    spec = {
        "vendor": "openai",
        "base_url": "",
        "credential": draw(st.sampled_from([None, {"value": None}, {"env": "KEY"}, {"passthrough": "caller"}])),
        "models": draw(st.lists(MODEL, min_size=1, max_size=6, unique=True)),
        "region": draw(ANY),
        "account": draw(ANY),
        "protocols": [],
        "connect_timeout_ms": draw(st.integers(100, 600_000)),
        "first_byte_timeout_ms": 600_000,
        "idle_timeout_ms": 300_000,
        "limits": draw(st.sampled_from([{}, {"concurrent_requests": 4}, {"tokens_per_minute": 10**12}])),
        "external": draw(st.none() | st.booleans()),
        "is_active": draw(st.booleans()),
    }
    return PolicyObject(Key("Provider", draw(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True))), spec)


@given(st.lists(teams() | accounts() | providers(), unique_by=lambda each: each.key, max_size=6))
def test_what_is_written_is_read_back_as_the_same(objects: list[PolicyObject]) -> None:
    text = write_policy(objects, schema_url="http://127.0.0.1/schema.json")
    read = read_policy(read_yaml(text.encode()))
    assert {key: wanted.object for key, wanted in read.wanted.items()} == {each.key: each for each in objects}
    assert objects_in(text) == {each.key: each for each in objects}
    assert write_policy(objects_in(text).values(), schema_url="http://127.0.0.1/schema.json") == text


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    problems: tuple[Problem, ...] = ()
    file = None
    try:
        file = read_policy(read_yaml(raw))
    except RefusedPolicy as refused:
        problems = refused.problems
    assert bool(problems) is (file is None)
