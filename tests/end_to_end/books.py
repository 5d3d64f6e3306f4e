"""Compare the ledger with the simulated provider's own books, and with its own roll-ups."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from control_plane.usage.entries import REVERSAL, reversal_revision
from tests.end_to_end.load import MARKER_HEADER, Seen
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
ROLL_UPS = ("usage_usagehour", "usage_usageday", "usage_teamminute", "usage_teamhour", "usage_teamday")
"""Whichever of these there are sum every row."""
MARKED = ("counted", "estimated", "orphan_estimated")
"""Kinds that say of themselves that the provider's number is not known."""
# A reversal's revision ends with how sure the row was that it takes back.
_LEDGER_SUMS = """
SELECT COALESCE(sum(CASE kind WHEN 'reversal' THEN -1 WHEN 'adjustment' THEN 0 ELSE 1 END)
           FILTER (WHERE attempt <= 1), 0) AS requests,
       COALESCE(sum(input_fresh), 0) AS input_fresh, COALESCE(sum(cache_read), 0) AS cache_read,
       COALESCE(sum(output), 0) AS output, COALESCE(sum(cost_nano_usd), 0) AS cost_nano_usd
FROM usage_ledger
"""
_SUMMED = ("requests", "input_fresh", "cache_read", "output", "cost_nano_usd")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found; `faults` is empty when the books agree."""

    rows: int
    exact: int
    kinds: Counter[str] = field(default_factory=Counter)
    """Standing rows by how sure they are."""
    served: int = 0
    """Requests in the provider's books."""
    never_served: int = 0
    """Marked rows that no request of the provider stands behind: the pod died on its way there."""
    faults: tuple[str, ...] = ()

    @property
    def estimated(self) -> int:
        return self.kinds["estimated"]

    @property
    def counted(self) -> int:
        return self.kinds["counted"]

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        summary = f"{self.rows} rows ({kinds}), {self.exact} equal to the provider's"
        return summary + "".join(f"\n  {fault}" for fault in self.faults[:20])


def compare(stack: Stack, seen: Sequence[Seen], since_ms: int) -> Verdict:
    """Judge every exchange of a run.

    - One row stands for each attempt.
    - What the provider served stands in the ledger once; unmarked, with the provider's numbers.
    - An exchange whose head its client saw has a row; an answer that was seen complete is not marked counted.
    - A final row of a served exchange is in the provider's books.
    - None broke in our own code.
    """
    provider = [record for record in stack.ledger_of_provider(since_ms) if record["kind"] == "generate"]
    found = _rows(stack, since_ms)
    rows = standing(found)
    books = _Books(rows, provider)
    faults = [*_not_one_each(found), *books.faults_of_provider(), *books.faults_of_clients(seen), *books.unserved()]
    attempts = [row for row in rows if row["attempt"] > 0]
    return Verdict(
        rows=len(attempts),
        exact=books.exact,
        kinds=Counter(row["kind"] for row in attempts),
        served=len(provider),
        never_served=books.never_served,
        faults=tuple(faults),
    )


class _Books:
    def __init__(self, rows: Iterable[dict[str, Any]], provider: Sequence[dict[str, Any]]) -> None:
        self.exact = 0
        self.never_served = 0
        self._rows = [row for row in rows if row["attempt"] > 0]
        self._refusals = {row["exchange_id"] for row in rows if row["attempt"] == 0}
        self._provider = provider
        self._by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._by_provider_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._by_exchange: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows:
            self._by_trace[_trace_of(row)].append(row)
            self._by_exchange[row["exchange_id"]].append(row)
            if row["upstream_request_id"]:
                self._by_provider_id[row["upstream_request_id"]].append(row)

    def faults_of_provider(self) -> Iterable[str]:
        """What the provider served, and the ledger has not, has twice or has with other numbers."""
        served: Counter[str] = Counter(self._marker(record) for record in self._provider)
        for marker, count in served.items():
            if len(self._by_trace[marker]) < count:
                yield f"the provider served {marker} {count} times, the ledger has {len(self._by_trace[marker])} rows"
        for record in self._provider:
            rows = self._by_provider_id[record["id"]]
            if len(rows) > 1:
                yield f"{record['id']} has {len(rows)} rows: {[row['exchange_id'] for row in rows]}"
            elif not rows and not self._has_marked(self._marker(record)):
                yield f"{record['id']} ({self._marker(record)}) has no row, not even a marked one"
            elif rows and rows[0]["kind"] == "final":
                if rows[0]["outcome"] == "failed" and not record["completed"]:
                    continue
                usage = record["usage"]
                difference = {
                    name: (rows[0][name], usage[name]) for name in TOKEN_COLUMNS if rows[0][name] != usage[name]
                }
                if difference:
                    yield f"{record['id']} {rows[0]['exchange_id']} differs (ours, theirs): {difference}"
                else:
                    self.exact += 1

    def faults_of_clients(self, seen: Iterable[Seen]) -> Iterable[str]:
        for one in seen:
            rows = self._by_trace[one.trace_id]
            has_row = bool(rows) or one.request_id in self._refusals
            if one.status == 200 and not has_row:
                yield f"exchange {one.request_id} (status {one.status}) has no row"
            if one.is_complete and not any(row["kind"] in ("final", "estimated") for row in rows):
                yield f"complete answer {one.request_id} is {[row['kind'] for row in rows]}"

    def unserved(self) -> Iterable[str]:
        """Rows that the provider's books do not confirm."""
        known = {record["id"] for record in self._provider}
        markers = {self._marker(record) for record in self._provider}
        for row in self._rows:
            if row["outcome"] == "internal":
                yield f"exchange {row['exchange_id']} ({row['protocol']}) broke in the gateway"
            if row["kind"] in MARKED:
                self.never_served += _trace_of(row) not in markers
            elif row["outcome"] == "served" and row["upstream_request_id"] not in known:
                yield f"row {row['exchange_id']} is final, and the provider never served it"

    def _has_marked(self, marker: str) -> bool:
        """A marked row whose pod died before it knew the provider's name for the request."""
        return any(row["kind"] in MARKED and not row["upstream_request_id"] for row in self._by_trace[marker])

    def _marker(self, record: dict[str, Any]) -> str:
        return str(record["headers"].get(MARKER_HEADER, ""))


def _trace_of(row: dict[str, Any]) -> str:
    parts = str(row["traceparent"]).split("-")
    return parts[1] if len(parts) == 4 else ""


def _not_one_each(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    signs: Counter[tuple[str, int]] = Counter()
    for row in rows:
        signs[row["exchange_id"], row["attempt"]] += -1 if row["kind"] == REVERSAL else 1
    for (exchange_id, attempt), sign in signs.items():
        if sign != 1:
            yield f"exchange {exchange_id} attempt {attempt} has {sign} standing rows"


def standing(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that stand: reversed ones and their reversals are left out."""
    undone = {(row["exchange_id"], row["attempt"], row["revision"]) for row in rows if row["kind"] == REVERSAL}
    return [
        row
        for row in rows
        if row["kind"] != REVERSAL
        and (row["exchange_id"], row["attempt"], reversal_revision(row["kind"], row["revision"])) not in undone
    ]


def sums_that_disagree(stack: Stack) -> list[str]:
    """Roll-ups whose sum is not the ledger's. To be asked when nothing is on its way."""
    with psycopg.connect(stack.local["database_url"], row_factory=dict_row) as connection:
        ledger = connection.execute(_LEDGER_SUMS).fetchone()
        assert ledger is not None
        faults = []
        for table in ROLL_UPS:
            is_there = connection.execute("SELECT to_regclass(%s) AS name", (table,)).fetchone()
            if is_there is None or is_there["name"] is None:
                continue
            sums = sql.SQL(", ").join(
                sql.SQL("COALESCE(sum({name}), 0) AS {name}").format(name=sql.Identifier(name)) for name in _SUMMED
            )
            found = connection.execute(sql.SQL("SELECT {} FROM {}").format(sums, sql.Identifier(table))).fetchone()
            assert found is not None
            faults += [
                f"{table}.{name} sums to {found[name]}, the ledger to {ledger[name]}"
                for name in _SUMMED
                if found[name] != ledger[name]
            ]
    return faults


def incomplete(stack: Stack) -> list[str]:
    """What the control plane itself says is missing, estimated, odd or refused; it must know of nothing.

    No disk is lost here, so an orphan is a false one (docs/decisions/0178-nothing-was-sent.md).
    """
    said = stack.api("GET", "completeness")
    faults = [] if not said["missing"] and not said["orphans"] else [f"completeness is {said}"]
    for what in ("quarantined-events", "missing-events"):
        rows = stack.api("GET", f"{what}?is_open=true&limit=5")["results"]
        faults += [f"{what}: {row}" for row in rows]
    with psycopg.connect(stack.local["database_url"]) as connection:
        refused = connection.execute("SELECT pod_id, reason, detail, count FROM usage_refusedreport").fetchall()
    return faults + [f"a report was refused: {row}" for row in refused]


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


def _rows(stack: Stack, since_ms: int) -> list[dict[str, Any]]:
    """All rows of exchanges since then, in the order of their exchanges."""
    with psycopg.connect(stack.local["database_url"], row_factory=dict_row) as connection:
        return connection.execute(
            "SELECT * FROM usage_ledger WHERE started_at >= to_timestamp(%s / 1000.0) AND kind <> 'adjustment'"
            " ORDER BY exchange_id, attempt",
            (since_ms,),
        ).fetchall()
