"""Values of sessions as the REST API and CSV files write them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from control_plane.rest.fields import money
from control_plane.sessions.analysis.advice import advice, told
from control_plane.sessions.analysis.findings import Finding
from control_plane.sessions.analysis.session import Step
from control_plane.sessions.models import SessionSummary
from control_plane.sessions.selectors.listing import is_flagged
from control_plane.sessions.selectors.page import Branch, SessionTold
from control_plane.sessions.selectors.spend import CauseTotal, Outcome, Spend
from control_plane.usage.api.series import measures_out
from control_plane.usage.models import ConversationSession
from control_plane.usage.rollups import SUMS, Measures
from control_plane.usage.selectors.names import Names

CSV_HEAD = (
    *("id", "session", "user", "team", "key", "client", "client_version", "parent_session", "first_seen", "last_seen"),
    *("models", "agents", "repository", "requests", "turns", "prompt_tokens", "cache_read_tokens"),
    *("cache_share_per_mille", "is_flagged", "share_cause", "findings", "cost_nano_usd", "avoidable_nano_usd"),
    *("cold_nano_usd", "broken_nano_usd", "moved_nano_usd", "uncached_nano_usd", "loop_nano_usd"),
    "saved_cache_nano_usd",
)


def session_out(session: ConversationSession, names: Names, least_cache_share_per_mille: int) -> dict[str, Any]:
    summary = summary_of(session)
    return {
        "id": session.id.hex,
        "session": session.session_id,
        "client": session.client,
        "client_version": session.client_version,
        "user": names.principal(session.principal_id),
        "team": names.teams.get(session.team_id) if session.team_id else None,
        "key": session.key_id,
        "parent_session": session.parent_session_id,
        "is_derived": session.is_derived,
        "first_seen": session.first_seen.isoformat(),
        "last_seen": session.last_seen.isoformat(),
        "models": session.model_names,
        "agents": session.agent_ids,
        **measures_out(Measures(**{name: getattr(session, name) for name in SUMS})),
        "is_analysed": summary is not None and summary.moved_at >= session.moved_at,
        "turns": summary.turns if summary else 0,
        "repository": summary.repository if summary else "",
        "most_context_tokens": summary.most_context if summary else 0,
        "is_flagged": summary is not None and is_flagged(summary, least_cache_share_per_mille),
        "share_cause": summary.share_cause if summary else "",
        "findings": summary.finding_kinds if summary else [],
        "avoidable_nano_usd": summary.avoidable_nano_usd if summary else 0,
        "avoidable_usd": money(summary.avoidable_nano_usd if summary else 0),
        "saved_by_cache_nano_usd": summary.saved_cache_nano_usd if summary else 0,
    }


def summary_of(session: ConversationSession) -> SessionSummary | None:
    """Its summary, where somebody has looked at it already."""
    summary: SessionSummary | None = getattr(session, "summary", None)
    return summary


def detail_out(told_session: SessionTold) -> dict[str, Any]:
    """What only the page of one session has, apart from children and curve."""
    analysis = told_session.analysis
    sums = analysis.sums
    return {
        "timeline": [turn_out(strand.agent_id, step) for strand in analysis.strands for step in strand.steps],
        "finding_list": [finding_out(finding) for finding in analysis.findings],
        "tree": branch_out(told_session.tree),
        "times": {"tool_ms": sums.tool_ms, "person_ms": sums.person_ms, "model_ms": sums.model_ms},
        "compactions": sums.compactions,
        "model_changes": sums.model_changes,
        "failovers": sums.failovers,
        "repeated_requests": sums.repeats,
        "gateway_retries": sums.gateway_retries,
        "is_partial": told_session.is_partial,
    }


def turn_out(agent_id: str, step: Step) -> dict[str, Any]:
    turn = step.turn
    return {
        "turn": step.number,
        "agent": agent_id,
        "exchange": turn.exchange_id,
        "at": instant(turn.at_ms),
        "model": turn.target.model,
        "provider": turn.target.provider,
        "outcome": turn.outcome,
        "stop_reason": turn.stop_reason,
        "cost_nano_usd": turn.cost_nano_usd,
        "prompt": turn.prompt,
        "cache_read": turn.tokens.cache_read,
        "cache_expected": step.expected,
        "output": turn.tokens.output + turn.tokens.reasoning,
        "tool_ms": step.tool_ms,
        "person_ms": step.person_ms,
        "duration_ms": turn.ended_ms - turn.at_ms,
        "is_repeat": step.is_repeat,
        "attempts": turn.attempts,
    }


def finding_out(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "cause": finding.cause.value,
        "turn": finding.turn,
        "agent": finding.agent_id,
        "exchange": finding.exchange_id,
        "at": instant(finding.at_ms),
        "cost_nano_usd": finding.money_nano_usd,
        "cost_usd": money(finding.money_nano_usd),
        "lost_tokens": finding.lost_tokens,
        "is_avoidable": finding.is_avoidable,
        "sentence": told(finding),
        "advice": advice(finding.cause, finding.detail),
    }


def branch_out(branch: Branch) -> dict[str, Any]:
    return {
        "session": branch.row_id.hex if branch.row_id else None,
        "name": branch.name,
        "client": branch.client,
        "models": list(branch.models),
        "own_turns": branch.own_turns,
        "own_cost_nano_usd": branch.own_cost_nano_usd,
        "turns": branch.turns,
        "cost_nano_usd": branch.cost_nano_usd,
        "avoidable_nano_usd": branch.avoidable_nano_usd,
        "children": [branch_out(child) for child in branch.children],
    }


def spend_out(spend: Spend) -> dict[str, Any]:
    share = spend.cache_read_tokens / spend.prompt_tokens if spend.prompt_tokens else None
    return {
        **asdict(spend),
        "cache_read_share": None if share is None else round(share, 4),
        "avoidable_usd": money(spend.avoidable_nano_usd),
    }


def cause_out(total: CauseTotal) -> dict[str, Any]:
    return {
        "kind": total.kind,
        "cause": total.cause.value,
        "is_avoidable": total.is_avoidable,
        "findings": total.findings,
        "cost_nano_usd": total.money_nano_usd,
        "cost_usd": money(total.money_nano_usd),
        "lost_tokens": total.lost_tokens,
        "advice": advice(total.cause),
    }


def outcome_out(outcome: Outcome) -> dict[str, Any]:
    return {
        "day": outcome.day.isoformat() if outcome.day else None,
        "model": outcome.model,
        "provider": outcome.provider,
        "provider_id": outcome.provider_id.hex if outcome.provider_id else None,
        "sessions": outcome.sessions,
        "turns": outcome.turns,
        "turns_per_session": round(outcome.turns / outcome.sessions, 2) if outcome.sessions else None,
        "tool_results": outcome.tool_results,
        "failed_tool_results": outcome.failed_tool_results,
        "repeated_requests": outcome.repeats,
        "gateway_retries": outcome.gateway_retries,
        "aborts": outcome.aborts,
        "errors": outcome.errors,
        "cost_nano_usd": outcome.cost_nano_usd,
        "stop_reasons": dict(outcome.stop_reasons),
    }


def csv_row(session: ConversationSession, names: Names, least_cache_share_per_mille: int) -> Sequence[object]:
    """A session as one line, in the order of CSV_HEAD. Names of sessions come from clients."""
    out = session_out(session, names, least_cache_share_per_mille)
    summary = summary_of(session) or SessionSummary()
    return (
        out["id"], out["session"], out["user"], out["team"], out["key"], out["client"], out["client_version"],
        out["parent_session"], out["first_seen"], out["last_seen"], " ".join(out["models"]), len(out["agents"]),
        out["repository"], out["requests"], out["turns"], summary.prompt_tokens, summary.cache_read_tokens,
        summary.cache_share_per_mille, int(out["is_flagged"]), out["share_cause"], " ".join(out["findings"]),
        out["cost_nano_usd"], summary.avoidable_nano_usd, summary.cold_nano_usd, summary.broken_nano_usd,
        summary.moved_nano_usd, summary.uncached_nano_usd, summary.loop_nano_usd, summary.saved_cache_nano_usd,
    )  # fmt: skip


def instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
