"""The table of settings: defaults hold, a wrong value is named, all at once, and no secret is repeated."""

from pathlib import Path
from typing import get_args

import pytest

from switchyard_contract.settings import SETTINGS, InvalidSettings, Kind, Plane, Setting, read_settings

TABLE = (
    Setting("NEEDED", ("control",), "text", None, "what for"),
    Setting("COUNT", ("control",), "integer", "5", "how many", "things", 1, 9),
    Setting("IS_ON", ("control",), "flag", "false", "on or off"),
    Setting("NAMES", ("control",), "list", "", "several"),
    Setting("WHERE", ("control",), "url", "http://x", "an address"),
    Setting("HOW", ("control",), "choice", "slow", "a way", choices=("slow", "fast")),
    Setting("SECRET", ("control",), "secret", "", "hidden"),
    Setting("FOREIGN", ("data",), "text", None, "not ours"),
)


def read(**environment: str) -> dict[str, object]:
    return dict(read_settings("control", {"NEEDED": "x", **environment}, TABLE))


def problems(**environment: str) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as failure:
        read(**environment)
    return failure.value.problems


def test_defaults_hold_where_nothing_is_set() -> None:
    assert read() == {
        "NEEDED": "x",
        "COUNT": 5,
        "IS_ON": False,
        "NAMES": (),
        "WHERE": "http://x",
        "HOW": "slow",
        "SECRET": "",
    }


def test_values_are_converted() -> None:
    values = read(COUNT="9", IS_ON="Yes", NAMES=" a, b ,,c", WHERE="redis://h/0", HOW="fast")
    assert (values["COUNT"], values["IS_ON"], values["NAMES"]) == (9, True, ("a", "b", "c"))
    assert (values["WHERE"], values["HOW"]) == ("redis://h/0", "fast")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("COUNT", "ten", "'ten' is no whole number (things)"),
        ("COUNT", "0", "0 is outside 1 to 9 things"),
        ("COUNT", "10", "10 is outside 1 to 9 things"),
        ("IS_ON", "maybe", "'maybe' is neither true nor false"),
        ("WHERE", "localhost", "is no URL: a scheme such as https:// is missing"),
        ("HOW", "medium", "'medium' is none of slow, fast"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name: str, text: str, why: str) -> None:
    assert problems(**{name: text}) == (f"{name}: {why}",)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidSettings) as failure:
        read_settings("control", {"COUNT": "x", "HOW": "y"}, TABLE)
    assert [text.partition(":")[0] for text in failure.value.problems] == ["NEEDED", "COUNT", "HOW"]
    assert "Set NEEDED: what for" in failure.value.problems[0]


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    assert read(SECRET_FILE=str(file))["SECRET"] == "hush"
    assert read(SECRET_FILE=str(file), SECRET="direct")["SECRET"] == "direct"


def test_a_secret_file_that_is_not_there_is_a_problem_by_name(tmp_path: Path) -> None:
    (problem,) = problems(SECRET_FILE=str(tmp_path / "nowhere"))
    assert problem.startswith("SECRET: cannot read SECRET_FILE (")


def test_only_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    assert read(HOW_FILE=str(tmp_path / "nowhere"))["HOW"] == "slow"


def test_a_url_with_a_password_is_never_repeated() -> None:
    (problem,) = problems(WHERE="user:hunter2@host")
    assert "hunter2" not in problem


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_row_of_the_real_table_is_sound(setting: Setting) -> None:
    assert set(setting.planes) <= set(get_args(Plane))
    assert setting.kind in get_args(Kind)
    assert setting.meaning
    if setting.kind == "integer":
        assert setting.lowest is not None
        assert setting.highest is not None
        assert setting.unit
    if setting.default is not None:
        read_settings(setting.planes[0], {}, [setting])


def test_no_name_stands_twice() -> None:
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))


def test_secrets_have_no_default_that_would_let_an_installation_start_without_them() -> None:
    optional = {setting.name for setting in SETTINGS if setting.kind == "secret" and setting.default is not None}
    # Without a shelf key a pod waits for the control plane; without a mail server nothing is mailed.
    assert optional == {"SWITCHYARD_SHELF_KEY", "SWITCHYARD_MAIL_URL"}
