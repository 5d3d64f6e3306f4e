"""What real tools and SDKs do when they are told no: `make test-clients ARGS=refusals`.

A pod under a sealed policy refuses each client in each of the cases below; a door before it counts. A final no has to
end within two requests with our sentence on the screen; after a short rate limit the client has to go on by itself.
What was seen is docs/clients/refusals.md; --markdown prints its table.
"""

import argparse
import contextlib
import itertools
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_plane.protocols.codec import RequestHead
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import a_daily_budget, a_pace, days, when
from tests.clients.door import Visit, opened
from tests.clients.installing import install_aider, install_tools
from tests.clients.refused_tools import REFUSED, Refused
from tests.clients.starting import Ended, folders, start
from tests.clients.tools import write_files
from tests.end_to_end.ruled_pods import Store
from tests.fakes.control_plane import ControlPlane
from tests.fakes.installation import Books, Installation, Supplier
from tests.gateway.prices import DOLLAR
from tests.gateway.processes import Pod, Provider
from tests.gateway.wire import call

LIMIT_S = 240
MODELS = ("claude-sonnet-4-6", "claude-haiku-4-5", "gpt-5.1", "gemini-2.5-pro", "gemini-2.5-flash", "penny")
DECISION = re.compile(r"\(decision [0-9A-Z\u2060]{26,}\)")


@dataclass(frozen=True, slots=True)
class Case:
    """A way to be refused. says: of our sentence; more: requests that are served before; is_final: else it goes on."""

    name: str
    says: str
    more: int = 0
    is_final: bool = True


CASES = (
    Case("budget", "daily-allowance"),
    Case("revoked", "This key was revoked"),
    Case("model", "approved-models"),
    Case("cap", "runaway", more=1),
    Case("far rate", "daily-pace"),
    Case("rate", "steady-pace", is_final=False),
)
PLENTY = Case("plenty", "")
"""A key with room, for good news."""
RULES = snapshot_pb2.PolicyShard(
    budgets=[
        a_daily_budget("daily-allowance", 0.1, when=when(metadata={"case": ["budget"]}), per=["key"]),
        a_daily_budget("plenty", 30.0, when=when(metadata={"case": ["plenty"]}), per=["key"]),
    ],
    rate_limits=[
        a_pace("steady-pace", 20, burst=1, when=when(metadata={"case": ["rate"]}), per=["key"]),
        a_pace("daily-pace", 1, when=when(metadata={"case": ["far rate"]}), per=["key"], periods=days()),
    ],
    access_rules=[
        snapshot_pb2.AccessRule(
            id="a" * 32, name="everything", mode=snapshot_pb2.RULE_MODE_ENFORCE, allow=snapshot_pb2.Parts()
        ),
        snapshot_pb2.AccessRule(
            id="b" * 32,
            name="approved-models",
            mode=snapshot_pb2.RULE_MODE_ENFORCE,
            when=when(metadata={"case": ["model"]}),
            deny=snapshot_pb2.Parts(models=["*"]),
        ),
    ],
    session_caps=[
        snapshot_pb2.SessionCap(
            id="c" * 32,
            name="runaway",
            mode=snapshot_pb2.RULE_MODE_ENFORCE,
            when=when(metadata={"case": ["cap"]}),
            max_turns=1,
            per_key_hour_factor=1,
            contact="platform@example.com",
        )
    ],
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one client did in one case."""

    client: Refused
    case: Case
    visits: Sequence[Visit]
    ended: Ended
    made_file: bool

    @property
    def said(self) -> str:
        """What was printed, without colours and line breaks."""
        return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.ended.output).split())

    @property
    def statuses(self) -> list[int]:
        return [visit.status for visit in self.visits]

    @property
    def refused(self) -> int:
        return sum(status >= 400 for status in self.statuses)

    @property
    def waited_s(self) -> list[float]:
        times = [visit.at_s for visit in self.visits]
        return [round(after - before, 1) for before, after in itertools.pairwise(times)]

    @property
    def problem(self) -> str:
        """What is not as it should be; empty: nothing."""
        if not self.case.is_final:
            if 429 not in self.statuses:
                return f"it was never refused: {self.statuses}"
            went_on = self.statuses[-1] == 200 and self.ended.exit_code == 0
            return "" if went_on else f"it did not go on: {self.statuses}, exit {self.ended.exit_code}"
        most = 2 + self.client.aside
        if not 0 < self.refused <= most:
            return f"{self.refused} refused requests, at most {most}: {self.statuses}"
        if self.ended.exit_code == -9:
            return "it did not end"
        # Half a sentence is none: a terminal may break it, so spaces do not count.
        plain = self.said.replace(" ", "").replace("\u2060", "")
        if self.case.says.replace(" ", "") not in plain:
            return "our sentence was not shown"
        return ""

    @property
    def excerpt(self) -> str:
        """The line a person reads, from a little before our sentence to its end."""
        found = re.search(r"[^.{}]{0,60}Switchyard: .*?\(decision[^)]*\)[^\"'{}]{0,30}", self.said)
        return found[0].strip() if found else self.said[-160:]


class Gateway:
    """A pod under RULES, with the simulated provider behind it."""

    def __init__(self, control: ControlPlane, pod: Pod) -> None:
        self._control, self._pod = control, pod

    @property
    def url(self) -> str:
        return self._pod.url

    def key_for(self, case: Case) -> KeyToken:
        """A key that is refused in this way from now on."""
        key = self._control.mint(tags={"case": case.name}, name=f"{case.name} key")
        match case.name:
            case "budget" | "far rate":
                self.spend(key)
                self.settle()
            case "revoked":
                self._control.installation.revoke(key)
                self._control.publish("deny")
        return key

    def settle(self) -> None:
        """Return when everything is counted: answers come a moment earlier."""
        self._pod.settle()

    def spend(self, key: KeyToken) -> None:
        """Make one request: it takes the budget's ten cents, and the only one that a rate takes at once."""
        # It asks for less than the provider then counts, so that there is room for it.
        body = b'{"model":"penny","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}'
        headers = [
            ("x-api-key", key.text),
            ("content-type", "application/json"),
            ("anthropic-version", "2023-06-01"),
            ("x-sim-behaviour", "sim-usage-in1000-out900"),
        ]
        answer = call(self.url, "POST", "/v1/messages", headers, body)
        if answer.status != 200:
            raise AssertionError(f"the first request of a key was answered {answer.status}: {answer.text}")


@contextlib.contextmanager
def gateway(home: Path) -> Iterator[Gateway]:
    """Everything up when the block begins, and gone when it ends."""
    home.mkdir()
    provider, store = Provider(home), Store(home / "store")
    pod: Pod | None = None
    try:
        store.start()
        rates = snapshot_pb2.Rates(input=10 * DOLLAR, output=100 * DOLLAR)
        books = Books(
            suppliers=(
                Supplier("anthropic-main", "anthropic", provider.url, ("claude-*", "penny")),
                Supplier("openai-main", "openai", f"{provider.url}/v1", ("gpt-*",)),
                Supplier("gemini-main", "gemini", provider.url, ("gemini-*",)),
            ),
            prices=tuple(snapshot_pb2.PriceRow(id=name, model=name, rates=rates) for name in MODELS),
            contact="platform@example.com",
            rules=RULES,
        )
        with ControlPlane(Installation(books)) as control:
            pod = Pod(control, store.url, home / "pod")
            pod.start()
            yield Gateway(control, pod)
    finally:
        if pod is not None:
            pod.end()
        store.stop()
        provider.stop()


def see(client: Refused, case: Case, running: Gateway, folder: Path) -> Seen:
    """Run a client against a refusal."""
    home, project = folders(folder)
    key = running.key_for(case)

    def before(_head: RequestHead, number: int) -> None:
        # Only now, since some tools take longer to start than the rate needs to flow off.
        if number == 1 and not case.is_final:
            running.spend(key)

    with opened(running.url, before) as door:
        run = client.prepare(door.url, key.text)
        write_files(home, run.files)
        ended = start(run, home, project, LIMIT_S)
        visits = sorted(door.visits, key=lambda visit: visit.at_s)
    made = (project / "hello.txt").exists()
    return Seen(client, case, visits, ended, made)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.clients refusals", description=__doc__)
    parser.add_argument("--only", action="append", choices=[client.name for client in REFUSED])
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/clients/refusals.md")
    chosen = parser.parse_args(argv)
    install_tools()
    install_aider()
    clients = [client for client in REFUSED if chosen.only is None or client.name in chosen.only]
    cases = [case for case in CASES if chosen.case is None or case.name in chosen.case]
    seen: list[Seen] = []
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="switchyard-refusals-") as home, gateway(Path(home) / "gateway") as running:
        for client in clients:
            for case in cases:
                if case.more and not client.takes_turns:
                    continue
                one = see(client, case, running, Path(home) / f"{client.name}-{case.name}")
                seen.append(one)
                print(
                    f"  {client.name:18} {case.name:9} {'passed' if not one.problem else 'FAILED'}  "
                    f"{one.ended.took_s:5.1f} s  {one.statuses} waited {one.waited_s} exit {one.ended.exit_code}\n"
                    f"      {one.excerpt[:300]}",
                    flush=True,
                )
                if one.problem:
                    print(f"    {one.problem}\n    ... {one.said[-600:]}", flush=True)
    failures = [one for one in seen if one.problem]
    if chosen.markdown:
        print(table_of(seen))
    print(f"{len(seen) - len(failures)} passed, {len(failures)} failed in {time.monotonic() - begun_s:.0f} s")
    return 1 if failures else 0


def table_of(seen: Sequence[Seen]) -> str:
    """A row for each client, a column for each case: statuses, seconds to the end, exit code."""
    cases = list(dict.fromkeys(one.case.name for one in seen))
    rows = [f"| client | version | {' | '.join(cases)} |", "| --- " * (len(cases) + 2) + "|"]
    for client in dict.fromkeys(one.client for one in seen):
        of_client = {one.case.name: one for one in seen if one.client == client}
        cells = [
            f"{' '.join(map(str, of_client[case].statuses))}; {of_client[case].ended.took_s:.0f} s, "
            f"exit {of_client[case].ended.exit_code}"
            if case in of_client
            else ""
            for case in cases
        ]
        rows.append(f"| {client.name} | {client.version} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
