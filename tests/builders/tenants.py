"""A tenant with everything a test of the control plane needs, made through the services."""

import itertools
from dataclasses import dataclass
from datetime import datetime

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of, user_create
from control_plane.audit.services import Actor
from control_plane.credentials.models import Provider
from control_plane.credentials.services import CredentialChoice, CredentialSource, provider_create
from control_plane.keys.services import MintedKey, key_mint
from control_plane.organizations.models import Organization, Role, ServiceAccount, Team
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_create,
    service_account_create,
    team_create,
    team_member_add,
    team_update,
)

PASSWORD = "correct horse battery staple"  # of nobody
SYSTEM = Actor.system("test")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization with its owner, called admin here, and a team the owner is in."""

    organization: Organization
    admin: User
    team: Team

    @property
    def actor(self) -> Actor:
        return actor_of(self.admin)


def a_user(email: str = "", *, name: str = "") -> User:
    return user_create(email=email or f"person{next(_numbers)}@example.com", password=PASSWORD, name=name, actor=SYSTEM)


def a_tenant(slug: str = "") -> Tenant:
    slug = slug or f"tenant-{next(_numbers)}"
    organization = organization_create(slug=slug, name=slug.title(), actor=SYSTEM)
    admin = a_user(f"admin@{slug}.example.com")
    membership_add(organization=organization, user=admin, role=Role.OWNER, actor=SYSTEM, by=INSTALLATION)
    team = team_create(organization=organization, name="platform", actor=SYSTEM)
    team_member_add(team=team, user=admin, actor=SYSTEM)
    return Tenant(organization, admin, team)


def a_member(tenant: Tenant, email: str = "", *, team: Team | None = None) -> User:
    user = a_user(email)
    membership_add(organization=tenant.organization, user=user, actor=tenant.actor, by=INSTALLATION)
    team_member_add(team=team or tenant.team, user=user, actor=tenant.actor)
    return user


def a_person_of_role(tenant: Tenant, role: Role, email: str = "") -> User:
    """Somebody of that role; a team lead leads the tenant's team."""
    user = a_user(email)
    membership_add(organization=tenant.organization, user=user, role=role, actor=SYSTEM, by=INSTALLATION)
    if role is Role.TEAM_LEAD:
        team_update(team=tenant.team, lead=user, actor=SYSTEM)
    return user


def a_service_account(tenant: Tenant, name: str = "ci") -> ServiceAccount:
    return service_account_create(organization=tenant.organization, name=name, team=tenant.team, actor=tenant.actor)


def a_key(tenant: Tenant, *, user: User | None = None, expires_at: datetime | None = None) -> MintedKey:
    """A personal key of the given user, or of the admin."""
    return key_mint(
        organization=tenant.organization,
        name="laptop",
        user=user or tenant.admin,
        team=tenant.team,
        expires_at=expires_at,
        actor=tenant.actor,
    )


def a_provider(tenant: Tenant, name: str = "anthropic-main", *, models: tuple[str, ...] = ("*",)) -> Provider:
    return provider_create(
        organization=tenant.organization,
        name=name,
        vendor="anthropic",
        credential=CredentialChoice(CredentialSource.VALUE, "sk-test-0123456789"),
        models=models,
        actor=tenant.actor,
    )
