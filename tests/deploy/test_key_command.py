"""`switchyard key`: what is sent, what is printed, and where a token never goes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.key_command import main
from deploy.remote.logins import find_place
from deploy.remote.refused import Refused

KEY_ID = "A1b2C3d4E5f6"


class Console:
    """A scripted console: answers in turn, and remembers what was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str, str, Any]] = []

    def will_answer(self, status: int, body: object, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, headers, raw))


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            scripted.asked.append((self.command, self.path, self.headers["authorization"], body))
            status, headers, raw = scripted.answers.pop(0)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    scripted = Console(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("SWITCHYARD_URL", scripted.url)
    monkeypatch.setenv("SWITCHYARD_TOKEN", "syapi_token")
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_new_key_is_printed_alone(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.will_answer(201, {"id": KEY_ID, "key": "sypat_secret", "prefix": "sypat_A1b2"})
    assert main(["create", "laptop", "--user", "ada@example.com", "--model", "claude-*", "--tag", "env=dev"]) == 0
    told = capsys.readouterr()
    assert told.out == "sypat_secret\n"
    assert KEY_ID in told.err
    assert console.asked == [
        (
            "POST",
            "/api/v1/keys",
            "Bearer syapi_token",
            {
                "name": "laptop",
                "models": ["claude-*"],
                "metadata": {"env": "dev"},
                "owner": {"user": "ada@example.com"},
            },
        )
    ]


def test_what_narrows_a_key_is_sent(console: Console) -> None:
    console.will_answer(201, {"id": KEY_ID, "key": "sysvc_secret", "prefix": "sysvc_A1b2"})
    narrowed = ["--route", "anthropic_messages", "--route", "openai_chat", "--source-network", "10.0.0.0/8"]
    ends = ["--expires", "2027-01-31T00:00:00Z", "--rotation-days", "90"]
    assert main(["create", "deploys", "--service-account", "ci", *narrowed, *ends]) == 0
    assert console.asked[0][3] == {
        "name": "deploys",
        "owner": {"service_account": "ci"},
        "models": [],
        "metadata": {},
        "routes": ["anthropic_messages", "openai_chat"],
        "source_networks": ["10.0.0.0/8"],
        "expires_at": "2027-01-31T00:00:00Z",
        "rotation": {"every_days": 90},
    }


def test_all_pages_are_listed(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    first = {"id": "one", "prefix": "sypat_on", "name": "laptop", "state": "active", "expires_at": None}
    console.will_answer(200, {"results": [first], "next": "http://elsewhere.example/api/v1/keys?cursor=x&limit=200"})
    console.will_answer(200, {"results": [{**first, "id": "two"}], "next": None})
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["one  sypat_on  active  -  laptop", "two  sypat_on  active  -  laptop"]
    assert [path for _, path, _, _ in console.asked] == ["/api/v1/keys?limit=200", "/api/v1/keys?cursor=x&limit=200"]


def test_rotation_and_revocation(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.will_answer(200, {"id": "new", "key": "sypat_new"})
    console.will_answer(200, {"id": KEY_ID, "pods": []})
    assert main(["rotate", KEY_ID, "--grace-seconds", "60"]) == 0
    assert main(["revoke", KEY_ID, "--reason", "lost laptop", "--wait"]) == 0
    assert capsys.readouterr().out == f"sypat_new\n{KEY_ID} is revoked\n"
    assert [asked[1::2] for asked in console.asked] == [
        (f"/api/v1/keys/{KEY_ID}/rotate", {"grace_seconds": 60}),
        (f"/api/v1/keys/{KEY_ID}/revoke?wait=applied", {"reason": "lost laptop"}),
    ]


def test_a_refusal_is_told_in_one_line(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.will_answer(400, {"detail": "Wrong.", "errors": [{"field": "models", "message": "unknown model"}]})
    assert main(["create", "x"]) == 1
    assert capsys.readouterr().err == "switchyard key create: 400: Wrong.; models: unknown model\n"


def test_what_is_no_console_is_told(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.will_answer(200, b"<html>")
    console.will_answer(502, b"<html>bad gateway")
    assert main(["list"]) == 1
    assert "is it a Switchyard console?" in capsys.readouterr().err
    assert main(["list"]) == 1
    assert "502: <html>bad gateway" in capsys.readouterr().err


def test_the_token_follows_no_redirect(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.will_answer(302, b"", location=f"{console.url}/elsewhere")
    assert main(["list"]) == 1
    assert "302" in capsys.readouterr().err
    assert len(console.asked) == 1


def test_a_key_id_cannot_leave_its_place_in_the_path(console: Console) -> None:
    console.will_answer(200, {"results": [{"id": "../users/1?x="}], "next": None})
    console.will_answer(404, {"detail": "No such key."})
    assert main(["revoke", "../users/1?x="]) == 1
    assert [asked[1] for asked in console.asked] == [
        "/api/v1/keys?name=..%2Fusers%2F1%3Fx%3D&state=active&limit=200",
        "/api/v1/keys/..%2Fusers%2F1%3Fx%3D/revoke",
    ]


def test_a_key_may_be_named(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    console.will_answer(200, {"results": [{"id": KEY_ID}], "next": None})
    console.will_answer(200, {"id": KEY_ID})
    assert main(["revoke", "my laptop"]) == 0
    assert [asked[1] for asked in console.asked] == [
        "/api/v1/keys?name=my+laptop&state=active&limit=200",
        f"/api/v1/keys/{KEY_ID}/revoke",
    ]
    assert capsys.readouterr().out == f"{KEY_ID} is revoked\n"


def test_a_name_of_twelve_letters_is_tried_as_an_id_first(console: Console) -> None:
    console.will_answer(404, {"detail": "There is no such object here."})
    console.will_answer(200, {"results": [{"id": KEY_ID}], "next": None})
    console.will_answer(200, {"id": KEY_ID})
    assert main(["revoke", "mylaptopkeys"]) == 0
    assert console.asked[2][1] == f"/api/v1/keys/{KEY_ID}/revoke"


def test_an_ambiguous_name_is_told_with_what_it_could_mean(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"prefix": "sypat_on", "owner": {"user": "ada@example.com"}, "created_at": "2026-01-02T03:04:05Z"}
    console.will_answer(200, {"results": [{"id": "one", **row}, {"id": "two", **row}], "next": None})
    assert main(["revoke", "laptop"]) == 1
    told = capsys.readouterr().err
    assert "2 keys are called 'laptop'" in told
    assert "  one  sypat_on…  ada@example.com" in told
    assert len(console.asked) == 1


def test_a_name_of_nothing_in_force_is_told(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    none = {"results": [], "next": None}
    console.will_answer(200, none)
    console.will_answer(200, {"results": [{"id": KEY_ID, "state": "revoked"}], "next": None})
    console.will_answer(200, none)
    console.will_answer(200, none)
    assert main(["rotate", "laptop"]) == 1
    assert f"no key called 'laptop' is in force: {KEY_ID} is revoked" in capsys.readouterr().err
    assert main(["rotate", "lapdog"]) == 1
    assert "there is no key with the id or the name 'lapdog'" in capsys.readouterr().err


def test_beside_a_local_platform_nothing_needs_to_be_set(tmp_path: Path) -> None:
    (tmp_path / "local.json").write_text(json.dumps({"console_url": "http://127.0.0.1:8000", "api_token": "syapi_l"}))
    api = find_place({"SWITCHYARD_HOME": str(tmp_path)})
    assert (api.url, api.token) == ("http://127.0.0.1:8000", "syapi_l")
    assert "syapi_l" not in repr(api)


@pytest.mark.parametrize(
    "environment", [{"SWITCHYARD_URL": "https://x"}, {"SWITCHYARD_TOKEN": "syapi_prod"}], ids=["no token", "no url"]
)
def test_a_token_and_a_console_are_never_taken_from_different_places(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "local.json").write_text(json.dumps({"console_url": "http://127.0.0.1:8000", "api_token": "syapi_l"}))
    with pytest.raises(Refused, match=r"SWITCHYARD_URL|switchyard login"):
        find_place({**environment, "SWITCHYARD_HOME": str(tmp_path)})


def test_an_address_of_another_scheme_is_refused() -> None:
    with pytest.raises(Refused, match="neither http:// nor https://"):
        find_place({"SWITCHYARD_URL": "file:///etc/passwd", "SWITCHYARD_TOKEN": "x"}).api()


def test_a_console_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SWITCHYARD_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SWITCHYARD_TOKEN", "x")
    assert main(["list"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
