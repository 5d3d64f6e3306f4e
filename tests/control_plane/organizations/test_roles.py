"""The table of rights, and what can be said from it alone."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from control_plane.organizations.published import GROUPS, ROLE_WORDS, as_markdown
from control_plane.organizations.roles import (
    DELEGATED,
    TABLE,
    Delegation,
    Permission,
    Reach,
    Role,
    Standing,
    can,
    is_within,
    may_at_all,
    reach_of,
    refusal,
)
from control_plane.organizations.services.grants import GrantTooWide, check_role_change, may_give

ME, OTHER, ORGANIZATION = UUID(int=1), UUID(int=2), UUID(int=3)
LED, STRANGE = UUID(int=4), UUID(int=5)
ROOT = Path(__file__).parents[3]


def a_standing(
    role: Role, *, delegations: tuple[Delegation, ...] = (), scopes: frozenset[Permission] | None = None
) -> Standing:
    return Standing(ME, ORGANIZATION, role, frozenset({LED}), frozenset(delegations), scopes)


def test_every_right_has_a_row_for_every_role() -> None:
    assert set(TABLE) == set(Permission)
    assert {len(row) for row in TABLE.values()} == {len(Role)}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_a_right_goes_as_far_as_its_reach(role: Role, permission: Permission) -> None:
    standing = a_standing(role)
    reach = reach_of(standing, permission)
    assert can(standing, permission) is (reach is Reach.ALL)
    assert can(standing, permission, owner_id=ME) is (reach > Reach.NONE)
    assert can(standing, permission, owner_id=OTHER) is (reach is Reach.ALL)
    assert can(standing, permission, team_ids=(LED,)) is (reach >= Reach.TEAM)
    assert can(standing, permission, team_ids=(STRANGE,)) is (reach is Reach.ALL)


@pytest.mark.parametrize("delegation", Delegation)
def test_a_delegation_widens_team_leads_to_their_teams_and_nobody_else(delegation: Delegation) -> None:
    for permission in DELEGATED[delegation]:
        lead = a_standing(Role.TEAM_LEAD, delegations=(delegation,))
        assert can(lead, permission, team_ids=(LED,))
        assert not can(lead, permission, team_ids=(STRANGE,))
        assert not can(lead, permission)
        assert not may_at_all(a_standing(Role.TEAM_LEAD), permission)
        member = a_standing(Role.MEMBER, delegations=(delegation,))
        assert not may_at_all(member, permission)


def test_an_owner_may_everything_and_an_auditor_changes_nothing_of_others() -> None:
    assert all(reach_of(a_standing(Role.OWNER), permission) is Reach.ALL for permission in Permission)
    changing = [one for one in Permission if one.endswith((".manage", ".mint"))]
    assert all(reach_of(a_standing(Role.AUDITOR), permission) <= Reach.OWN for permission in changing)


def test_scopes_narrow_and_never_widen() -> None:
    every = frozenset(Permission)
    for role in Role:
        narrowed = a_standing(role, scopes=frozenset({Permission.KEYS_READ}))
        for permission in Permission:
            assert reach_of(a_standing(role, scopes=every), permission) == reach_of(a_standing(role), permission)
            if permission is not Permission.KEYS_READ:
                assert not may_at_all(narrowed, permission)


def test_a_refusal_names_the_right_and_who_has_it() -> None:
    assert refusal(a_standing(Role.MEMBER), Permission.TEAMS_MANAGE) == (
        "This needs the right teams.manage, which owners and admins have. Your role is member."
    )
    assert "own" in refusal(a_standing(Role.FINANCE), Permission.KEYS_MANAGE)
    assert "scopes" in refusal(a_standing(Role.OWNER, scopes=frozenset()), Permission.TEAMS_MANAGE)


@pytest.mark.parametrize("by", Role)
@pytest.mark.parametrize("before", Role)
@pytest.mark.parametrize("after", Role)
def test_roles_are_given_by_whoever_has_all_of_them(by: Role, before: Role, after: Role) -> None:
    standing = a_standing(by)
    allowed = by in (Role.OWNER, Role.ADMIN) and (by is Role.OWNER or Role.OWNER not in (before, after))
    try:
        check_role_change(standing, before, after)
    except GrantTooWide:
        assert not allowed
    else:
        assert allowed
        assert is_within(after, by)


def test_a_token_gives_no_role_beyond_its_scopes_but_makes_plain_members() -> None:
    scopes = frozenset({Permission.MEMBERS_READ, Permission.MEMBERS_MANAGE})
    token = a_standing(Role.OWNER, scopes=scopes)
    assert may_give(token, Role.MEMBER)
    assert [role for role in Role if may_give(token, role)] == [Role.MEMBER]
    with pytest.raises(GrantTooWide):
        check_role_change(token, Role.OWNER, Role.MEMBER)


def test_what_people_read_is_what_decides() -> None:
    told = [permission for _, rights in GROUPS for permission, _ in rights]
    assert sorted(told) == sorted(Permission)
    assert set(ROLE_WORDS) == set(Role)
    page = (ROOT / "docs/reference/roles.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "print it anew: .venv/bin/python -m control_plane.organizations.published"


def test_templates_ask_for_rights_that_exist() -> None:
    known = {permission.name.lower() for permission in Permission}
    asked = set()
    for template in (ROOT / "control_plane/web/templates").rglob("*.html"):
        asked |= set(re.findall(r"\b(?:may|sees_all)\.(\w+)", template.read_text(encoding="utf-8")))
    assert asked
    assert asked <= known
