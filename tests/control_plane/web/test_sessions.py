"""Pages about sessions and the cache: what they say, to whom, and what they keep to themselves."""

import csv
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from control_plane.accounts.models import User
from control_plane.organizations.models import Role
from control_plane.organizations.services import team_create
from control_plane.sessions import tasks
from control_plane.sessions.selectors.settings import settings_of
from control_plane.usage.models import ConversationSession
from tests.builders.tenants import Tenant, a_member, a_person_of_role
from tests.control_plane.sessions.booked import book_turns, opus
from tests.control_plane.sessions.conversations import MINUTE, START_MS, Talk

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]


def a_session(
    tenant: Tenant, owner: User, *, salt: int = 0, name: str = "session-1", **changes: Any
) -> ConversationSession:
    """Tools change at turn 5, turn 8 comes after seven minutes, a loop at the end; and a sub-agent."""
    talk, agent = Talk(context=100_000), Talk(context=9_000, agent_id="explore", start_ms=START_MS + 5_000, name="A")
    talk.go_on(4)
    talk.say(read=0, facts={"tools": b"more"})
    talk.go_on(2)
    talk.say(pause_ms=7 * MINUTE, read=0)
    talk.go_on(4, facts={"calls": b"ls", "tool_results": 1, "tool_names": ("Bash",)})
    agent.go_on(3)
    session = book_turns(
        sorted([*talk.turns, *agent.turns], key=lambda turn: turn.at_ms),
        opus(),
        first_sequence=1 + salt,
        begin=timezone.now() - timedelta(hours=2),
        organization_id=tenant.organization.id.hex,
        principal_id=owner.id.hex,
        team_id=changes.pop("team_id", tenant.team.id).hex,
        key_id=f"Key{salt:09d}",
        session_id=name,
        **changes,
    )
    tasks.run(longest_s=5)
    return session


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_list_says_what_was_found_and_leads_to_the_page(admin_client: Client, tenant: Tenant, member: User) -> None:
    session = a_session(tenant, member)
    page = text_of(admin_client, "/sessions")
    for word in ("session-1", "Cold cache", "Broken cache", "Loop", reverse("web:session", args=[session.id])):
        assert word in page
    assert "session-1" in text_of(admin_client, "/sessions?finding=loop&q=session")
    assert "Nothing matches" in text_of(admin_client, "/sessions?finding=failover")
    assert "Nothing matches" in text_of(admin_client, "/sessions?user=nobody%40example.com")
    assert "session-1" in text_of(admin_client, "/sessions?finding=nonsense&cost_from=much&sort=upwards")


def test_a_session_page_names_turn_cause_money_and_advice(admin_client: Client, tenant: Tenant, member: User) -> None:
    session = a_session(tenant, member)
    page = text_of(admin_client, f"/sessions/{session.id}")
    for words in (
        "The list of tools changed at turn 5.",
        "Keep the list of tools stable",
        "The session was idle for 7 minutes at turn 8; its cache lives 5 minutes.",
        "The same tool call of Bash was made 4 times, from turn 9 on.",
        "explore",
        "This session",
    ):
        assert words in page
    assert 'class="turn-mark turn-mark-look"' in page
    agent = text_of(admin_client, f"/sessions/{session.id}?agent=explore")
    assert "3 turns for" in agent


def test_turns_and_sessions_come_as_csv(admin_client: Client, tenant: Tenant, member: User) -> None:
    session = a_session(tenant, member)

    def rows(address: str) -> list[dict[str, str]]:
        content = b"".join(admin_client.get(address).streaming_content)  # type: ignore[attr-defined]
        return list(csv.DictReader(content.decode().splitlines()))

    turns = rows(f"/sessions/{session.id}?format=csv")
    assert [row["findings"] for row in turns if row["findings"]] == ["tools_changed", "idle", "same_tool_call"]
    assert sum(int(row["cost_nano_usd"]) for row in turns) == session.cost_nano_usd
    (listed,) = rows("/sessions?format=csv")
    (spent,) = rows("/cache?format=csv")
    assert listed["avoidable_nano_usd"] == spent["avoidable_nano_usd"] != "0"
    assert Decimal(listed["cost_usd"]) * 10**9 == int(listed["cost_nano_usd"]) != 0
    (ended,) = rows("/sessions/outcomes?format=csv")
    assert ended["stop_reasons"] == "tool_use:15"


def test_the_cache_page_adds_up_and_advises(admin_client: Client, tenant: Tenant, member: User) -> None:
    a_session(tenant, member)
    page = text_of(admin_client, "/cache")
    for words in (
        "could have been avoided",
        "Answer within 5 minutes",
        "grace@example.com",
        "Idle longer than the cache",
    ):
        assert words in page
    for by, words in (("team", tenant.team.name), ("repository", "switchyard"), ("session", "session-1")):
        assert words in text_of(admin_client, f"/cache?by={by}&metric=tokens")


def test_pages_say_what_to_do_while_there_is_nothing(admin_client: Client) -> None:
    for address in ("/sessions", "/cache"):
        assert "Point a tool at the gateway" in text_of(admin_client, address)
    assert "No turn in this range" in text_of(admin_client, "/sessions/outcomes")


def test_a_member_sees_the_own_sessions_alone(
    tenant: Tenant, member: User, member_client: Client, sign_in: SignIn
) -> None:
    own = a_session(tenant, member)
    somebody = a_member(tenant, "linus@example.com")
    theirs = a_session(tenant, somebody, salt=100, name="session-2")
    page = text_of(member_client, "/sessions")
    assert "session-1" in page
    assert "session-2" not in page
    assert member_client.get(f"/sessions/{own.id}").status_code == 200
    assert member_client.get(f"/sessions/{theirs.id}").status_code == 404
    assert "linus" not in text_of(member_client, "/cache")
    assert member_client.get("/sessions/settings").status_code == 404


def test_a_lead_sees_the_team_s_without_leading_to_its_exchanges(tenant: Tenant, member: User, sign_in: SignIn) -> None:
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    elsewhere = team_create(organization=tenant.organization, name="elsewhere", actor=tenant.actor)
    led = a_session(tenant, member)
    other = a_session(tenant, member, salt=100, name="session-2", team_id=elsewhere.id)
    client = sign_in(lead)
    page = text_of(client, f"/sessions/{led.id}")
    assert "/exchanges/" not in page
    assert client.get(f"/sessions/{other.id}").status_code == 404


def test_another_organization_s_sessions_are_not_there(
    tenant: Tenant, other: Tenant, member: User, sign_in: SignIn
) -> None:
    session = a_session(tenant, member)
    stranger = sign_in(other.admin)
    assert stranger.get(f"/sessions/{session.id}").status_code == 404
    assert "session-1" not in text_of(stranger, "/sessions")
    assert "Point a tool at the gateway" in text_of(stranger, "/cache")


def test_what_is_flagged_is_the_admins_choice(admin_client: Client, tenant: Tenant, member: User) -> None:
    a_session(tenant, member)
    assert "Nothing matches" in text_of(admin_client, "/sessions?flagged=yes")
    wrong = admin_client.post("/sessions/settings", {"least_percent": 95, "repository_keys": " , "})
    assert wrong.status_code == 422
    saved = admin_client.post("/sessions/settings", {"least_percent": 95, "repository_keys": "service, repo"})
    assert saved["Location"] == "/sessions"
    assert settings_of(tenant.organization.id).repository_keys == ["service", "repo"]
    assert "session-1" in text_of(admin_client, "/sessions?flagged=yes")


def test_lists_need_a_fixed_number_of_queries(
    admin_client: Client, tenant: Tenant, member: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(3):
        a_session(tenant, member, salt=100 * number, name=f"session-{number}")
    for address, most in (("/sessions", 22), ("/cache", 30), ("/cache?by=session", 30), ("/sessions/outcomes", 18)):
        with django_assert_max_num_queries(most):
            admin_client.get(address)
