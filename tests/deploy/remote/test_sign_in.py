"""`switchyard login`, `logout`, `whoami`: what is asked, what is kept, and where a token never goes."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from deploy.remote import device_flow
from deploy.remote.api import Api
from deploy.remote.device_flow import DeviceCode
from deploy.remote.logins import find_place, login_at, logins
from deploy.remote.refused import Refused
from deploy.remote.sign_in import login_main, logout_main, whoami_main
from tests.deploy.remote.console import Asked, Console

CODE = {
    "device_code": "device-secret",
    "user_code": "WDJB-MJHT",
    "verification_uri": "http://console/device",
    "verification_uri_complete": "http://console/device?code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 1,
}
TOKEN = {
    "access_token": "syapi_granted",
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "keys.read",
    "token_id": "t1",
    "user": "ada@example.com",
    "organization": "acme",
}
WHO = {
    "user": "ada@example.com",
    "organization": "acme",
    "organization_name": "Acme",
    "role": "member",
    "gateway_url": "https://ai.example.com",
    "scopes": ["keys.read"],
    "token": {"name": "laptop", "prefix": "syapi_abcd", "expires_at": None},
}


class Turns:
    """Answers in turn; the last one stays."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)

    def __call__(self, asked: Asked) -> tuple[int, Any]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waiting costs no time here; the waits are counted on the clock."""
    taken: list[float] = []
    original = device_flow.wait

    def wait(api: Api, code: DeviceCode) -> Any:
        return original(api, code, sleep=taken.append, clock=lambda: sum(taken))

    monkeypatch.setattr(device_flow, "wait", wait)
    return taken


def pending(error: str = "authorization_pending") -> tuple[int, Any]:
    return 400, {"error": error, "error_description": "…"}


def test_login_shows_a_code_and_keeps_the_token_for_its_owner_only(
    console: Console, home: Path, naps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", Turns(pending(), pending("slow_down"), pending(), (200, TOKEN)))
    assert login_main(["--url", console.url + "/", "--days", "7", "--scope", "policy.manage"]) == 0
    told = capsys.readouterr()
    assert "WDJB-MJHT" in told.err
    assert "http://console/device" in told.err
    assert f"Signed in at {console.url} as ada@example.com, organization acme" in told.out
    assert "syapi_granted" not in told.out + told.err
    assert naps == [1, 1, 6, 6]
    asked = console.asked[0].body
    assert asked["lifetime_seconds"] == str(7 * 24 * 3600)
    assert set(asked["scope"].split()) >= {"keys.manage", "policy.manage"}
    [path] = (home / ".config" / "switchyard" / "logins").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert find_place({"HOME": str(home)}).token == "syapi_granted"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (pending("access_denied"), "denied"),
        (pending("expired_token"), "expired"),
        (pending("invalid_grant"), "400: …"),
        (pending(), "expired"),
    ],
    ids=["denied", "expired", "unknown", "nobody came"],
)
def test_a_login_that_comes_to_nothing_keeps_nothing(
    console: Console,
    home: Path,
    naps: list[float],
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, Any],
    why: str,
) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", answer)
    assert login_main(["--url", console.url]) == 1
    assert why in capsys.readouterr().err
    assert logins({"HOME": str(home)}) == []


def test_a_console_that_stumbles_does_not_end_the_login(console: Console, home: Path, naps: list[float]) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", Turns((503, {"detail": "…"}), (429, {"error": "…"}), (200, TOKEN)))
    assert login_main(["--url", console.url]) == 0


def test_a_new_login_ends_the_former_token(console: Console, home: Path, naps: list[float]) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", Turns((200, TOKEN), (200, {**TOKEN, "access_token": "syapi_second"})))
    console.on("POST", "device/revoke", (204, None))
    assert login_main(["--url", console.url]) == login_main([]) == 0
    revoked = [asked.authorization for asked in console.asked if asked.path == "device/revoke"]
    assert revoked == ["Bearer syapi_granted"]
    login = login_at(console.url, {"HOME": str(home)})
    assert login is not None
    assert login.token == "syapi_second"
    assert "syapi" not in repr(login)


def test_logout_ends_the_token_and_forgets_it(
    console: Console, home: Path, naps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", (200, TOKEN))
    assert login_main(["--url", console.url]) == 0
    console.on("POST", "device/revoke", (500, {"detail": "broken"}))
    assert logout_main([]) == 0
    assert "could not be told" in capsys.readouterr().err
    assert logins({"HOME": str(home)}) == []
    assert logout_main([]) == 0
    assert "Nobody is signed in here" in capsys.readouterr().out


def test_whoami_asks_the_console(
    console: Console, home: Path, naps: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", (200, TOKEN))
    console.on("GET", "whoami", (200, WHO))
    assert login_main(["--url", console.url]) == whoami_main([]) == 0
    assert "Acme (acme)" in capsys.readouterr().out
    assert whoami_main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == WHO
    console.on("GET", "whoami", (401, {"detail": "No valid admin token."}))
    assert whoami_main([]) == 1
    assert f"Run: switchyard login --url {console.url}" in capsys.readouterr().err


def test_nobody_signed_in_is_told_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert whoami_main([]) == 1
    assert "switchyard login" in capsys.readouterr().err
    assert login_main([]) == 1
    assert "say where" in capsys.readouterr().err
    assert login_main(["--url", "https://x.example", "--days", "91"]) == 1
    assert "between 1 and 90" in capsys.readouterr().err


def test_the_environment_wins_and_tokens_stay_with_their_console(
    console: Console, home: Path, naps: list[float]
) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", (200, TOKEN))
    assert login_main(["--url", console.url]) == 0
    known = {"HOME": str(home)}
    other = {**known, "SWITCHYARD_URL": "https://other.example", "SWITCHYARD_TOKEN": "syapi_env"}
    assert find_place(other).token == "syapi_env"
    # A command that names its console gets that console's sign-in, not the environment's token for another.
    assert find_place(other, console.url).token == "syapi_granted"
    assert find_place({**known, "SWITCHYARD_URL": console.url}).token == "syapi_granted"
    with pytest.raises(Refused, match=r"nobody is signed in at https://other\.example"):
        find_place(known, "https://other.example")
    with pytest.raises(Refused, match="SWITCHYARD_URL too"):
        find_place({**known, "SWITCHYARD_TOKEN": "syapi_env"})


def test_a_sign_in_that_others_can_read_is_not_used(console: Console, home: Path, naps: list[float]) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", (200, TOKEN))
    assert login_main(["--url", console.url]) == 0
    [path] = (home / ".config" / "switchyard" / "logins").iterdir()
    path.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        find_place({"HOME": str(home)})


def test_an_expired_sign_in_is_told(console: Console, home: Path, naps: list[float]) -> None:
    console.on("POST", "device/authorize", (200, CODE))
    console.on("POST", "device/token", (200, {**TOKEN, "expires_in": -1}))
    assert login_main(["--url", console.url]) == 0
    with pytest.raises(Refused, match="has expired"):
        find_place({"HOME": str(home)})
