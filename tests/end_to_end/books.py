"""Compare the ledger with the simulated provider's own books."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.end_to_end.load import Seen
from tests.end_to_end.stack import Stack, until

TOKEN_COLUMNS = (
    "input_fresh",
    "input_tool",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "cache_write_other",
    "output",
    "reasoning",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found; `faults` is empty when the books agree."""

    rows: int
    exact: int
    estimated: int
    faults: tuple[str, ...]

    def __str__(self) -> str:
        summary = f"{self.rows} rows, {self.exact} equal to the provider's, {self.estimated} estimated"
        return summary + "".join(f"\n  {fault}" for fault in self.faults[:20])


def compare(stack: Stack, seen: list[Seen], since_ms: int) -> Verdict:
    """Judge every exchange of a run.

    An answer its client saw complete has exactly one row with the provider's numbers. Every exchange whose head its
    client saw has exactly one row. A row the provider's books do not confirm is marked estimated or counted.
    """
    provider = {
        record["id"]: record
        for record in stack.ledger_of_provider()
        if record["at_ms"] >= since_ms and record["kind"] == "generate"
    }
    rows = _live_rows(stack, since_ms)
    faults: list[str] = []
    by_exchange: dict[str, list[dict[str, Any]]] = defaultdict(list)
    by_provider_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_exchange[row["exchange_id"]].append(row)
        if row["upstream_request_id"]:
            by_provider_id[row["upstream_request_id"]].append(row)
    for exchange_id, found in by_exchange.items():
        if len(found) > 1:
            faults.append(f"exchange {exchange_id} has {len(found)} live rows: {Counter(row['kind'] for row in found)}")
    exact = 0
    for one in seen:
        if one.request_id and not by_exchange.get(one.request_id) and one.status == 200:
            faults.append(f"exchange {one.request_id} (status {one.status}) has no row")
        if not one.is_complete:
            continue
        found = by_provider_id.get(one.provider_request_id, [])
        record = provider.get(one.provider_request_id)
        if record is None:
            faults.append(f"provider does not know {one.provider_request_id}")
        elif len(found) != 1:
            faults.append(f"complete answer {one.provider_request_id} has {len(found)} rows")
        elif found[0]["kind"] == "final" and any(found[0][name] != record["usage"][name] for name in TOKEN_COLUMNS):
            difference = {name: (found[0][name], record["usage"][name]) for name in TOKEN_COLUMNS}
            faults.append(f"{one.provider_request_id} counts differ (ours, theirs): {difference}")
        elif found[0]["kind"] == "final":
            exact += 1
        elif found[0]["kind"] != "estimated":
            faults.append(f"complete answer {one.provider_request_id} is {found[0]['kind']}")
    for row in rows:
        if row["kind"] == "final" and row["outcome"] == "served" and row["upstream_request_id"] not in provider:
            faults.append(f"row {row['exchange_id']} is final, and the provider never served it")
    reached = len(provider)
    if len(rows) < reached:
        faults.append(f"the provider served {reached} requests, the ledger has {len(rows)} rows")
    estimated = sum(row["kind"] == "estimated" for row in rows)
    return Verdict(len(rows), exact, estimated, tuple(faults))


def wait_until_settled(stack: Stack, since_ms: int, limit_s: float = 60) -> None:
    """Wait until no usage is on its way: spools empty, inbox empty, and no row came for a moment."""
    last = -1

    def is_quiet() -> bool:
        nonlocal last
        with psycopg.connect(stack.local["database_url"]) as connection:
            waiting = connection.execute("SELECT count(*) FROM usage_inboxbatch").fetchone()
            rows = connection.execute("SELECT count(*) FROM usage_ledger").fetchone()
        assert waiting is not None
        assert rows is not None
        quiet = waiting[0] == 0 and rows[0] == last and stack.spools_are_empty()
        last = rows[0]
        return quiet

    until(is_quiet, limit_s, "usage did not settle", every_s=1.0)


def _live_rows(stack: Stack, since_ms: int) -> list[dict[str, Any]]:
    """Rows that stand: reversed ones and their reversals are left out."""
    with psycopg.connect(stack.local["database_url"], row_factory=dict_row) as connection:
        found = connection.execute(
            "SELECT * FROM usage_ledger WHERE started_at >= to_timestamp(%s / 1000.0) AND attempt > 0", (since_ms,)
        ).fetchall()
    reversed_keys = {(row["exchange_id"], row["attempt"]) for row in found if row["kind"] == "reversal"}
    return [
        row
        for row in found
        if row["kind"] != "reversal"
        and not (row["kind"] == "estimated" and (row["exchange_id"], row["attempt"]) in reversed_keys)
    ]
