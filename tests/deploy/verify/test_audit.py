"""The offline verifier: it names the first row that was altered, deleted, swapped or cut off."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.verify.audit import BROKEN, INTACT, SELECTION, UNTOLD, main
from switchyard_contract.audit_chain import Link, link_hash
from switchyard_contract.seal import SigningKey
from tests.deploy.verify.exports import KEY, a_chain, a_head, a_link, as_csv, heads_file, jsonl

PUBLIC_KEY = f"{KEY.key_id}:{base64.b64encode(KEY.public_bytes).decode()}"
Write = Callable[[Path, list[Link]], Path]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, int | None, str | None]:
    """Exit code, the entry that is named, and how it is broken."""
    code = main([*map(str, arguments), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == code
    return code, said["sequence"], said["how"]


def edited(links: list[Link]) -> list[Link]:
    return [*links[:4], replace(links[4], fields={**links[4].fields, "reason": "forged"}), *links[5:]]


def edited_and_hashed_anew(links: list[Link]) -> list[Link]:
    fields = {**links[4].fields, "reason": "forged"}
    forged = replace(links[4], fields=fields, hash=link_hash(links[4].previous_hash, 5, fields))
    return [*links[:4], forged, *links[5:]]


def deleted(links: list[Link]) -> list[Link]:
    return [*links[:4], *links[5:]]


def deleted_and_renumbered(links: list[Link]) -> list[Link]:
    return [*links[:4], *(replace(link, sequence=link.sequence - 1) for link in links[5:])]


def swapped(links: list[Link]) -> list[Link]:
    return [*links[:4], links[5], links[4], *links[6:]]


def swapped_and_renumbered(links: list[Link]) -> list[Link]:
    return [*links[:4], replace(links[5], sequence=5), replace(links[4], sequence=6), *links[6:]]


def repeated(links: list[Link]) -> list[Link]:
    return [*links[:5], links[2], *links[5:]]


def of_another_organization(links: list[Link]) -> list[Link]:
    return [*links[:4], a_link(5, links[3].hash, "0b" * 16), *links[5:]]


def cut(links: list[Link]) -> list[Link]:
    return links[:7]


TAMPERINGS = [
    (edited, 5, "altered"),
    (edited_and_hashed_anew, 5, "altered"),
    (deleted, 5, "deleted"),
    (deleted_and_renumbered, 5, "reordered"),
    (swapped, 5, "reordered"),
    (swapped_and_renumbered, 5, "reordered"),
    (repeated, 3, "reordered"),
    (of_another_organization, 5, "altered"),
    (cut, 8, "cut"),
]


@pytest.mark.parametrize("write", [jsonl, as_csv])
@pytest.mark.parametrize(("tamper", "sequence", "how"), TAMPERINGS, ids=[tamper.__name__ for tamper, *_ in TAMPERINGS])
def test_the_first_broken_row_is_named(
    tamper: Callable[[list[Link]], list[Link]],
    sequence: int,
    how: str,
    write: Write,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    links = a_chain(12)
    export = write(tmp_path / "export", tamper(links))
    heads = heads_file(tmp_path / "heads", a_head(links[-1]))

    found = run(capsys, export, "--heads", heads, "--public-key", PUBLIC_KEY)

    assert found == (BROKEN, sequence, how)


@pytest.mark.parametrize("write", [jsonl, as_csv])
def test_an_export_as_it_was_written_is_intact(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = a_chain(40)
    export = write(tmp_path / "export", links)
    heads = heads_file(tmp_path / "heads", a_head(links[10]), a_head(links[-1]))

    assert run(capsys, export) == (INTACT, None, None)
    assert run(capsys, export, "--heads", heads, "--public-key", PUBLIC_KEY) == (INTACT, None, None)


def test_a_cut_needs_a_later_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    links = a_chain(12)
    # Whoever cuts takes an older head that was really signed.
    export = jsonl(tmp_path / "export", links[:7], head=a_head(links[6]))

    assert run(capsys, export, "--public-key", PUBLIC_KEY) == (INTACT, None, None)
    later = heads_file(tmp_path / "heads", a_head(links[3]), a_head(links[9]))
    assert run(capsys, export, "--public-key", PUBLIC_KEY, "--heads", later) == (BROKEN, 8, "cut")


def test_a_chain_written_anew_is_found_by_a_head_in_its_middle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = a_chain(9)
    forged = links[:4]
    for number in range(5, 13):
        forged.append(a_link(number, forged[-1].hash, **({"reason": "forged"} if number == 5 else {})))
    export = jsonl(tmp_path / "export", forged)
    heads = heads_file(tmp_path / "heads", a_head(links[2]), a_head(links[8]))

    # Between the head that fits (3) and the one that does not (9).
    assert run(capsys, export, "--heads", heads, "--public-key", PUBLIC_KEY) == (BROKEN, 4, "altered")


def test_a_forged_head_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    links = a_chain(3)
    stranger = SigningKey(KEY.key_id, bytes(32))
    export = jsonl(tmp_path / "export", links, head=a_head(links[-1], stranger))

    assert run(capsys, export, "--public-key", PUBLIC_KEY) == (BROKEN, 3, "forged head")


def test_two_heads_that_differ_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    links = a_chain(3)
    other = a_link(3, links[1].hash, reason="another history")
    heads = heads_file(tmp_path / "heads", a_head(links[2]), a_head(other))

    found = run(capsys, jsonl(tmp_path / "export", links), "--heads", heads, "--public-key", PUBLIC_KEY)

    assert found == (BROKEN, 3, "altered")


def test_a_selection_is_checked_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    links = [link for link in a_chain(12) if link.sequence not in (1, 5, 6)]

    assert run(capsys, jsonl(tmp_path / "some", links, is_complete=False)) == (SELECTION, None, None)
    assert run(capsys, as_csv(tmp_path / "some.csv", links), "--selection") == (SELECTION, None, None)
    forged = [*links[:4], replace(links[4], fields={**links[4].fields, "reason": "x"}), *links[5:]]
    assert run(capsys, jsonl(tmp_path / "forged", forged, is_complete=False)) == (BROKEN, links[4].sequence, "altered")


@pytest.mark.parametrize(
    "content",
    ["", "not an export\n", '{"format": "another"}\n', "sequence,scope\n1,x\n"],
)
def test_what_is_no_export_is_no_verdict(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "export"
    path.write_text(content)

    assert run(capsys, path)[0] == UNTOLD


def test_heads_without_a_public_key_and_unknown_keys_are_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = a_chain(2)
    export = jsonl(tmp_path / "export", links)
    heads = heads_file(tmp_path / "heads", a_head(links[1]))
    other = f"other:{base64.b64encode(KEY.public_bytes).decode()}"

    assert run(capsys, export, "--heads", heads)[0] == UNTOLD
    assert run(capsys, export, "--heads", heads, "--public-key", other)[0] == UNTOLD
    assert run(capsys, export, "--public-key", "k1:nonsense")[0] == UNTOLD
    assert run(capsys, tmp_path / "missing")[0] == UNTOLD


def test_it_runs_without_either_plane(tmp_path: Path) -> None:
    export = jsonl(tmp_path / "export", a_chain(3))
    program = (
        "import sys; from deploy.command import main; code = main(['verify-audit', sys.argv[1]]);"
        "bad = [name for name in sys.modules if name.split('.')[0] in ('django', 'control_plane', 'data_plane')];"
        "sys.exit(code or bool(bad))"
    )

    done = subprocess.run([sys.executable, "-c", program, str(export)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "intact: 3 entries" in done.stdout
