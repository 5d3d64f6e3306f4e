"""What the first run makes: an organization to look at, people, providers, keys."""

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from control_plane.access.services import access_rule_create
from control_plane.accounts.services import actor_of, user_create
from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.credentials.models import Provider
from control_plane.credentials.services import (
    CredentialChoice,
    CredentialSource,
    credential_replace,
    provider_create,
)
from control_plane.keys.services import admin_token_mint, key_mint, pod_token_mint
from control_plane.organizations.models import Organization, Role
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_create,
    team_create,
    team_member_add,
)
from control_plane.routing.services import virtual_models_offer
from control_plane.snapshots.services import everything_compile

SLUG = "acme"
ADMIN_EMAIL = "admin@example.com"
SIMULATED = "simulated"
FOLLOWER = "local start"
SIMULATED_PROVIDER_VARIABLE = "SWITCHYARD_SIMULATED_PROVIDER_URL"
SIMULATED_PROVIDER_URL = "http://127.0.0.1:8099"


@dataclass(frozen=True, slots=True)
class _Account:
    """A provider of the first run: simulated, or real where its key is in the environment."""

    name: str
    vendor: str
    key_variable: str


ACCOUNTS = (
    _Account("anthropic-main", "anthropic", "ANTHROPIC_API_KEY"),
    _Account("openai-main", "openai", "OPENAI_API_KEY"),
    _Account("gemini-main", "gemini", "GEMINI_API_KEY"),
)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What was made; the secrets are in it only now. Never shows them."""

    admin_email: str
    admin_password: str
    api_token: str
    virtual_key: str
    pod_token: str

    def __repr__(self) -> str:
        return f"FirstRun({self.admin_email})"


def installation_seed() -> FirstRun | None:
    """Seed an empty installation in one transaction and publish its shards; None when there is anything already.

    A later run only leads simulated providers to where the simulated provider listens now.
    """
    with transaction.atomic():
        if Organization.objects.exists():
            made = None
            _follow_simulated_provider(Actor.system(FOLLOWER))
        else:
            made = _make_everything(Actor.system("first run"))
    everything_compile()
    return made


def _follow_simulated_provider(actor: Actor) -> None:
    """Ports may differ from start to start. A provider that somebody has led elsewhere since is left alone."""
    base_url = settings.SWITCHYARD.environment.get(SIMULATED_PROVIDER_VARIABLE, "").rstrip("/")
    simulated = Provider.objects.select_related("organization").filter(
        organization__slug=SLUG,
        name__in=[account.name for account in ACCOUNTS],
        account=SIMULATED,
        credential_source=CredentialSource.VALUE,
    )
    for provider in simulated if base_url else ():
        ours = (
            Change.objects.filter(
                Q(action="provider.created") | Q(actor_name=FOLLOWER),
                organization_id=provider.organization_id,
                subject_kind="provider",
                subject_id=provider.id.hex,
            )
            .order_by("-sequence")
            .first()
        )
        recorded = None if ours is None or ours.after is None else ours.after["base_url"]
        if provider.base_url != recorded or provider.base_url == base_url:
            continue
        credential = CredentialChoice(CredentialSource.VALUE, f"sim-{secrets.token_hex(16)}")
        credential_replace(provider=provider, credential=credential, base_url=base_url, actor=actor)


def _make_everything(actor: Actor) -> FirstRun:
    password = secrets.token_urlsafe(15)
    organization = organization_create(slug=SLUG, name="Acme", actor=actor, contact=ADMIN_EMAIL)
    admin = user_create(email=ADMIN_EMAIL, password=password, name="Admin", actor=actor)
    membership_add(organization=organization, user=admin, role=Role.OWNER, actor=actor, by=INSTALLATION)
    as_admin = actor_of(admin)
    team = team_create(organization=organization, name="platform", lead=admin, actor=as_admin)
    team_member_add(team=team, user=admin, actor=as_admin)
    for account in ACCOUNTS:
        _make_provider(organization, account, as_admin)
    # Said by a rule, so that whoever narrows access sees what has to go (docs/reference/rules.md, "Access").
    access_rule_create(
        organization=organization,
        name="everything",
        spec={"allow": {}, "description": "Everybody may use every model. Change or delete it to narrow access."},
        actor=as_admin,
    )
    key = key_mint(organization=organization, name="first key", user=admin, team=team, actor=as_admin, created_by=admin)
    token = admin_token_mint(organization=organization, user=admin, name="local", actor=as_admin)
    pods = pod_token_mint(name="local pods", actor=as_admin)
    return FirstRun(admin.email, password, token.token, key.token, pods.token)


def _make_provider(organization: Organization, account: _Account, actor: Actor) -> None:
    deployment = settings.SWITCHYARD
    is_real = account.key_variable in deployment.credential_env and bool(
        deployment.environment.get(account.key_variable)
    )
    if is_real:
        base_url, credential = "", CredentialChoice(CredentialSource.ENV, account.key_variable)
    else:
        base_url = deployment.environment.get(SIMULATED_PROVIDER_VARIABLE, SIMULATED_PROVIDER_URL)
        credential = CredentialChoice(CredentialSource.VALUE, f"sim-{secrets.token_hex(16)}")
    provider = provider_create(
        organization=organization,
        name=account.name,
        vendor=account.vendor,
        base_url=base_url,
        credential=credential,
        account="" if is_real else SIMULATED,
        actor=actor,
    )
    virtual_models_offer(provider=provider, actor=actor)
