"""Sessions over REST: lists, one session turn by turn, what could have been saved, how turns ended."""

import csv
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from control_plane.organizations.models import Role
from control_plane.sessions import tasks
from control_plane.sessions.models import SessionFinding
from control_plane.usage.models import ConversationSession
from tests.control_plane.api.world import Tenant, a_person, a_tenant, as_user
from tests.control_plane.sessions.booked import book_turns, opus
from tests.control_plane.sessions.conversations import MINUTE, START_MS, Talk

pytestmark = pytest.mark.django_db
LOST_TO_TOOLS = (100_000 + 4 * 998) * (6_250 - 500)


@pytest.fixture
def acme() -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def globex() -> Tenant:
    return a_tenant("globex")


def a_story(tenant: Tenant, *, salt: int = 0) -> ConversationSession:
    """The member's session: tools change at turn 5; a sub-agent; a session of its own below. And a quiet one of CI."""
    price = opus()
    begin = timezone.now() - timedelta(hours=2)
    talk, agent = Talk(context=100_000), Talk(context=9_000, agent_id="explore", start_ms=START_MS + 5_000, name="A")
    talk.go_on(4)
    talk.say(read=0, facts={"tools": b"more", "tool_results": 2, "failed_tool_results": 1})
    talk.say(pause_ms=7 * MINUTE, read=0)
    agent.go_on(3)
    turns = sorted([*talk.turns, *agent.turns], key=lambda turn: turn.at_ms)
    own = {
        "organization_id": tenant.organization.id.hex,
        "team_id": tenant.team.id.hex,
        "provider_id": tenant.provider.id.hex,
        "key_id": tenant.member_key.key_id,
        "principal_id": tenant.member.id.hex,
        "begin": begin,
    }
    session = book_turns(turns, price, first_sequence=1 + salt, **own)
    child = Talk(context=5_000, name="B")
    child.go_on(2)
    book_turns(child.turns, price, first_sequence=101 + salt, **own, session_id="below", parent_session_id="session-1")
    quiet = Talk(name="Q")
    quiet.go_on(2)
    book_turns(
        quiet.turns, price, first_sequence=201 + salt,
        **{**own, "key_id": tenant.account_key.key_id, "principal_id": tenant.account.id.hex},
        session_id="ci", client="codex", request_tags={},
    )  # fmt: skip
    tasks.run(longest_s=5)
    return session


def get(tenant: Tenant, address: str) -> Any:
    return tenant.as_admin.get(f"/api/v1/{address}")


def listed(tenant: Tenant, question: str = "") -> list[str]:
    return [row["session"] for row in get(tenant, f"sessions?{question}").json()["results"]]


def test_a_list_shows_what_was_found(acme: Tenant) -> None:
    a_story(acme)
    rows = {row["session"]: row for row in get(acme, "sessions").json()["results"]}
    row = rows["session-1"]
    assert set(rows) == {"session-1", "below", "ci"}
    assert (row["is_analysed"], row["turns"], row["repository"]) == (True, 9, "switchyard")
    assert row["findings"] == ["cache_break", "cold_cache"]
    assert row["avoidable_nano_usd"] > LOST_TO_TOOLS
    assert (row["user"], row["team"]) == (acme.member.email, "Platform")
    assert rows["ci"]["avoidable_usd"] == "0.000000000"


FOUND: tuple[tuple[str, set[str]], ...] = (
    ("user=member@acme.example", {"session-1", "below"}),
    ("user=ci", {"ci"}),
    ("team=Platform", {"session-1", "below", "ci"}),
    ("team=Research", set()),
    ("client=codex", {"ci"}),
    ("repository=switchyard", {"session-1", "below"}),
    ("finding=cold_cache", {"session-1"}),
    ("finding=tools_changed", {"session-1"}),
    ("finding=loop", set()),
    ("cost_from=0.5", {"session-1"}),
    ("cost_to=0.5&client=claude-code", {"below"}),
    ("flagged=false", {"session-1", "below", "ci"}),
    ("session=below", {"below"}),
    ("to=2020-01-01", set()),
)


def test_sessions_are_found_by_what_is_asked(acme: Tenant) -> None:
    a_story(acme)
    assert {question: set(listed(acme, question)) for question, _ in FOUND} == dict(FOUND)


def test_what_is_flagged_follows_the_organization_s_setting(acme: Tenant) -> None:
    a_story(acme)
    assert listed(acme, "flagged=true") == []
    changed = acme.as_admin.patch("/api/v1/session-settings", {"least_cache_share_per_mille": 900}, format="json")
    assert changed.json() == {"least_cache_share_per_mille": 900, "repository_keys": ["repository", "repo"]}
    assert listed(acme, "flagged=true") == ["session-1"]
    (row,) = get(acme, "sessions?flagged=true").json()["results"]
    assert (row["is_flagged"], row["share_cause"]) == (True, "idle")


def test_settings_are_the_admins_and_are_checked(acme: Tenant) -> None:
    assert acme.as_member.get("/api/v1/session-settings").status_code == 200
    assert acme.as_member.patch("/api/v1/session-settings", {"repository_keys": ["x"]}).status_code == 403
    wrong = acme.as_admin.patch(
        "/api/v1/session-settings", {"least_cache_share_per_mille": 1001, "keys": []}, format="json"
    )
    assert wrong.status_code == 400


def test_what_cannot_be_asked_is_named(acme: Tenant) -> None:
    wrong = ("finding=magic", "flagged=maybe", "cost_from=much", "cost_to=NaN", "cost_to=1e999", "cursor=%F0")
    for question in wrong:
        response = get(acme, f"sessions?{question}")
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == question.split("=")[0]


def test_pages_hold_each_session_once(acme: Tenant) -> None:
    a_story(acme)
    found: list[str] = []
    address: str | None = "/api/v1/sessions?limit=1"
    while address:
        page = acme.as_admin.get(address).json()
        found += [row["session"] for row in page["results"]]
        address = page["next"]
    assert sorted(found) == ["below", "ci", "session-1"]


def test_csv_has_all_that_is_asked_for(acme: Tenant) -> None:
    a_story(acme)
    response = get(acme, "sessions?format=csv&client=claude-code")
    streamed: Iterator[bytes] = response.streaming_content
    rows = list(csv.DictReader(b"".join(streamed).decode().splitlines()))
    assert {row["session"] for row in rows} == {"session-1", "below"}
    whole = next(row for row in rows if row["session"] == "session-1")
    assert int(whole["avoidable_nano_usd"]) == int(whole["broken_nano_usd"]) + int(whole["cold_nano_usd"]) > 0


def test_a_session_is_told_turn_by_turn(acme: Tenant) -> None:
    session = a_story(acme)
    shown = get(acme, f"sessions/{session.id.hex}").json()
    assert [(turn["agent"], turn["turn"]) for turn in shown["timeline"]] == [
        *(("", number) for number in range(1, 7)),
        *(("explore", number) for number in (1, 2, 3)),
    ]
    tools, cold = shown["finding_list"]
    assert (tools["kind"], tools["cause"], tools["turn"]) == ("cache_break", "tools_changed", 5)
    assert (tools["cost_nano_usd"], tools["is_avoidable"]) == (LOST_TO_TOOLS, True)
    assert tools["sentence"] == "The list of tools changed at turn 5."
    assert cold["sentence"].startswith("The session was idle for 7 minutes at turn 6")
    assert len(shown["curve"]) == 9
    assert shown["times"]["tool_ms"] > 0


def test_the_tree_costs_what_its_branches_cost(acme: Tenant) -> None:
    session = a_story(acme)
    below = ConversationSession.objects.get(session_id="below")
    tree = get(acme, f"sessions/{session.id.hex}").json()["tree"]
    agent, child = tree["children"]
    assert (agent["name"], agent["session"], agent["own_turns"]) == ("explore", None, 3)
    assert (child["name"], child["session"]) == ("below", below.id.hex)
    assert tree["own_cost_nano_usd"] + agent["cost_nano_usd"] == session.cost_nano_usd
    assert tree["cost_nano_usd"] == session.cost_nano_usd + below.cost_nano_usd
    assert tree["turns"] == 6 + 3 + 2


def test_sessions_that_name_one_another_as_parents_are_walked_once(acme: Tenant) -> None:
    session = a_story(acme)
    ConversationSession.objects.filter(id=session.id).update(parent_session_id="below")
    tree = get(acme, f"sessions/{session.id.hex}").json()["tree"]
    assert tree["cost_nano_usd"] == sum(ConversationSession.objects.exclude(client="codex").values_list(
        "cost_nano_usd", flat=True
    ))  # fmt: skip


def test_avoidable_spend_by_developer_with_what_to_do(acme: Tenant) -> None:
    a_story(acme)
    told = get(acme, "sessions/avoidable").json()
    first, second = told["groups"]
    assert (first["group"], second["group"]) == (acme.member.email, "ci")
    assert (
        first["avoidable_nano_usd"]
        == told["total"]["avoidable_nano_usd"]
        == sum(SessionFinding.objects.filter(is_avoidable=True).values_list("money_nano_usd", flat=True))
    )
    assert first["cause"] == "idle"
    assert first["advice"].startswith("Answer within 5 minutes")
    assert [(cause["cause"], cause["findings"]) for cause in told["causes"]] == [("idle", 1), ("tools_changed", 1)]
    assert (second["avoidable_nano_usd"], second["cause"]) == (0, None)


def test_every_grouping_adds_up_to_the_total(acme: Tenant) -> None:
    a_story(acme)
    for by in ("team", "repository", "client", "model", "session"):
        told = get(acme, f"sessions/avoidable?by={by}").json()
        for name in ("avoidable_nano_usd", "cost_nano_usd", "prompt_tokens", "cold_nano_usd"):
            assert sum(group[name] for group in told["groups"]) == told["total"][name], (by, name)


def test_outcomes_are_told_without_reading_prompts(acme: Tenant) -> None:
    a_story(acme)
    (row,) = get(acme, "sessions/outcomes").json()["results"]
    assert (row["model"], row["provider"], row["provider_id"]) == (
        "claude-opus-4-8",
        "anthropic-main",
        acme.provider.id.hex,
    )
    assert (row["sessions"], row["turns"], row["turns_per_session"]) == (3, 13, 4.33)
    # The facts of turn 5 stay with turn 6.
    assert (row["tool_results"], row["failed_tool_results"]) == (4, 2)
    assert row["stop_reasons"] == {"tool_use": 13}
    by_day = get(acme, "sessions/outcomes?interval=day").json()["results"]
    assert sum(row["turns"] for row in by_day) == 13


def test_members_see_their_own_leads_their_teams_others_nothing(acme: Tenant, globex: Tenant) -> None:
    session = a_story(acme)
    a_story(globex, salt=1000)
    own = acme.as_member.get("/api/v1/sessions").json()["results"]
    assert {row["session"] for row in own} == {"session-1", "below"}
    total = acme.as_member.get("/api/v1/sessions/avoidable?by=session").json()
    assert len(total["groups"]) == 2
    stranger = as_user(acme, a_person(acme, Role.MEMBER))
    assert stranger.get("/api/v1/sessions").json()["results"] == []
    assert stranger.get("/api/v1/sessions/avoidable").json()["total"]["cost_nano_usd"] == 0
    assert stranger.get("/api/v1/sessions/outcomes").json()["results"] == []
    assert stranger.get(f"/api/v1/sessions/{session.id.hex}").status_code == 404
    assert globex.as_admin.get(f"/api/v1/sessions/{session.id.hex}").status_code == 404
    finance = as_user(acme, a_person(acme, Role.FINANCE))
    assert len(finance.get("/api/v1/sessions").json()["results"]) == 3
