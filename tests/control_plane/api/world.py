"""Two organizations with everything in them, and clients that act in each."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.accounts.services import user_create
from control_plane.audit.services import Actor
from control_plane.credentials.models import Provider
from control_plane.credentials.services import CredentialChoice, CredentialSource, provider_create
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import admin_token_mint, key_mint
from control_plane.organizations.models import Membership, Organization, Role, ServiceAccount, Team
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_create,
    service_account_create,
    team_create,
    team_member_add,
)
from control_plane.routing.models import VirtualModel
from control_plane.routing.services import virtual_model_set
from control_plane.snapshots.models import Snapshot
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import ConversationSession
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import put
from tests.control_plane.usage.events import a_batch, a_refusal, an_event, an_exchange_id

ACTOR = Actor.system("tests")
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Tenant:
    """One organization, its people and things, and a client for an admin and for a member."""

    organization: Organization
    team: Team
    owner: User
    admin: User
    member: User
    membership: Membership
    account: ServiceAccount
    provider: Provider
    virtual_model: VirtualModel
    member_key: VirtualKey
    account_key: VirtualKey
    snapshot: Snapshot
    admin_token: str
    member_token: str
    exchange: str = ""
    """The id of one of the member's own, once usage is booked."""

    def with_exchange(self, exchange: str) -> "Tenant":
        return replace(self, exchange=exchange)

    @property
    def as_owner(self) -> APIClient:
        return as_user(self, self.owner)

    @property
    def as_admin(self) -> APIClient:
        return client(self.admin_token)

    @property
    def as_member(self) -> APIClient:
        return client(self.member_token)


def client(token: str) -> APIClient:
    found = APIClient()
    found.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return found


def a_person(tenant: Tenant, role: Role, email: str = "") -> User:
    """Somebody of that role who is in no team."""
    return _a_member(tenant.organization, email or f"as-{role.value}-only@{tenant.organization.slug}.example", role)


def as_user(tenant: Tenant, user: User) -> APIClient:
    """A client with a new token of somebody of the tenant."""
    minted = admin_token_mint(organization=tenant.organization, user=user, name="t", actor=ACTOR)
    return client(minted.token)


def a_tenant(slug: str) -> Tenant:
    organization = organization_create(slug=slug, name=slug.title(), actor=ACTOR)
    owner = _a_member(organization, f"owner@{slug}.example", Role.OWNER)
    admin = _a_member(organization, f"admin@{slug}.example", Role.ADMIN)
    member = _a_member(organization, f"member@{slug}.example", Role.MEMBER)
    team = team_create(organization=organization, name="Platform", actor=ACTOR)
    team_create(organization=organization, name="Research", actor=ACTOR)
    for user in (admin, member):
        team_member_add(team=team, user=user, actor=ACTOR)
    account = service_account_create(organization=organization, name="ci", team=team, actor=ACTOR)
    provider = provider_create(
        organization=organization,
        name="anthropic-main",
        vendor="anthropic",
        credential=CredentialChoice(CredentialSource.VALUE, "sk-ant-secret"),
        actor=ACTOR,
    )
    snapshot = Snapshot.objects.create(
        shard=f"org/{organization.id.hex}/policy", organization_id=organization.id, epoch=1, version=1
    )
    return Tenant(
        organization=organization,
        team=team,
        owner=owner,
        admin=admin,
        member=member,
        membership=Membership.objects.get(user=member),
        account=account,
        provider=provider,
        virtual_model=virtual_model_set(
            organization=organization, name="sonnet", provider=provider, model="claude-sonnet-4-6", actor=ACTOR
        ),
        member_key=key_mint(organization=organization, name="laptop", user=member, team=team, actor=ACTOR).key,
        account_key=key_mint(organization=organization, name="pipeline", service_account=account, actor=ACTOR).key,
        snapshot=snapshot,
        admin_token=admin_token_mint(organization=organization, user=admin, name="t", actor=ACTOR).token,
        member_token=admin_token_mint(organization=organization, user=member, name="t", actor=ACTOR).token,
    )


def book_usage(tenant: Tenant, *, salt: int = 0) -> dict[str, str]:
    """Three served exchanges of the member, one of the service account, one refused; gives exchange ids by name."""
    now = timezone.now()
    at = now - timedelta(minutes=5)
    common: dict[str, Any] = {
        "organization_id": tenant.organization.id.hex,
        "team_id": tenant.team.id.hex,
        "provider_id": tenant.provider.id.hex,
        "provider_name": tenant.provider.name,
        "price_version": "",
    }
    own = {**common, "key_id": tenant.member_key.key_id, "principal_id": tenant.member.id.hex}
    account = {
        **common,
        "key_id": tenant.account_key.key_id,
        "principal_id": tenant.account.id.hex,
        "principal_kind": usage_pb2.PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT,
        "session_id": "ci-run",
        "client": "curl",
    }
    refused = {**own, "provider_id": "", "provider_name": ""}
    events = [
        *(an_event(salt + number, at=at + timedelta(seconds=number), **own) for number in (1, 2, 3)),
        an_event(salt + 4, at=at + timedelta(seconds=4), **account),
        a_refusal(salt + 5, at=at + timedelta(seconds=5), **refused),
    ]
    put(a_batch(events, first_sequence=1 + salt))
    booked = book_waiting(now=now, ledger_days=396)
    assert booked.quarantined == 0
    return {
        "newest own": an_exchange_id(salt + 3, at + timedelta(seconds=3)),
        "account": an_exchange_id(salt + 4, at + timedelta(seconds=4)),
        "refused": an_exchange_id(salt + 5, at + timedelta(seconds=5)),
    }


def session_of(tenant: Tenant) -> ConversationSession:
    return ConversationSession.objects.get(organization_id=tenant.organization.id, session_id="session-1")


def _a_member(organization: Organization, email: str, role: Role) -> User:
    user = user_create(email=email, password=PASSWORD, actor=ACTOR)
    membership_add(organization=organization, user=user, role=role, actor=ACTOR, by=INSTALLATION)
    return user
