"""`switchyard statusline` before a pod that says what the test wants: one line, soon, whatever happens."""

import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.remote.logins import Login, Place, login_store
from deploy.remote.short_lived_key import Kept, Wanted, _keep, _path
from deploy.remote.statusline import FRESH_S, Options, status_line
from tests.architecture.source_tree import ROOT

KEY = "sypat_thekey"
PLAIN = Options()
NOW_S = 1_795_388_400.0
DAILY = {
    "name": "engineer-daily",
    "spent_usd": "8.100000000",
    "left_usd": "1.900000000",
    "limit_usd": "10.000000000",
    "percent": 81,
    "period": "day",
    "stage": "alert",
    "resets_at_ms": int(NOW_S + 7200) * 1000,
}
OTHER_VERSION = "Switchyard: the gateway's answer is not understood; is it older than this command?"


@dataclass
class FakePod:
    """answers: (status, body) of /switchyard/v1/me; wait_s: before it answers."""

    url: str = ""
    status: int = 200
    body: Any = field(default_factory=lambda: {"budgets": [DAILY]})
    wait: threading.Event | None = None
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)


@contextmanager
def serving(pod: FakePod) -> Iterator[FakePod]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            pod.asked.append((parts.path, parse_qs(parts.query), self.headers.get("authorization", "")))
            if pod.wait is not None:
                pod.wait.wait(10)
            body = pod.body if isinstance(pod.body, bytes) else json.dumps(pod.body).encode()
            try:
                self.send_response(pod.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                return

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    pod.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield pod
    finally:
        if pod.wait is not None:
            pod.wait.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pod() -> Iterator[FakePod]:
    with serving(FakePod()) as running:
        yield running


Line = Callable[..., str]


@pytest.fixture
def line(pod: FakePod, tmp_path: Path) -> Line:
    def made(now_s: float = NOW_S, options: Options = PLAIN, **facts: Any) -> str:
        environment = {
            "HOME": str(tmp_path),
            "ANTHROPIC_BASE_URL": pod.url,
            "ANTHROPIC_AUTH_TOKEN": KEY,
            "NO_COLOR": "1",
            **facts.pop("environment", {}),
        }
        said = {"session_id": "s1", "model": {"id": "claude-opus-4-8", "display_name": "Opus 4.8"}, **facts}
        return status_line(json.dumps(said), options, environment, now_s)

    return made


def transcript(path: Path, *models: str) -> str:
    lines: list[dict[str, Any]] = [{"type": "user", "message": {"role": "user", "content": '"assistant" "model"'}}]
    lines += [{"type": "assistant", "message": {"role": "assistant", "model": model}} for model in models]
    path.write_text("".join(json.dumps(each) + "\n" for each in [*lines, lines[0]]), encoding="utf-8")
    return str(path)


def test_it_says_what_is_left_the_model_and_the_stage(line: Line, pod: FakePod) -> None:
    assert line() == "$1.90 of $10.00 a day left (engineer-daily) · Opus 4.8 · running low"
    [(path, query, authorization)] = pod.asked
    assert (path, authorization) == ("/switchyard/v1/me", f"Bearer {KEY}")
    assert query == {"client": ["claude-code"], "model": ["claude-opus-4-8"], "session": ["s1"]}


def test_the_model_that_really_answered_is_named_beside_the_one_asked_for(line: Line, tmp_path: Path) -> None:
    moved = transcript(tmp_path / "t.jsonl", "claude-opus-4-8", "claude-haiku-4-5-20251001", "<synthetic>")

    assert "· claude-haiku-4-5-20251001 for Opus 4.8 ·" in line(transcript_path=moved)
    same = transcript(tmp_path / "t.jsonl", "claude-opus-4-8-20260901")
    assert "· claude-opus-4-8-20260901 ·" in line(transcript_path=same)


def test_a_spent_budget_says_when_it_starts_anew(line: Line, pod: FakePod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    pod.body = {"budgets": [{**DAILY, "left_usd": "-0.020000000", "percent": 100, "stage": "block"}]}

    assert line() == "$0.00 of $10.00 a day left (engineer-daily), anew 01:00 · Opus 4.8 · spent"


def test_the_tightest_of_several_budgets_is_shown(line: Line, pod: FakePod) -> None:
    pod.body = {"budgets": [{**DAILY, "percent": 5, "name": "month", "stage": ""}, DAILY]}

    assert "(engineer-daily)" in line()


def test_without_a_budget_it_says_so(line: Line, pod: FakePod) -> None:
    pod.body = {"budgets": []}

    assert line() == "Switchyard: no budget · Opus 4.8"


def test_the_stage_is_a_colour_where_colours_are_wanted(pod: FakePod, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "ANTHROPIC_BASE_URL": pod.url, "ANTHROPIC_AUTH_TOKEN": KEY}

    assert status_line("{}", Options(), environment, NOW_S).startswith("\033[33m$1.90")


def test_the_gateway_is_asked_once_in_a_few_seconds_and_the_file_is_private(
    line: Line, pod: FakePod, tmp_path: Path
) -> None:
    first = line()
    assert [line(NOW_S + second) for second in (1, 2, FRESH_S - 0.1)] == [first] * 3
    assert len(pod.asked) == 1
    line(NOW_S + FRESH_S)
    assert len(pod.asked) == 2
    [path] = (tmp_path / ".config" / "switchyard" / "status").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY not in path.read_text()


def test_files_of_sessions_long_ago_are_forgotten(line: Line, tmp_path: Path) -> None:
    line(time.time())
    line(time.time() + 3 * 24 * 3600, session_id="s2")

    assert len(list((tmp_path / ".config" / "switchyard" / "status").glob("*.json"))) == 1


def test_offline_it_says_what_it_knew_and_how_old_that_is(line: Line, pod: FakePod) -> None:
    known = line()
    pod.status = 503

    assert line(NOW_S + 10) == known
    assert line(NOW_S + 200) == "$1.90 of $10.00 a day left (engineer-daily), 3 min ago · Opus 4.8 · running low"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"{}", "Switchyard: the gateway does not know this key"),
        (404, b"{}", "Switchyard: the gateway answered 404"),
        (200, b"<html>", "Switchyard: what answered is no Switchyard gateway"),
        (200, b"{}", "Switchyard: the gateway's answer is not understood; is it older than this command?"),
        (
            200,
            b'{"budgets": [{}]}',
            "Switchyard: the gateway's answer is not understood; is it older than this command?",
        ),
        (200, b'{"budgets": [], "counters": "unavailable"}', "Switchyard: budgets cannot be read right now"),
    ],
)
def test_what_cannot_be_said_is_explained(line: Line, pod: FakePod, status: int, body: bytes, said: str) -> None:
    pod.status, pod.body = status, body

    assert line() == f"{said} · Opus 4.8"


def test_nothing_listens(line: Line) -> None:
    nobody = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}

    assert line(environment=nobody).startswith("Switchyard: the gateway is out of reach")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ANTHROPIC_BASE_URL": ""}, "Switchyard: the tool does not go through it"),
        ({"ANTHROPIC_AUTH_TOKEN": ""}, "Switchyard: no key in the tool's environment"),
        ({"ANTHROPIC_BASE_URL": "file:///etc/passwd"}, "Switchyard: the gateway: "),
    ],
)
def test_a_tool_that_is_not_set_up_is_told(line: Line, environment: dict[str, str], said: str) -> None:
    assert line(environment=environment).startswith(said)


def test_a_gateway_that_hangs_costs_a_second(line: Line, pod: FakePod) -> None:
    pod.wait = threading.Event()
    begun_s = time.monotonic()

    assert line() == "Switchyard: the gateway did not answer within 1 s · Opus 4.8"
    assert time.monotonic() - begun_s < 5
    # And not every time.
    assert line(NOW_S + 1) == "Switchyard: the gateway did not answer within 1 s · Opus 4.8"
    assert len(pod.asked) == 1


def test_a_subscriptions_key_comes_from_the_header_of_ours(line: Line, pod: FakePod) -> None:
    headers = "x-team: a\nX-Switchyard-Key: sypat_other"
    line(environment={"ANTHROPIC_CUSTOM_HEADERS": headers, "ANTHROPIC_AUTH_TOKEN": "theirs"})

    assert pod.asked[0][2] == "Bearer sypat_other"


def test_a_key_of_the_helper_is_used_while_it_lives_and_none_is_minted(
    line: Line, pod: FakePod, tmp_path: Path
) -> None:
    environment = {"HOME": str(tmp_path)}
    console = "https://console.example.com"
    login_store(Login(console, "syapi_ada", "t1", "ada@example.com", "acme", int(time.time()), None), environment)
    options = Options(console=console)

    assert line(options=options).startswith("Switchyard: no key yet")
    lives_until_s = time.time() + 600
    wanted = Wanted("claude-code")
    kept = Kept("sypat_minted", "k1", lives_until_s, 3600, time.time())
    _keep(_path(Place(console, "syapi_ada", is_login=True), wanted, environment), kept)
    line(options=options)

    assert pod.asked[0][2] == "Bearer sypat_minted"


def test_no_sign_of_an_answer_breaks_the_line(line: Line, pod: FakePod) -> None:
    pod.body = {"budgets": [{**DAILY, "name": "a\x1b[31m\nb"}]}

    assert "\x1b" not in line()
    assert "\n" not in line(NOW_S + 60)


@pytest.mark.parametrize("said", ["", "nonsense", "[]", "null", '{"model": 5, "session_id": {}}'])
def test_the_command_always_prints_one_line_and_succeeds(said: str, pod: FakePod, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "ANTHROPIC_BASE_URL": pod.url, "ANTHROPIC_AUTH_TOKEN": KEY, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.command", "statusline"],
        input=said,
        env={**environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "$1.90 of $10.00 a day left (engineer-daily) ? running low\n"
