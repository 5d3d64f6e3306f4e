"""Sessions of coding tools that lost caches, went in circles and had sub-agents, over four weeks."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.catalog.selectors import price_for
from control_plane.credentials.models import Provider
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization, Team
from control_plane.sessions import tasks
from control_plane.sessions.analysis.turns import Target, Turn
from control_plane.usage.rollups import session_row_id
from switchyard_contract.usage import TokenCounts
from tests.control_plane.sessions.booked import book_turns
from tests.control_plane.sessions.conversations import MINUTE, SECOND, START_MS, Talk

TOLD = "5b1f3f6e-9d1c-4c5f-8d42-8e1f0a6a7c11"
"""The session that has everything."""
LOOKED = {"tool_results": 1, "tool_names": ("Bash",), "is_typed": False}
TYPED = {"tool_results": 0, "is_typed": True, "failed_tool_results": 0}
FIRST_SEQUENCE = 500_000
REPOSITORIES = ("gateway", "compiler", "website")


def conversations(
    organization: Organization,
    owners: list[tuple[User, VirtualKey, Team]],
    *,
    begin: datetime | None = None,
    earlier: int = 24,
    first_sequence: int = FIRST_SEQUENCE,
) -> UUID:
    """Book them. The first owner has the session with everything; its row's id is returned.

    begin: of today's; earlier: how many there are of the four weeks before.
    """
    price = price_for(organization.id, "anthropic", "claude-opus-4-8", timezone.now())
    assert price is not None
    provider = Provider.objects.get(organization=organization, name="anthropic-main")
    chance = random.Random(11)
    sequence = first_sequence

    def book(turns: list[Turn], owner: int, begin: datetime, **changes: Any) -> None:
        nonlocal sequence
        user, key, team = owners[owner]
        book_turns(
            turns,
            price,
            first_sequence=sequence,
            begin=begin,
            organization_id=organization.id.hex,
            principal_id=user.id.hex,
            team_id=team.id.hex,
            key_id=key.key_id,
            provider_id=provider.id.hex,
            **changes,
        )
        sequence += 1000

    begin = begin or timezone.now() - timedelta(hours=4)
    tagged = {"request_tags": {"repository": REPOSITORIES[0]}}
    book(_everything(), 0, begin, session_id=TOLD, **tagged)
    below = Talk(context=8_000, name="D")
    below.go_on(6, facts=LOOKED)
    book(below.turns, 0, begin, session_id="title-and-review", parent_session_id=TOLD, **tagged)
    book(_uncached(), 1, begin, session_id="no-marks", **tagged)
    for number in range(earlier):
        talk = _any_talk(chance, f"R{number}")
        repository = {"request_tags": {"repository": chance.choice(REPOSITORIES)}} if number % 5 else {}
        at = begin - timedelta(days=chance.randrange(27), hours=chance.randrange(8))
        book(talk.turns, number % len(owners), at, session_id=f"run-{number:02d}", **repository)
    while tasks.run(longest_s=30):
        pass
    return session_row_id(organization.id, owners[0][1].key_id, TOLD)


def _everything() -> list[Turn]:
    """Sixty turns: tools that changed at 31, a pause before 40, another model from 48 on, a loop, a compaction."""
    talk = Talk(context=38_000, name="M")
    agent = Talk(context=11_000, agent_id="explore-7f3a", start_ms=START_MS + 3 * MINUTE, name="A")
    other = Talk(context=9_000, agent_id="review-02bd", start_ms=START_MS + 8 * MINUTE, name="B")
    talk.say(facts=TYPED, stop_reason="end_turn")
    talk.go_on(29, facts=LOOKED, grows=2_600)
    talk.say(read=0, facts={**LOOKED, "tools": b"more"}, grows=2_600)
    talk.go_on(8, facts=LOOKED, grows=3_100)
    talk.say(pause_ms=22 * MINUTE, read=0, facts=TYPED)
    talk.go_on(3, facts=LOOKED, grows=1_800)
    talk.go_on(5, facts={**LOOKED, "calls": b"same"}, grows=900)
    sonnet = Target("anthropic-main", "", "claude-sonnet-4-6")
    talk.say(read=0, facts={**LOOKED, "calls": b"next"}, requested_model="claude-sonnet-4-6", target=sonnet)
    talk.go_on(4, facts=LOOKED, requested_model="claude-sonnet-4-6", target=sonnet, grows=2_000)
    talk.context = 14_000
    talk.facts = talk.facts.__class__(tools=b"more", system=talk.facts.system, marks=(b"short",), history_bytes=9_000)
    talk.say(read=9_000, facts={**TYPED, "history_bytes": 9_000}, requested_model="claude-sonnet-4-6", target=sonnet)
    talk.go_on(6, facts=LOOKED, requested_model="claude-sonnet-4-6", target=sonnet, grows=2_200)
    agent.go_on(14, facts=LOOKED, grows=1_900)
    other.go_on(5, facts={**LOOKED, "failed_tool_results": 1})
    return sorted([*talk.turns, *agent.turns, *other.turns], key=lambda turn: turn.at_ms)


def _uncached() -> list[Turn]:
    talk = Talk(context=30_000, name="U")
    talk.go_on(12, facts=LOOKED)
    return [replace(turn, tokens=TokenCounts(input_fresh=turn.prompt, output=200)) for turn in talk.turns]


def _any_talk(chance: random.Random, name: str) -> Talk:
    talk = Talk(context=chance.randrange(12_000, 160_000), name=name)
    talk.say(facts=TYPED)
    for _ in range(chance.randrange(3, 40)):
        draw = chance.random()
        if draw < 0.03:
            talk.say(pause_ms=chance.randrange(6, 50) * MINUTE, read=0, facts=TYPED)
        elif draw < 0.05:
            talk.say(read=0, facts={**LOOKED, "system": f"{name} {draw}".encode()[:8]})
        else:
            talk.say(pause_ms=chance.randrange(1, 90) * SECOND, facts=LOOKED, grows=chance.randrange(300, 4_000))
    return talk
