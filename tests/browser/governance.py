"""What an admin keeps in order: ways to sign in, a policy from code that was edited since, tokens, a second factor."""

import base64
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of, second_factor_begin, second_factor_confirm, user_create
from control_plane.accounts.totp import STEP_S, code_at
from control_plane.audit.services import Actor
from control_plane.declarative.parsing import read_yaml
from control_plane.declarative.services import Asker, policy_apply
from control_plane.identity.models import IdentityConnection
from control_plane.identity.saml import ProviderMetadata
from control_plane.identity.services import (
    Mapping,
    SamlFacts,
    connection_create,
    connection_test_record,
    mappings_set,
)
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Organization, Role, Team
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import membership_of, standing_of
from control_plane.organizations.services import INSTALLATION, membership_add, team_update

GUARDED = "dorothy@example.com"
"""Signs in with a code."""
POLICY = """\
kind: Team
metadata: {name: platform}
spec: {cost_centre: "4711"}
---
kind: Team
metadata: {name: simulation}
spec: {cost_centre: "4720"}
"""


@dataclass(frozen=True, slots=True)
class Governance:
    connection: IdentityConnection
    tokens: tuple[AdminToken, ...]
    guarded: User
    recovery_codes: list[str]
    """Good once each; whoever uses one takes it out."""


def governance(organization: Organization, admin: User, teams: dict[str, Team], password: str) -> Governance:
    actor = actor_of(admin)
    guarded = user_create(email=GUARDED, password=password, name="Dorothy Vaughan", actor=actor)
    membership_add(organization=organization, user=guarded, role=Role.ADMIN, actor=actor, by=INSTALLATION)
    begun = second_factor_begin(user=guarded)
    # The step before the present one, so that a test may use the present one.
    code = code_at(base64.b32decode(begun.secret), int(timezone.now().timestamp() // STEP_S) - 1)
    codes = second_factor_confirm(user=guarded, code=code, actor=actor_of(guarded))
    tokens = (
        admin_token_mint(organization=organization, user=admin, name="terraform", actor=actor),
        admin_token_mint(
            organization=organization,
            user=admin,
            name="nightly report of what every team has spent, for finance",
            actor=actor,
            expires_at=timezone.now() + timedelta(days=3),
            scopes=[Permission.USAGE_READ, Permission.TEAMS_READ],
        ),
    )
    _policy(organization, admin, actor)
    connection = _connection(organization, teams, actor)
    return Governance(connection, tuple(token.record for token in tokens), guarded, codes)


def _policy(organization: Organization, admin: User, actor: Actor) -> None:
    """Applied twice by a pipeline, and edited by hand since: history to compare, and drift."""
    membership = membership_of(admin, organization)
    assert membership is not None
    asker = Asker(organization, actor, standing_of(membership))
    policy_apply(asker=asker, documents=read_yaml(POLICY.encode()), label="git:4f1c2d9", reason="Teams come from code")
    changed = POLICY.replace("4720", "4721")
    policy_apply(asker=asker, documents=read_yaml(changed.encode()), label="git:b7703aa", reason="New cost centre")
    team_update(team=Team.objects.get(organization=organization, name="simulation"), cost_centre="4799", actor=actor)


def _connection(organization: Organization, teams: dict[str, Team], actor: Actor) -> IdentityConnection:
    connection = connection_create(
        organization=organization,
        name="Okta",
        vendor="okta",
        # SAML: its addresses are the browser's to open, and need not resolve where tests run.
        facts=SamlFacts(
            ProviderMetadata(
                "http://www.okta.com/exk1b2c3d4e5f6g7h8i9", "https://acme.okta.com/app/switchyard/sso/saml", ("MIIC",)
            )
        ),
        domains=["acme-instruments.example", "research.acme-instruments.example"],
        actor=actor,
        grantor=Role.OWNER,
    )
    mappings = (
        Mapping("engineering-platform", team=teams["platform"]),
        Mapping("engineering-compilers", team=teams["compilers"]),
        Mapping("switchyard-admins", role=Role.ADMIN),
    )
    mappings_set(connection=connection, mappings=mappings, actor=actor, grantor=Role.OWNER)
    return connection_test_record(connection=connection, problem="", actor=actor)
