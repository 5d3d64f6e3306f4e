"""What is said of a finding, and what to do about it: one sentence each."""

from collections.abc import Mapping

from control_plane.sessions.analysis.findings import Cause, Finding, Kind

CAUSES: Mapping[Cause, str] = {
    Cause.IDLE: "idle longer than the cache lives",
    Cause.TOOLS_CHANGED: "the list of tools changed",
    Cause.SYSTEM_CHANGED: "the system prompt changed",
    Cause.HISTORY_REWRITTEN: "the history was rewritten",
    Cause.MARKS_GONE: "the tool stopped marking what to cache",
    Cause.PROVIDER_MISSED: "the provider did not find its cache",
    Cause.UNTOLD: "what changed is not known",
    Cause.MODEL_CHANGED: "another model was asked for",
    Cause.DOWNGRADED: "a budget moved the session to a cheaper model",
    Cause.REROUTED: "the route chose another target",
    Cause.FAILED_OVER: "the provider failed and another took over",
    Cause.COMPACTED: "the history was compacted",
    Cause.NO_MARKS: "the tool never marks what to cache",
    Cause.NO_CACHE: "the provider caches nothing",
    Cause.SAME_TOOL_CALL: "the same tool call again and again",
    Cause.FAILING_TOOLS: "tools that keep failing",
    Cause.SAME_REQUEST: "the same request again and again",
    Cause.NEW_INPUT: "most input was new",
}
KINDS: Mapping[Kind, str] = {
    Kind.COLD_CACHE: "Cold cache",
    Kind.CACHE_BREAK: "Broken cache",
    Kind.MODEL_CHANGE: "Change of model",
    Kind.FAILOVER: "Failover",
    Kind.COMPACTION: "Compaction",
    Kind.NEVER_CACHED: "Never cached",
    Kind.LOOP: "Loop",
}


def told(finding: Finding) -> str:
    """What happened, as a sentence without the money."""
    where = f"at turn {finding.turn}"
    detail = finding.detail
    match finding.cause:
        case Cause.IDLE:
            idle, lifetime = span(detail.get("idle_s")), span(detail.get("lifetime_s"))
            return f"The session was idle for {idle} {where}; its cache lives {lifetime}."
        case Cause.HISTORY_REWRITTEN if "within_kib" in detail:
            return f"The history was rewritten {where}, within its first {detail['within_kib']} KiB."
        case Cause.MODEL_CHANGED | Cause.DOWNGRADED | Cause.REROUTED | Cause.FAILED_OVER:
            moved = f"{detail.get('before')} to {detail.get('after')}"
            return f"{_upper(CAUSES[finding.cause])} {where}: {moved}."
        case Cause.COMPACTED:
            return f"The history was compacted {where}."
        case Cause.SAME_TOOL_CALL:
            tool = f" of {detail['tool']}" if detail.get("tool") else ""
            return f"The same tool call{tool} was made {detail.get('times')} times, from turn {finding.turn} on."
        case Cause.FAILING_TOOLS:
            tool = f" ({detail['tool']})" if detail.get("tool") else ""
            return f"Tools{tool} failed in {detail.get('times')} turns in a row, from turn {finding.turn} on."
        case Cause.SAME_REQUEST:
            return f"The same request was sent {detail.get('times')} times, from turn {finding.turn} on."
        case Cause.NO_MARKS | Cause.NO_CACHE:
            return f"{_upper(CAUSES[finding.cause])}: {detail.get('turns')} turns read everything anew."
        case _:
            return f"{_upper(CAUSES[finding.cause])} {where}."


def advice(cause: Cause, detail: Mapping[str, object] | None = None) -> str:
    """What to do about it. detail: of a finding; without it the sentence speaks of many."""
    detail = detail or {}
    match cause:
        case Cause.IDLE:
            lifetime = detail.get("lifetime_s")
            if not isinstance(lifetime, int) or lifetime <= 300:
                return "Answer within 5 minutes, use 1h caching, or begin a new session after a long pause."
            return f"Answer within {span(lifetime)}, or begin a new session after a long pause."
        case Cause.TOOLS_CHANGED:
            return "Keep the list of tools stable: start MCP servers before the session, do not add or drop them in it."
        case Cause.SYSTEM_CHANGED:
            return "Keep times, paths and other things that change out of the system prompt; edit it between sessions."
        case Cause.HISTORY_REWRITTEN:
            return "Only append to the history: editing earlier turns throws away the cache of everything after them."
        case Cause.MARKS_GONE:
            return "Look at the tool's version and proxy settings: its cache marks were dropped on the way."
        case Cause.MODEL_CHANGED:
            return "Choose the model at the beginning; a change in the middle reads the whole context at full price."
        case Cause.REROUTED:
            return "Set “sticky: session” on the route, so that a session stays where its cache is."
        case Cause.DOWNGRADED:
            return "Set “cache aware” on the budget's stage, so that sessions move only where it pays."
        case Cause.FAILED_OVER:
            return "Nothing on your side; look at the provider's errors if it happens often."
        case Cause.COMPACTED:
            return "Expected. Compact at a natural break, and begin new tasks in new sessions."
        case Cause.PROVIDER_MISSED:
            return "Nothing on your side: the provider's cache is best effort."
        case Cause.UNTOLD:
            return "Update the pods: newer ones report what changed between turns."
        case Cause.NO_MARKS:
            return "Turn on prompt caching in the tool (cache_control, for Claude models)."
        case Cause.NO_CACHE:
            return "Use a provider that caches prompts for long sessions."
        case Cause.SAME_TOOL_CALL:
            return "Stop the agent and tell it what is wrong; a session cap on repeated tool calls does it by itself."
        case Cause.FAILING_TOOLS:
            return "Stop the agent and mend the tool; a session cap on failed tool results does it by itself."
        case Cause.SAME_REQUEST:
            return "Lower the client's retries; a session cap on request retries does it by itself."
        case Cause.NEW_INPUT:
            return "Few turns, or much new input in each: nothing to gain from a cache."


def span(seconds: object) -> str:
    """5 minutes; 1 hour; 2 h 14 min; 40 s."""
    if not isinstance(seconds, int):
        return "some time"
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} minutes"
    hours, rest = divmod(minutes, 60)
    if not rest:
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{hours} h {rest} min"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
