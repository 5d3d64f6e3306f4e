"""An organization with one of everything that a file can hold, and short words for plan and apply."""

from dataclasses import dataclass
from uuid import uuid4

from control_plane.accounts.services import actor_of
from control_plane.audit.services import Actor
from control_plane.credentials.services import CredentialChoice, CredentialSource, Timeouts, provider_create
from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.parsing import read_yaml
from control_plane.declarative.plan import KEEP_ALL, Plan, Removal
from control_plane.declarative.selectors import policy_text
from control_plane.declarative.services import Asker, policy_apply, policy_plan
from control_plane.keys.services import service_account_activity_set, user_deactivate
from control_plane.organizations.models import Organization, Role
from control_plane.organizations.roles import Permission, Standing
from control_plane.organizations.services import (
    INSTALLATION,
    membership_update,
    organization_create,
    person_add,
    service_account_create,
    team_create,
    team_update,
)
from control_plane.routing.services import virtual_model_set
from tests.builders.tenants import SYSTEM, Tenant

EVERYTHING = Removal(frozenset(kinds()), is_confirmed=True)
CAREFULLY = Removal(frozenset(kinds()))


@dataclass(frozen=True, slots=True)
class Code:
    """Somebody who applies files to an organization."""

    asker: Asker

    @property
    def organization(self) -> Organization:
        return self.asker.organization

    def plan(self, text: str, removal: Removal = KEEP_ALL, base_version: int | None = None) -> Plan:
        documents = read_yaml(text.encode())
        return policy_plan(asker=self.asker, documents=documents, removal=removal, base_version=base_version)

    def apply(
        self,
        text: str,
        removal: Removal = KEEP_ALL,
        *,
        base_version: int | None = None,
        label: str = "",
        reason: str = "",
    ) -> Plan:
        return policy_apply(
            asker=self.asker,
            documents=read_yaml(text.encode()),
            removal=removal,
            base_version=base_version,
            label=label,
            reason=reason,
        )

    def export(self) -> str:
        return policy_text(self.organization)


def code_of(tenant: Tenant, *, role: Role = Role.OWNER, scopes: frozenset[Permission] | None = None) -> Code:
    standing = Standing(tenant.admin.id, tenant.organization.id, role, scopes=scopes)
    return Code(Asker(tenant.organization, actor_of(tenant.admin), standing))


def an_empty_organization(slug: str = "empty") -> Code:
    """Nobody and nothing in it; whoever runs the installation applies."""
    organization = organization_create(slug=slug, name=slug.title(), actor=SYSTEM)
    standing = Standing(uuid4(), organization.id, Role.OWNER)
    return Code(Asker(organization, Actor.system("pipeline"), standing))


def furnish(organization: Organization, *, suffix: str = "") -> None:
    """Everything in every form it can have."""
    domain = f"example{suffix}.com"
    platform = team_create(
        organization=organization, name="platform", cost_centre="4711", tags={"environment": "no"}, actor=SYSTEM
    )
    research = team_create(organization=organization, name="Research & Co".replace("&", "-"), actor=SYSTEM)
    ada = person_add(
        organization=organization, email=f"ada@{domain}", password=None, name="Ada Lovelace", role=Role.OWNER,
        teams=[platform, research], actor=SYSTEM, by=INSTALLATION,
    )  # fmt: skip
    person_add(
        organization=organization, email=f"bo@{domain}", password=None, role=Role.AUDITOR, actor=SYSTEM, by=INSTALLATION
    )
    gone = person_add(
        organization=organization, email=f"cy@{domain}", password=None, teams=[platform], actor=SYSTEM, by=INSTALLATION
    )
    membership_update(membership=ada, tags={"level": "senior", "desk": "12:30"}, actor=SYSTEM, by=INSTALLATION)
    user_deactivate(user=gone.user, actor=SYSTEM, by=INSTALLATION)
    team_update(team=platform, lead=ada.user, actor=SYSTEM)
    service_account_create(
        organization=organization, name="ci", team=platform, description="Runs: \"tests\" # daily\n- and more",
        tags={"k": "true"}, actor=SYSTEM,
    )  # fmt: skip
    off = service_account_create(organization=organization, name="old bot", team=research, actor=SYSTEM)
    service_account_activity_set(service_account=off, is_active=False, actor=SYSTEM)
    main = provider_create(
        organization=organization, name="anthropic-main", vendor="anthropic", account="prod", region="eu-west-1",
        credential=CredentialChoice(CredentialSource.VALUE, "sk-test-0123456789"), models=["claude-*", "*"],
        timeouts=Timeouts(1_000, 60_000, 30_000), actor=SYSTEM,
    )  # fmt: skip
    provider_create(
        organization=organization, name="openai-seats", vendor="openai", protocols=["openai_responses"],
        credential=CredentialChoice(CredentialSource.PASSTHROUGH), is_active=False, actor=SYSTEM,
    )  # fmt: skip
    local = provider_create(
        organization=organization, name="local", vendor="openai_compatible", base_url="http://127.0.0.1:9",
        models=["llama:70b"], actor=SYSTEM,
    )  # fmt: skip
    virtual_model_set(
        organization=organization, name="claude-sonnet-4-6", provider=main, model="claude-sonnet-4-6", actor=SYSTEM
    )
    virtual_model_set(organization=organization, name="llama", provider=local, model="llama:70b", actor=SYSTEM)
