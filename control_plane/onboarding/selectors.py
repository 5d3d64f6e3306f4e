"""What a set-up panel is filled with: the address, the key, and the models it may use."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from django.conf import settings

from control_plane.credentials.models import Provider
from control_plane.credentials.vendors import vendors
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import rules_of
from control_plane.onboarding.recipes.recipe import Protocol, SetupContext, UsableModel
from control_plane.onboarding.rollout.plan import RolloutContext
from control_plane.organizations.models import Organization, Team
from control_plane.routing.selectors import virtual_models_of

_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}


def gateway_url(organization: Organization) -> str:
    """Where this organization's tools are pointed at, without a trailing slash."""
    return (organization.gateway_public_url or settings.SWITCHYARD.gateway_public_url).rstrip("/")


def models_usable_by(organization: Organization, globs: Sequence[str]) -> tuple[UsableModel, ...]:
    """The names a key with these globs may ask for, of providers that are in use. globs empty: all."""
    return tuple(
        UsableModel(
            virtual_model.name,
            protocols_of(virtual_model.target.provider),
            passes_caller_credential=virtual_model.target.provider.passes_caller_credential,
        )
        for virtual_model in virtual_models_of(organization).filter(target__provider__is_active=True)
        if not globs or any(fnmatchcase(virtual_model.name, glob) for glob in globs)
    )


def protocols_of(provider: Provider) -> frozenset[Protocol]:
    """What a provider answers in: its own list, else its vendor's."""
    vendor = vendors().get(provider.vendor)
    spoken = provider.protocols or (vendor.protocols if vendor else ())
    return frozenset(_PROTOCOLS[name] for name in spoken if name in _PROTOCOLS)


def setup_context(key: VirtualKey, token: str = "") -> SetupContext:
    """Everything recipes need. token: the key's text while it is known; otherwise its prefix with an ellipsis."""
    return SetupContext(
        base_url=gateway_url(key.organization),
        key=token or f"{key.prefix}…",
        models=models_usable_by(key.organization, key.allowed_models),
        organization=key.organization.name,
    )


def rollout_context(
    organization: Organization,
    *,
    team: Team | None = None,
    with_helper: bool = True,
    with_status_line: bool = False,
    project: str = "",
    repository: str = "",
) -> RolloutContext:
    """What files for a whole group are made for: everybody, or one team.

    Named are the models that personal keys may use here; a tool that is rolled out asks with such a key.
    """
    return RolloutContext(
        base_url=gateway_url(organization),
        console_url=settings.SWITCHYARD.console_public_url.rstrip("/"),
        organization=organization.name,
        models=models_usable_by(organization, rules_of(organization).personal_models),
        group=team.name if team is not None else "",
        charged_to=team.name if team is not None else "",
        with_helper=with_helper,
        with_status_line=with_status_line,
        project=project.strip(),
        repository=repository.strip(),
    )
