"""Where a cache that was there was not used: at which turn, why, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.sessions.analysis.costing import Prices, caching_would_save, lost_money
from control_plane.sessions.analysis.findings import Cause, Finding, Kind
from control_plane.sessions.analysis.lifetimes import IMPLICIT_LIFETIME_S, LEAST_PREFIX, Kept, kept_after
from control_plane.sessions.analysis.strands import shared_marks
from control_plane.sessions.analysis.turns import Target, Turn

SHRUNK_PERCENT = 60
"""A history that is shorter than so much of the one before was compacted, or begun anew."""
LEAST_TURNS_UNCACHED = 5
"""So many turns without any cache are a habit."""
MARKS_KIB = (0, 1, 4, 16, 64)


@dataclass(frozen=True, slots=True)
class Numbered:
    """A turn with its number in its strand and what it should have found in a cache."""

    number: int
    turn: Turn
    expected: int = 0
    """Tokens of the prefix that the turn before left in a cache; 0: none could be expected."""
    lost: int = 0
    lost_nano_usd: int = 0


def cache_findings(agent_id: str, turns: Sequence[Turn], prices: Prices) -> tuple[list[Numbered], list[Finding]]:
    """Walk a strand in time order and compare what each turn read with what was there to be read."""
    numbered: list[Numbered] = []
    findings: list[Finding] = []
    kept: dict[Target, Kept] = {}
    caching: set[Target] = set()
    before: Turn | None = None
    for number, turn in enumerate(turns, start=1):
        if not turn.prompt:
            # Nothing was billed: it failed before the provider read it, and left every cache as it was.
            numbered.append(Numbered(number, turn))
            continue
        left = kept.get(before.target) if before is not None else None
        finding = None
        expected = lost = 0
        if before is not None and left is not None:
            expected = min(left.prefix, turn.prompt)
            lost = expected - turn.tokens.cache_read
            if lost >= left.slack(expected):
                finding = _finding(agent_id, number, before, turn, left, lost, prices)
            else:
                lost = 0
        if finding is None and before is not None:
            finding = _change_without_loss(agent_id, number, before, turn)
        if finding is not None:
            findings.append(finding)
        numbered.append(Numbered(number, turn, expected, lost, finding.money_nano_usd if finding else 0))
        if turn.tokens.cache_read:
            caching.add(turn.target)
        now_kept = kept_after(turn, kept.get(turn.target), is_caching=turn.target in caching)
        if now_kept is not None:
            kept[turn.target] = now_kept
        else:
            kept.pop(turn.target, None)
        before = turn
    findings += _never_cached(agent_id, turns, prices)
    return numbered, findings


def _finding(agent_id: str, number: int, before: Turn, turn: Turn, left: Kept, lost: int, prices: Prices) -> Finding:
    kind, cause, detail = _why(before, turn, left)
    return Finding(
        kind=kind,
        cause=cause,
        turn=number,
        exchange_id=turn.exchange_id,
        at_ms=turn.at_ms,
        agent_id=agent_id,
        money_nano_usd=lost_money(turn, lost, prices),
        lost_tokens=lost,
        detail=detail,
    )


def _why(before: Turn, turn: Turn, left: Kept) -> tuple[Kind, Cause, dict[str, object]]:
    """The first cause that explains a loss. What changed comes before time: it would have been lost in time too."""
    if _is_compacted(before, turn):
        return Kind.COMPACTION, Cause.COMPACTED, _sizes(before, turn)
    if before.target != turn.target:
        return _moved(before, turn)
    if changed := _changed(before, turn, left):
        return Kind.CACHE_BREAK, *changed
    idle_s = (turn.at_ms - left.touched_ms) // 1000
    if idle_s > left.lifetime_s:
        return Kind.COLD_CACHE, Cause.IDLE, {"idle_s": idle_s, "lifetime_s": left.lifetime_s}
    if before.facts is None or turn.facts is None:
        return Kind.CACHE_BREAK, Cause.UNTOLD, {}
    return Kind.CACHE_BREAK, Cause.PROVIDER_MISSED, {"provider": turn.target.provider}


def _is_compacted(before: Turn, turn: Turn) -> bool:
    if before.facts is None or turn.facts is None:
        return turn.prompt * 100 < before.prompt * SHRUNK_PERCENT
    return turn.facts.history_bytes * 100 < before.facts.history_bytes * SHRUNK_PERCENT


def _sizes(before: Turn, turn: Turn) -> dict[str, object]:
    return {"before": before.prompt, "after": turn.prompt}


def _moved(before: Turn, turn: Turn) -> tuple[Kind, Cause, dict[str, object]]:
    detail: dict[str, object] = {"before": before.target.told, "after": turn.target.told}
    if _is_failover(turn) or _is_failover(before):
        return Kind.FAILOVER, Cause.FAILED_OVER, detail
    if "downgrade" in (turn.stage, before.stage):
        return Kind.MODEL_CHANGE, Cause.DOWNGRADED, detail
    if before.requested_model != turn.requested_model:
        return Kind.MODEL_CHANGE, Cause.MODEL_CHANGED, detail
    return Kind.MODEL_CHANGE, Cause.REROUTED, detail


def _is_failover(turn: Turn) -> bool:
    """Whether another target than the first answered; the way back from there is its consequence too."""
    return turn.first_target is not None and turn.first_target != turn.target


def _changed(before: Turn, turn: Turn, left: Kept) -> tuple[Cause, dict[str, object]] | None:
    """What of the request itself is not as it was; None: nothing, or it was not told."""
    old, new = before.facts, turn.facts
    if old is None or new is None:
        return None
    if old.tools != new.tools:
        return Cause.TOOLS_CHANGED, {}
    if old.system != new.system:
        return Cause.SYSTEM_CHANGED, {}
    shared = shared_marks(old, new)
    if shared < min(len(old.marks), len(new.marks)):
        return Cause.HISTORY_REWRITTEN, {"after_kib": MARKS_KIB[shared], "within_kib": MARKS_KIB[shared + 1]}
    if new.history_bytes < old.history_bytes:
        return Cause.HISTORY_REWRITTEN, {"after_kib": MARKS_KIB[min(shared, len(MARKS_KIB) - 1)]}
    if left.is_explicit and not turn.written and not turn.tokens.cache_read:
        return Cause.MARKS_GONE, {}
    return None


def _change_without_loss(agent_id: str, number: int, before: Turn, turn: Turn) -> Finding | None:
    """A compaction or a change of model is told even where no cache was lost by it."""
    if _is_compacted(before, turn):
        kind, cause, detail = Kind.COMPACTION, Cause.COMPACTED, _sizes(before, turn)
    elif before.target != turn.target:
        kind, cause, detail = _moved(before, turn)
    else:
        return None
    return Finding(kind, cause, number, turn.exchange_id, turn.at_ms, agent_id, detail=detail)


def _never_cached(agent_id: str, turns: Sequence[Turn], prices: Prices) -> list[Finding]:
    """One finding for a strand that could have used a cache and never did."""
    read = [turn for turn in turns if turn.prompt]
    if len(read) < LEAST_TURNS_UNCACHED or any(turn.tokens.cache_read or turn.written for turn in read):
        return []
    is_marked = any(
        (price := prices.get(turn.price_version)) is not None and price.rates.cache_write_5m is not None
        for turn in read
    )
    saved = shared_tokens = 0
    previous: Turn | None = None
    for turn in read:
        shared = 0
        if previous is not None and previous.target == turn.target and previous.prompt >= LEAST_PREFIX:
            is_warm = turn.at_ms - previous.touched_ms <= IMPLICIT_LIFETIME_S * 1000
            shared = min(previous.prompt, turn.prompt) if is_warm else 0
        saved += caching_would_save(turn, shared, prices, is_marked=is_marked)
        shared_tokens += shared
        previous = turn
    if saved <= 0:
        return []
    first = read[0]
    return [
        Finding(
            Kind.NEVER_CACHED,
            Cause.NO_MARKS if is_marked else Cause.NO_CACHE,
            1,
            first.exchange_id,
            first.at_ms,
            agent_id,
            saved,
            shared_tokens,
            {"turns": len(read)},
        )
    ]
