"""What the seed tells once is kept; what it does not tell again is read back."""

import json
from pathlib import Path

import pytest

from deploy.local.first_run import FirstRun, SeedFailed, read_seed_answer

MADE = {
    "admin_email": "admin@example.com",
    "admin_password": "hush",
    "api_token": "syapi_x",
    "virtual_key": "sypat_x",
    "pod_token": "sypod_x",
}


def test_the_first_answer_is_kept_for_the_next_starts(tmp_path: Path) -> None:
    kept = tmp_path / "first-run.json"
    first = read_seed_answer(f"a word before\n{json.dumps({**MADE, 'seeded': True})}\n", kept)
    assert first == FirstRun(**MADE)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert read_seed_answer('{"seeded": false}', kept) == first


def test_a_database_of_another_home_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SeedFailed, match="set up from another SWITCHYARD_HOME"):
        read_seed_answer('{"seeded": false}', tmp_path / "first-run.json")


@pytest.mark.parametrize("output", ["", "oops", '{"seeded": true}', "[]", '{"admin_email": "x"}'])
def test_anything_else_is_a_failure(tmp_path: Path, output: str) -> None:
    with pytest.raises(SeedFailed, match="one line of JSON"):
        read_seed_answer(output, tmp_path / "first-run.json")


def test_a_damaged_file_is_a_failure_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "first-run.json").write_text("{")
    with pytest.raises(SeedFailed, match=r"first-run\.json cannot be read"):
        read_seed_answer('{"seeded": false}', tmp_path / "first-run.json")


def test_secrets_never_show_in_a_repr() -> None:
    assert repr(FirstRun(**MADE)) == "FirstRun(admin@example.com)"
