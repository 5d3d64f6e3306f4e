"""May this caller use this model, and which may it use at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from data_plane.policy.access_rules import Sight, gate_of
from data_plane.policy.conditions import Scene, scene_of
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.globs import globs_of
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


def fits(globs: tuple[str, ...], name: str) -> bool:
    """Whether a name matches one of the globs (`*` any text, `?` one character, case counts)."""
    return globs_of(globs).fits(name)


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


def models_for(policy: PolicySnapshot, caller: Caller, scene: Scene | None = None) -> tuple[ListedModel, ...]:
    """All names this caller may ask for, in alphabetical order: virtual models, and catalogue models by full name.

    A catalogue model that exactly one provider serves is listed by its plain id instead, unless a virtual model
    already has that name. scene: what is known of the request; of what is not, the list takes the friendlier view, and
    the request itself is judged when it comes.
    """
    organization = policy.organizations.get(caller.organization_id)
    if organization is None or organization.policy is None:
        return ()
    own = organization.policy
    gate = gate_of(own.rules.access, scene or scene_of(caller, caller.tags))
    listed: dict[str, ListedModel] = {}
    for name, provider_id, model in _names(own):
        if name not in listed and may_use(policy, caller, name):
            provider = own.providers[provider_id]
            if gate.lets(Sight(name, provider.name, model, provider.region, provider.is_external)):
                listed[name] = _list(name, own.models.get(f"{provider.name}/{model}"))
    return tuple(listed[name] for name in sorted(listed))


def _names(policy: OrganizationPolicy) -> Iterator[tuple[str, str, str]]:
    """Name, provider id and the vendor's name of all that may be asked for."""
    for virtual in policy.virtual_models.values():
        yield virtual.name, *virtual.targets[0]
    for plain_id, records in policy.models_by_plain_id.items():
        if len(records) == 1 and plain_id not in policy.virtual_models:
            yield plain_id, records[0].provider_id, plain_id
        else:
            for record in records:
                yield record.id, record.provider_id, plain_id


def _list(name: str, record: ModelRecord | None) -> ListedModel:
    if record is None:
        return ListedModel(name, name, 0, 0, 0)
    display_name = record.display_name if name == record.model and record.display_name else name
    return ListedModel(name, display_name, record.created_at_ms, record.context_tokens, record.max_output_tokens)
