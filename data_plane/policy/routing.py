"""From the name a client asks for to the one account and model that serve it."""

from data_plane.policy.access import fits, may_use, models_for
from data_plane.policy.conditions import Scene
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.memory import PriceSpan, remember
from data_plane.policy.naming import SUGGESTIONS, clip, closest, known_names
from data_plane.policy.snapshot import OrganizationPolicy, PolicySnapshot, ProviderRecord
from switchyard_contract.pricing import Price, price_in_force
from switchyard_contract.reason import Reason

PATH_OF_PROTOCOL = {
    "anthropic_messages": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "openai_embeddings": "/v1/embeddings",
    "gemini_content": "/v1beta/models/{model}:generateContent",
}
_FOR_EVER_MS = 2**62


def resolve(
    policy: PolicySnapshot, caller: Caller, requested_model: str, protocol: str, scene: Scene | None = None
) -> Destination | Refusal:
    """Say where a request goes.

    A name is, in this order: a virtual model; `<provider name>/<model id>`; a model id that exactly one provider
    serves, by name or else by a glob. Refuses with no_target or model_not_allowed, and names the closest models that
    this key may use. Rules of access are not asked here (weighing.py); scene: what they are asked with, for the names.
    """
    wish = (caller.organization_id, caller.models, requested_model, protocol)
    known = policy.memory.destinations.get(wish)
    if known is not None:
        return known
    found = _resolve(policy, caller, requested_model, protocol, scene)
    return found if isinstance(found, Refusal) else remember(policy.memory.destinations, wish, found)


def _resolve(
    policy: PolicySnapshot, caller: Caller, requested_model: str, protocol: str, scene: Scene | None
) -> Destination | Refusal:
    organization = policy.organizations.get(caller.organization_id)
    if organization is None or organization.policy is None:
        return Refusal(Reason.POLICY_PENDING, retry_after_s=2)
    own = organization.policy
    found = _find(own, requested_model, protocol)
    if not found or not may_use(policy, caller, requested_model):
        return _no(policy, caller, own, requested_model, scene, exists=bool(found))
    if len(found) > 1:
        return _ambiguous(found, requested_model)
    provider, model = found[0]
    if provider.protocols and protocol not in provider.protocols:
        return _wrong_protocol(provider, requested_model, protocol)
    return Destination(
        provider_id=provider.id,
        provider_name=provider.name,
        vendor=provider.vendor,
        account=provider.account,
        region=provider.region,
        base_url=provider.base_url,
        model=model,
        passthrough_caller=provider.passthrough_caller,
        credential=provider.credential,
        organization_id=own.id,
        connect_timeout_ms=provider.connect_timeout_ms,
        first_byte_timeout_ms=provider.first_byte_timeout_ms,
        idle_timeout_ms=provider.idle_timeout_ms,
        allow_private=provider.allow_private,
        # Without a clock the row in force cannot be chosen here: the caller asks price_for when the model is known.
        price=None,
        is_external=provider.is_external,
    )


def price_for(policy: PolicySnapshot, organization_id: str, vendor: str, model: str, at_ms: int) -> Price | None:
    """The price row in force for a model as the answer names it; None: unpriced.

    An organization's own row wins over the list. A dated id (claude-haiku-4-5-20251001, gpt-5.1-2025-11-13) without a
    row of its own is priced by the undated name; "vendor/model" as aggregators write it, by the part after the slash.
    """
    return price_span(policy, organization_id, vendor, model, at_ms).price


def price_span(policy: PolicySnapshot, organization_id: str, vendor: str, model: str, at_ms: int) -> PriceSpan:
    """What `price_for` says, and until when it will."""
    what = (organization_id, vendor, model)
    span = policy.memory.prices.get(what)
    if span is None or not span.from_ms <= at_ms < span.until_ms:
        span = remember(policy.memory.prices, what, _price_span(policy, organization_id, vendor, model, at_ms))
    return span


def _price_span(policy: PolicySnapshot, organization_id: str, vendor: str, model: str, at_ms: int) -> PriceSpan:
    organization = policy.organizations.get(organization_id)
    own = organization.policy.prices if organization is not None and organization.policy is not None else {}
    price, from_ms, until_ms = None, 0, _FOR_EVER_MS
    for name in known_names(model):
        rows = (*own.get(name, ()), *policy.list_prices.get(name, ()))
        # The answer may change whenever any row that was looked at begins or ends.
        for edge_ms in (edge_ms for row in rows for edge_ms in (row.valid_from_ms, row.valid_to_ms)):
            if edge_ms > at_ms:
                until_ms = min(until_ms, edge_ms)
            else:
                from_ms = max(from_ms, edge_ms)
        price = price_in_force(rows, vendor, name, at_ms) if rows else None
        if price is not None:
            break
    return PriceSpan(price, from_ms, until_ms)


def _find(own: OrganizationPolicy, requested: str, protocol: str) -> list[tuple[ProviderRecord, str]]:
    virtual = own.virtual_models.get(requested)
    if virtual is not None:
        provider_id, model = virtual.targets[0]
        return [(own.providers[provider_id], model)]
    provider_name, slash, model = requested.partition("/")
    provider = own.providers_by_name.get(provider_name) if slash else None
    if provider is not None and model and (fits(provider.models, model) or requested in own.models):
        return [(provider, model)]
    return [(provider, requested) for provider in _serving(own, requested, protocol)] if requested else []


def _serving(own: OrganizationPolicy, model: str, protocol: str) -> list[ProviderRecord]:
    """The providers of a plain model id: those that name it, else those whose globs take it."""
    named = {record.provider_id for record in own.models_by_plain_id.get(model, ())}
    providers = own.providers.values()
    serving = [provider for provider in providers if provider.id in named or model in provider.models]
    if not serving:
        serving = [provider for provider in providers if fits(provider.models, model)]
    # A provider that cannot be spoken to on this path is no rival of one that can.
    speaking = [provider for provider in serving if not provider.protocols or protocol in provider.protocols]
    return speaking or serving


def _ambiguous(found: list[tuple[ProviderRecord, str]], requested: str) -> Refusal:
    choices = tuple(sorted(f"{provider.name}/{model}" for provider, model in found)[:SUGGESTIONS])
    return Refusal(
        Reason.NO_TARGET,
        f"Several providers serve “{clip(requested)}”. Name one: {', '.join(choices)}.",
        suggestions=choices,
    )


def _no(
    policy: PolicySnapshot,
    caller: Caller,
    own: OrganizationPolicy,
    requested: str,
    scene: Scene | None,
    *,
    exists: bool,
) -> Refusal:
    names = closest(requested, [model.id for model in models_for(policy, caller, scene)])
    said = [
        f"This key may not use the model “{clip(requested)}”."
        if exists
        else f"No model “{clip(requested)}” is offered here."
    ]
    if names:
        said.append(f"Closest names this key may use: {', '.join(names)}.")
    if own.contact:
        said.append(f"Ask {own.contact} for others.")
    reason = Reason.MODEL_NOT_ALLOWED if exists else Reason.NO_TARGET
    return Refusal(reason, " ".join(said), suggestions=names)


def _wrong_protocol(provider: ProviderRecord, requested: str, protocol: str) -> Refusal:
    paths = [PATH_OF_PROTOCOL[name] for name in sorted(provider.protocols) if name in PATH_OF_PROTOCOL]
    shown = PATH_OF_PROTOCOL.get(protocol, protocol)
    return Refusal(
        Reason.NO_TARGET,
        f"“{clip(requested)}” is served by {provider.name} ({provider.vendor}), which does not speak {shown}. "
        f"Send it to {' or '.join(paths)}.",
    )
