"""May this caller use this model, and which may it use at all."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.snapshot import ModelRecord, OrganizationPolicy, PolicySnapshot
from switchyard_contract.reason import Reason


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of "which models may I use"."""

    id: str
    display_name: str
    created_at_ms: int
    context_tokens: int
    """0: unknown."""
    max_output_tokens: int
    """0: unknown."""


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # Only * and ? are wild: model names carry brackets and dots that must stay themselves.
    parts = (".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in glob)
    return re.compile("".join(parts), re.DOTALL)


def fits(globs: tuple[str, ...], name: str) -> bool:
    """Whether a name matches one of the globs (`*` any text, `?` one character, case counts)."""
    return any(glob == "*" or glob == name or _pattern(glob).fullmatch(name) is not None for glob in globs)


def outside_scope(caller: Caller, protocol: str | None, source: str) -> Refusal | None:
    """Why this key may not be used on this route, or from this address; None: it may.

    protocol: None for what belongs to none, like "which models may I use". source: the caller's network address, as
    trusted; one that cannot be read is in no network.
    """
    scope = caller.scope
    if scope is None:
        return None
    if scope.routes and protocol is not None and protocol not in scope.routes:
        allowed = ", ".join(sorted(scope.routes))
        return Refusal(
            Reason.SCOPE_NOT_ALLOWED,
            f"The key {caller.key_name} ({caller.key_prefix}…) may not be used with {protocol}, only with {allowed}.",
        )
    if scope.networks and not _is_inside(source, caller):
        return Refusal(
            Reason.SCOPE_NOT_ALLOWED,
            f"The key {caller.key_name} ({caller.key_prefix}…) may not be used from {source or 'an unknown address'}.",
        )
    return None


def _is_inside(source: str, caller: Caller) -> bool:
    assert caller.scope is not None
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in caller.scope.networks)


def may_use(policy: PolicySnapshot, caller: Caller, requested_model: str) -> bool:
    """Whether the key's own list of models lets this requested name through.

    The list is about what callers ask for: a virtual model that is allowed may lead to a target the key could not name.
    Equal names with and without the provider ("anthropic-main/claude-x", "claude-x") are the same wish.
    """
    if not caller.models or fits(caller.models, requested_model):
        return True
    organization = policy.organizations.get(caller.organization_id)
    if organization is None or organization.policy is None:
        return False
    provider_name, slash, model = requested_model.partition("/")
    return bool(slash) and provider_name in organization.policy.providers_by_name and fits(caller.models, model)


def models_for(policy: PolicySnapshot, caller: Caller) -> tuple[ListedModel, ...]:
    """All names this caller may ask for, in alphabetical order: virtual models, and catalogue models by full name.

    A catalogue model that exactly one provider serves is listed by its plain id instead, unless a virtual model
    already has that name.
    """
    organization = policy.organizations.get(caller.organization_id)
    if organization is None or organization.policy is None:
        return ()
    listed: dict[str, ListedModel] = {}
    for name, record in _names(organization.policy):
        if name not in listed and may_use(policy, caller, name):
            listed[name] = _list(name, record)
    return tuple(listed[name] for name in sorted(listed))


def _names(policy: OrganizationPolicy) -> Iterator[tuple[str, ModelRecord | None]]:
    for virtual in policy.virtual_models.values():
        provider_id, model = virtual.targets[0]
        provider = policy.providers[provider_id]
        yield virtual.name, policy.models.get(f"{provider.name}/{model}")
    for plain_id, records in policy.models_by_plain_id.items():
        if len(records) == 1 and plain_id not in policy.virtual_models:
            yield plain_id, records[0]
        else:
            for record in records:
                yield record.id, record


def _list(name: str, record: ModelRecord | None) -> ListedModel:
    if record is None:
        return ListedModel(name, name, 0, 0, 0)
    display_name = record.display_name if name == record.model and record.display_name else name
    return ListedModel(name, display_name, record.created_at_ms, record.context_tokens, record.max_output_tokens)
