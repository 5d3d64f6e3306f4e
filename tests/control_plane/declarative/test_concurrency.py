"""Fifty edits at once, by PATCH and by apply: each is applied or refused for its base, and none is lost."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from rest_framework.test import APIClient

from control_plane.audit.models import Change
from control_plane.audit.selectors import Intact, verify_chain
from control_plane.declarative.models import PolicyRevision
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Team
from control_plane.organizations.services import team_create
from tests.builders.tenants import Tenant, a_tenant
from tests.control_plane.declarative.world import code_of

WRITERS = 50
TEAMS = 5


@pytest.fixture
def committed(transactional_db: None) -> Tenant:
    return a_tenant("acme")


def client_of(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def patches(token: str, team: Team, mark: str) -> int:
    """Read, then add a mark to what was read."""
    client = client_of(token)
    read = client.get(f"/api/v1/teams/{team.id}")
    marks = {**read.json()["tags"], mark: "patch"}
    return client.patch(f"/api/v1/teams/{team.id}", {"tags": marks}, HTTP_IF_MATCH=read["ETag"]).status_code


def applies(token: str, team: Team, mark: str) -> int:
    """Export, add a mark to the same object in the file, apply."""
    client = client_of(token)
    exported = client.get("/api/v1/export", HTTP_ACCEPT="application/json")
    (found,) = [each for each in exported.json()["objects"] if each["metadata"]["name"] == team.name]
    found["spec"]["tags"] = {**found["spec"].get("tags", {}), mark: "apply"}
    return client.post("/api/v1/apply", {"objects": [found]}, HTTP_IF_MATCH=exported["ETag"]).status_code


def test_fifty_edits_at_once_lose_nothing(committed: Tenant) -> None:
    teams = [
        team_create(organization=committed.organization, name=f"team {number}", actor=committed.actor)
        for number in range(TEAMS)
    ]
    tokens = [
        admin_token_mint(
            organization=committed.organization, user=committed.admin, name="t", actor=committed.actor
        ).token
        for _ in range(WRITERS)
    ]
    together = threading.Barrier(WRITERS)

    def write(number: int) -> tuple[str, str, int]:
        act: Callable[[str, Team, str], int] = patches if number % 2 else applies
        team, mark = teams[number % TEAMS], f"m{number}"
        try:
            together.wait(30)
            return team.name, mark, act(tokens[number], team, mark)
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(write, range(WRITERS)))

    statuses = Counter(status for _, _, status in answers)
    assert set(statuses) <= {200, 412}, statuses
    assert statuses[200] >= TEAMS
    for team in Team.objects.filter(id__in=[each.id for each in teams]):
        wanted = {mark for name, mark, status in answers if name == team.name and status == 200}
        assert set(team.tags) == wanted, f"{team.name} lost or gained an edit"
    assert isinstance(verify_chain(committed.organization.id), Intact)
    edits = Change.objects.filter(action="team.updated", organization_id=committed.organization.id).count()
    assert edits == statuses[200]
    newest = PolicyRevision.objects.filter(organization=committed.organization).latest("number")
    assert newest.text == code_of(committed).export()
