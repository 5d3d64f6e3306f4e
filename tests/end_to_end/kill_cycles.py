"""Kill a random process at a random moment, again and again, under load; then compare the books.

`python -m tests.end_to_end.kill_cycles --cycles 200 --seed 1 --report docs/reports/kill-cycles.md`

The seed decides who is killed when, in which protocol each request asks, which of them stream and whose client goes
away in the middle. What cannot be decided is how fast the machine is, so a run repeats in its schedule and not to the
millisecond. After each block of cycles the load ends, everything settles, and the ledger is held against the simulated
provider's own books.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.end_to_end.books import Verdict, compare, incomplete, sums_that_disagree, wait_until_settled
from tests.end_to_end.load import Load, Mixed
from tests.end_to_end.stack import ROOT, Stack, call_json, start_stack, until

RATE_PER_S = 50.0
BLOCK = 20
# The same length as the default, in fewer pieces: the machine is to be busy with restarts, not with frames.
BEHAVIOUR = "sim-text-12-delay60"
VICTIMS = ("pod", "web", "grpc", "worker", "beat", "broker", "counters", "postgresql")
"""broker: the Valkey of the broker and the caches; counters: the Valkey of rates and budgets."""
VENDORS = (("anthropic-main", "anthropic"), ("openai-main", "openai"), ("gemini-main", "gemini"))
LEAST_COMPLETE = 0.5
"""Of all answers whose clients stayed. A fleet that refuses everything keeps its books in order, too."""
# The supervisor waits ever longer before it starts what keeps dying. That is right on a machine and would make most of
# this run a wait, so here a process counts as steady after a moment.
_UP = """
import deploy.command
import deploy.local.supervisor
deploy.local.supervisor.STEADY_AFTER_S = 1.0
raise SystemExit(deploy.command.main())
"""


@dataclass(frozen=True, slots=True)
class Kill:
    """One victim, and how long after the former cycle."""

    victim: str
    after_s: float
    waits: bool
    """Whether everything is up again before the next kill; otherwise it comes into the restart."""


@dataclass(frozen=True, slots=True)
class Block:
    """So many cycles, and how the books stood after them."""

    kills: tuple[Kill, ...]
    requests: int
    complete: int
    hung_up: int
    refused: int
    cut: int
    """No complete answer, and not by the client's wish: the pod or the way to it was killed."""
    took_s: float
    verdict: Verdict
    faults: tuple[str, ...]
    """Of the books as a whole: sums that disagree, gaps, batches that wait."""

    @property
    def all_faults(self) -> tuple[str, ...]:
        return (*self.verdict.faults, *self.faults)


@dataclass
class Cycles:
    """A run on an installation. seed: decides everything that is decided by chance."""

    stack: Stack
    keys: Sequence[str]
    seed: int
    rate_per_s: float = RATE_PER_S
    longest_pause_s: float = 1.5
    waits: float = 0.7
    """The share of kills after which everything is up again before the next one."""
    blocks: list[Block] = field(default_factory=list)
    _first_number: int = 0

    pods: int = field(init=False)

    def __post_init__(self) -> None:
        self.pods = len(self.stack.local["pod_admin_urls"])

    def schedule(self, block: int, count: int) -> tuple[Kill, ...]:
        """Who dies when in a block: the same for the same seed. All victims come before one comes again."""
        chance = random.Random(f"{self.seed}:{block}")
        kills: list[Kill] = []
        while len(kills) < count:
            for victim in chance.sample(VICTIMS, len(VICTIMS)):
                name = f"pod-{chance.randint(1, self.pods)}" if victim == "pod" else victim
                kills.append(
                    Kill(name, round(chance.uniform(0.1, self.longest_pause_s), 2), chance.random() < self.waits)
                )
        return tuple(kills[:count])

    async def run_block(self, count: int) -> Block:
        """Kill so many, let everything settle, and compare."""
        kills = self.schedule(len(self.blocks), count)
        since_ms, begun_s = time.time_ns() // 1_000_000, time.monotonic()
        load = Load(
            self.stack.gateway_url,
            self.keys,
            self.rate_per_s,
            behaviour=BEHAVIOUR,
            ask_of=Mixed(self.seed),
            first_number=self._first_number,
        )
        running = asyncio.create_task(load.run())
        try:
            for kill in kills:
                await asyncio.sleep(kill.after_s)
                await asyncio.to_thread(self._kill, kill)
            await asyncio.to_thread(until, self.stack.is_ready, 120, "not ready after the last kill")
        finally:
            load.stop()
            await running
        await asyncio.to_thread(wait_until_settled, self.stack, since_ms, 120)
        self._first_number += len(load.seen)
        verdict = await asyncio.to_thread(compare, self.stack, load.seen, since_ms)
        faults = await asyncio.to_thread(sums_that_disagree, self.stack)
        faults += await asyncio.to_thread(incomplete, self.stack)
        stayed = [one for one in load.seen if not one.hung_up]
        complete = sum(one.is_complete for one in stayed)
        if complete < LEAST_COMPLETE * len(stayed):
            faults.append(f"only {complete} of {len(stayed)} answers were complete")
        block = Block(
            kills=kills,
            requests=len(load.seen),
            complete=complete,
            hung_up=sum(one.hung_up for one in load.seen),
            refused=sum(not one.is_complete and one.status not in (0, 200) for one in stayed),
            cut=sum(not one.is_complete and one.status in (0, 200) for one in stayed),
            took_s=time.monotonic() - begun_s,
            verdict=verdict,
            faults=tuple(faults),
        )
        self.blocks.append(block)
        return block

    def _kill(self, kill: Kill) -> None:
        # A process that a former cycle killed may not be back yet.
        until(lambda: kill.victim in self.stack.local["pids"], 90, f"{kill.victim} was not restarted")
        with suppress(ProcessLookupError, KeyError):
            # It died of what was killed before it.
            old = self.stack.kill(kill.victim)
            if kill.waits:
                self.stack.wait_for_new_pid(kill.victim, old, 90)
                until(self.stack.is_ready, 120, f"not ready after {kill.victim} was killed")


def organizations_add(stack: Stack, count: int) -> list[str]:
    """Add tenants with providers of their own; a key of each."""
    keys = []
    for number in range(count):
        slug = f"tenant-{number}-{time.time_ns() % 1_000_000_000}"
        made = stack.api("POST", "organizations", {"slug": slug, "name": slug})
        keys.append(_organization_equip(stack, made["admin_token"]))
    return keys


def _organization_equip(stack: Stack, token: str) -> str:
    def api(method: str, path: str, body: object = None) -> Any:
        return call_json(method, f"{stack.console_url}/api/v1/{path}", token, body)

    for name, vendor in VENDORS:
        api(
            "POST",
            "providers",
            {
                "name": name,
                "vendor": vendor,
                "base_url": stack.provider_url,
                "credential": {"value": f"sim-{name}"},
                "models": ["*"],
            },
        )
        api("POST", "virtual-models/offer", {"provider": name})
    api("POST", "access-rules", {"name": "everything", "allow": {}})
    # A budget, so that money is reserved in the counter store and settled from the spool.
    api("POST", "budgets", {"name": "all", "limit_usd": "100000", "period": "month"})
    team = api("POST", "teams", {"name": "platform"})
    me = api("GET", "users?limit=1")["results"][0]
    made = api("POST", "keys?wait=applied", {"name": "cycles", "owner": {"user": me["id"]}, "team": team["id"]})
    return str(made["key"])


def report_of(cycles: Cycles, arguments: Sequence[str], begun: datetime) -> str:
    """The run as a page: verdict, counts, schedule."""
    blocks = cycles.blocks
    kills = [kill for block in blocks for kill in block.kills]
    kinds: Counter[str] = Counter()
    for block in blocks:
        kinds.update(block.verdict.kinds)
    faults = [fault for block in blocks for fault in block.all_faults]
    rows = sum(block.verdict.rows for block in blocks)
    exact = sum(block.verdict.exact for block in blocks)
    lines = [
        "# Kill cycles",
        "",
        "A random process is killed at a random moment, again and again, while clients ask in every protocol. Then "
        "the ledger is held against the simulated provider's own books: `tests/end_to_end/kill_cycles.py`. This page "
        "is what the run wrote.",
        "",
        f"**Verdict: {'the books agree' if not faults else f'{len(faults)} faults'}.** "
        f"{len(kills)} kills, {sum(block.requests for block in blocks):,} requests, {rows:,} rows of attempts; "
        f"{exact:,} are the provider's numbers exactly, {rows - exact:,} are marked or were never billed.",
        "",
        "| | |",
        "|---|---|",
        f"| Command | `python -m tests.end_to_end.kill_cycles {' '.join(arguments)}` |",
        f"| Commit | `{_commit()}` |",
        f"| Begun | {begun:%Y-%m-%d %H:%M} UTC, took {sum(block.took_s for block in blocks) / 60:.0f} min |",
        f"| Machine | {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()} |",
        f"| Load | {cycles.rate_per_s:g} requests/s, 70 % streams, 5 % hang-ups, four protocols, "
        f"{len(cycles.keys)} organizations, {cycles.pods} pods |",
        f"| Killed | {_counted(Counter(kill.victim.split('-')[0] for kill in kills))} |",
        f"| Rows that stand | {_counted(kinds)} |",
        f"| Served by the provider | {sum(block.verdict.served for block in blocks):,} |",
        f"| Marked, and never served | {sum(block.verdict.never_served for block in blocks)} |",
        "| Lost, or twice | " + ("0 |" if not faults else "see the faults |"),
        "",
        "Unmarked rows are of kind `final`. `counted`: the client left or the answer was cut, and what passed was "
        "counted. `estimated`: the pod was killed while the answer ran. A marked row that was never served is of a "
        "request whose pod was killed before the provider had it.",
        "",
        "## Blocks",
        "",
        "After each block the load ended, spools and inbox emptied, and the books were compared; so were the sums of "
        "the ledger and of its roll-ups, and whether the control plane itself knows of a gap in a pod's numbers, of an "
        "event in quarantine or of a report that was refused.",
        "",
        "| block | kills | requests | complete | hung up | cut | refused | rows | exact | counted | estimated | took "
        "| faults |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for number, block in enumerate(blocks, start=1):
        verdict = block.verdict
        lines.append(
            f"| {number} | {len(block.kills)} | {block.requests} | {block.complete} | {block.hung_up} | {block.cut} | "
            f"{block.refused} | {verdict.rows} | {verdict.exact} | {verdict.counted} | {verdict.estimated} | "
            f"{block.took_s:.0f} s | {len(block.all_faults)} |"
        )
    lines += ["", "## Faults", "", *([f"- {fault}" for fault in faults[:100]] or ["None."])]
    lines += ["", "## Schedule", "", "Victim and seconds after the former cycle; `+`: the next kill did not wait.", ""]
    for number, block in enumerate(blocks, start=1):
        text = ", ".join(f"{kill.victim} {kill.after_s:g}{'' if kill.waits else '+'}" for kill in block.kills)
        lines.append(f"{number}. {text}")
    return "\n".join(lines) + "\n"


def _commit() -> str:
    """What was run; empty outside of a repository."""
    asked = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, check=False)
    return asked.stdout.decode().strip()


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


async def run(
    stack: Stack, *, cycles: int, seed: int, organizations: int = 2, is_brief: bool = False, show: bool = False
) -> Cycles:
    """Add organizations, then run all cycles in blocks. is_brief: shorter pauses, and more kills into restarts."""
    keys = [stack.virtual_key, *await asyncio.to_thread(organizations_add, stack, organizations)]
    going = Cycles(stack, keys, seed)
    if is_brief:
        going.longest_pause_s, going.waits = 0.6, 0.3
    left = cycles
    while left > 0:
        block = await going.run_block(min(BLOCK, left))
        left -= len(block.kills)
        if show:
            print(f"block {len(going.blocks)}: {block.requests} requests in {block.took_s:.0f} s; {block.verdict}")
            print("".join(f"  {fault}\n" for fault in block.faults), end="", flush=True)
    return going


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=BLOCK)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pods", type=int, default=3)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    begun = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="kill-cycles-") as folder:
        command = (sys.executable, "-c", _UP, "up")
        with start_stack(Path(folder) / "home", pods=arguments.pods, command=command) as stack:
            try:
                going = asyncio.run(run(stack, cycles=arguments.cycles, seed=arguments.seed, show=True))
            except HTTPError as failure:
                print(json.dumps(json.load(failure), indent=1), file=sys.stderr)
                raise
    if arguments.report is not None:
        path = ROOT / arguments.report
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report_of(going, sys.argv[1:], begun))
    return 1 if any(block.all_faults for block in going.blocks) else 0


if __name__ == "__main__":
    raise SystemExit(main())
