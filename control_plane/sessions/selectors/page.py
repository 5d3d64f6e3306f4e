"""One session: worked out anew from its rows, with the tree it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from control_plane.sessions.analysis.session import Analysis, analyse
from control_plane.sessions.analysis.turns import Turn
from control_plane.sessions.reading import prices_of, session_read
from control_plane.sessions.selectors.settings import settings_of
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.scope import Scope

DEEPEST = 5
MOST_BRANCHES = 200


@dataclass(frozen=True, slots=True)
class Branch:
    """A session, or a sub-agent in it, with all that hangs below. own: without what hangs below."""

    name: str
    row_id: UUID | None
    """Of the session, where it is one of its own; None: a sub-agent within the session above."""
    client: str
    models: tuple[str, ...]
    own_turns: int
    own_cost_nano_usd: int
    avoidable_nano_usd: int
    children: tuple["Branch", ...] = ()

    @property
    def is_agent(self) -> bool:
        return self.row_id is None

    @property
    def turns(self) -> int:
        return self.own_turns + sum(child.turns for child in self.children)

    @property
    def cost_nano_usd(self) -> int:
        """Of the whole branch."""
        return self.own_cost_nano_usd + sum(child.cost_nano_usd for child in self.children)

    @property
    def size(self) -> int:
        return 1 + sum(child.size for child in self.children)


@dataclass(frozen=True, slots=True)
class SessionTold:
    """All that is known of a session."""

    session: ConversationSession
    analysis: Analysis
    repository: str
    is_partial: bool
    tree: Branch
    parent: ConversationSession | None


def session_told(scope: Scope, row_id: UUID) -> SessionTold | None:
    """Work a session out from its rows. None: there is none, or this person may not see it."""
    session = ConversationSession.objects.filter(scope.condition(), id=row_id).select_related("summary").first()
    if session is None:
        return None
    read = session_read(session, settings_of(session.organization_id).repository_keys)
    analysis = analyse(read.turns, prices_of(read.turns, session.organization_id, {}))
    return SessionTold(
        session, analysis, read.repository, read.is_partial, _tree(scope, session, analysis), _parent(scope, session)
    )


def _parent(scope: Scope, session: ConversationSession) -> ConversationSession | None:
    if not session.parent_session_id:
        return None
    return (
        ConversationSession.objects.filter(
            scope.condition(), key_id=session.key_id, session_id=session.parent_session_id
        )
        .exclude(id=session.id)
        .first()
    )


def _tree(scope: Scope, session: ConversationSession, analysis: Analysis) -> Branch:
    """The session's own talk, its sub-agents, and the sessions that name it as their parent, each with theirs."""
    main, *agents = analysis.strands
    branches = [
        Branch(
            name=strand.agent_id,
            row_id=None,
            client="",
            models=_models(strand.all_turns),
            own_turns=len(strand.steps),
            own_cost_nano_usd=strand.cost_nano_usd,
            avoidable_nano_usd=strand.avoidable_nano_usd,
        )
        for strand in agents
    ]
    by_parent = _descendants(scope, session)
    branches += [_branch(child, by_parent) for child in by_parent.get(session.session_id, ())]
    return Branch(
        name=session.session_id,
        row_id=session.id,
        client=session.client,
        models=_models(main.all_turns),
        own_turns=len(main.steps),
        own_cost_nano_usd=session.cost_nano_usd - sum(strand.cost_nano_usd for strand in agents),
        avoidable_nano_usd=main.avoidable_nano_usd,
        children=tuple(branches),
    )


def _models(turns: Sequence[Turn]) -> tuple[str, ...]:
    return tuple(sorted({turn.target.model for turn in turns if turn.target.model}))


def _descendants(scope: Scope, session: ConversationSession) -> dict[str, list[ConversationSession]]:
    """Sessions below this one on the same key, by the parent they name. A ring of names is walked once."""
    found: dict[str, list[ConversationSession]] = {}
    seen = {session.id}
    wanted = [session.session_id]
    for _ in range(DEEPEST):
        if not wanted or len(seen) > MOST_BRANCHES:
            break
        rows = (
            ConversationSession.objects.filter(scope.condition(), key_id=session.key_id, parent_session_id__in=wanted)
            .exclude(id__in=seen)
            .select_related("summary")
            .order_by("first_seen")[:MOST_BRANCHES]
        )
        wanted = []
        for row in rows:
            seen.add(row.id)
            found.setdefault(row.parent_session_id, []).append(row)
            wanted.append(row.session_id)
    return found


def _branch(session: ConversationSession, by_parent: dict[str, list[ConversationSession]]) -> Branch:
    summary = getattr(session, "summary", None)
    return Branch(
        name=session.session_id,
        row_id=session.id,
        client=session.client,
        models=tuple(session.model_names),
        own_turns=summary.turns if summary is not None else session.requests,
        own_cost_nano_usd=session.cost_nano_usd,
        avoidable_nano_usd=summary.avoidable_nano_usd if summary is not None else 0,
        # Taken out as they are placed: each hangs once.
        children=tuple(_branch(child, by_parent) for child in by_parent.pop(session.session_id, [])),
    )
