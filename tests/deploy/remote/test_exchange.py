"""`switchyard key exchange`: where a job's token comes from, and that the key is printed alone."""

from pathlib import Path

import pytest

from deploy.key_command import main
from tests.deploy.remote.console import Console

GIVEN = {"access_token": "sysvc_key", "token_type": "Bearer", "expires_in": 3600}


@pytest.fixture(autouse=True)
def out_of_ci(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def exchange(console: Console, *arguments: str) -> int:
    return main(["exchange", "--url", console.url, "--service-account", "acme/ci", *arguments])


def test_a_token_from_a_file_becomes_a_key(
    console: Console, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console.on("POST", "workload-keys", (201, GIVEN))
    (tmp_path / "token").write_text("a.b.c\n")
    assert exchange(console, "--oidc-token-file", str(tmp_path / "token"), "--lifetime", "600") == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("sysvc_key\n", "")
    [asked] = console.asked
    assert asked.authorization == ""
    assert asked.body == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "a.b.c",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "service_account": "acme/ci",
        "lifetime_seconds": "600",
    }


def test_a_token_from_the_environment(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    console.on("POST", "workload-keys", (201, GIVEN))
    monkeypatch.setenv("SWITCHYARD_ID_TOKEN", "d.e.f")
    assert exchange(console, "--oidc-token-env", "SWITCHYARD_ID_TOKEN") == 0
    assert console.asked[0].body["subject_token"] == "d.e.f"


def test_github_is_asked_for_the_audience_of_the_console(
    console: Console, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console.on("POST", "workload-keys", (201, GIVEN))
    audience = console.url.replace(":", "%3A").replace("/", "%2F")
    console.on("GET", f"/job?v=1&audience={audience}", (200, {"value": "g.h.i"}))
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{console.url}/job?v=1")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-secret")
    assert exchange(console, "--github") == 0
    assert console.asked[0].authorization == "Bearer runner-secret"
    assert console.asked[1].body["subject_token"] == "g.h.i"
    assert capsys.readouterr().out == "sysvc_key\n"


def test_what_went_wrong_is_on_standard_error(
    console: Console, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        found = capsys.readouterr()
        assert found.out == ""
        return found.err

    (tmp_path / "token").write_text("a.b.c")
    console.on("POST", "workload-keys", (400, {"error": "invalid_grant", "error_description": "It has expired."}))
    assert exchange(console, "--oidc-token-file", str(tmp_path / "token")) == 1
    assert told() == "switchyard key exchange: 400: It has expired.\n"
    assert exchange(console, "--oidc-token-file", str(tmp_path / "none")) == 1
    assert "cannot be read" in told()
    assert exchange(console, "--oidc-token-env", "NOTHING_THERE") == 1
    assert "NOTHING_THERE is empty" in told()
    assert exchange(console, "--github") == 1
    assert "id-token: write" in told()
    console.on("POST", "workload-keys", (201, {}))
    assert exchange(console, "--oidc-token-file", str(tmp_path / "token")) == 1
    assert "did not answer as a Switchyard console" in told()
    (tmp_path / "token").write_text("a" * 17_000)
    assert exchange(console, "--oidc-token-file", str(tmp_path / "token")) == 1
    assert "too long" in told()


def test_the_console_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exchange", "--service-account", "acme/ci", "--oidc-token-env", "X"]) == 1
    assert "SWITCHYARD_URL" in capsys.readouterr().err
