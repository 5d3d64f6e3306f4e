"""What a set-up panel is filled with: the address, the key, and the models it may use."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from django.conf import settings

from control_plane.credentials.models import Provider
from control_plane.credentials.vendors import vendors
from control_plane.keys.models import VirtualKey
from control_plane.onboarding.recipes.recipe import Protocol, SetupContext, UsableModel
from control_plane.organizations.models import Organization
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
