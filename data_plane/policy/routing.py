"""From the name a client asks for to the one account and model that serve it."""

from data_plane.policy.access import fits, may_use, models_for
from data_plane.policy.conditions import Scene
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.memory import remember
from data_plane.policy.naming import SUGGESTIONS, clip, closest
from data_plane.policy.snapshot import OrganizationPolicy, PolicySnapshot, PriceIndex, ProviderRecord
from switchyard_contract.price_choice import Chosen, Shelf, choose_list_price, choose_price
from switchyard_contract.pricing import Price
from switchyard_contract.reason import Reason

PATH_OF_PROTOCOL = {
    "anthropic_messages": "/v1/messages",
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "openai_embeddings": "/v1/embeddings",
    "gemini_content": "/v1beta/models/{model}:generateContent",
}


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

    An organization's own row wins over the list, from which a discount may be taken. A dated id
    (claude-haiku-4-5-20251001, gpt-5.1-2025-11-13) without a row of its own is priced by the undated name;
    "vendor/model" as aggregators write it, by the part after the slash.
    """
    return price_span(policy, organization_id, vendor, model, at_ms).price


def price_span(policy: PolicySnapshot, organization_id: str, vendor: str, model: str, at_ms: int) -> Chosen:
    """What `price_for` says, until when it will, and whether it is the price of another model."""
    what = (organization_id, vendor, model)
    span = policy.memory.prices.get(what)
    if span is None or not span.from_ms <= at_ms < span.until_ms:
        shelf = _shelf(policy, organization_id)
        span = remember(policy.memory.prices, what, choose_price(shelf, vendor, model, at_ms))
    return span


def list_price_span(policy: PolicySnapshot, organization_id: str, vendor: str, model: str, at_ms: int) -> Chosen:
    """What a call would have cost that the caller's own account paid: what the list asks."""
    what = (organization_id, vendor, model)
    span = policy.memory.list_prices.get(what)
    if span is None or not span.from_ms <= at_ms < span.until_ms:
        own = _own(policy, organization_id)
        prices: PriceIndex = own.prices if own is not None else {}
        listed = policy.list_prices
        found = choose_list_price(
            lambda name: listed.get(name, ()),
            lambda name: prices.get(name, ()),
            lambda: _all_of(listed),
            vendor,
            model,
            at_ms,
        )
        span = remember(policy.memory.list_prices, what, found)
    return span


def _own(policy: PolicySnapshot, organization_id: str) -> OrganizationPolicy | None:
    organization = policy.organizations.get(organization_id)
    return organization.policy if organization is not None else None


def _shelf(policy: PolicySnapshot, organization_id: str) -> Shelf:
    own, listed = _own(policy, organization_id), policy.list_prices
    if own is None:
        return Shelf(lambda name: listed.get(name, ()), lambda: _all_of(listed))
    prices = own.prices
    return Shelf(
        lambda name: (*prices.get(name, ()), *listed.get(name, ())),
        lambda: (*_all_of(prices), *_all_of(listed)),
        own.discounts,
        own.unknown_models,
    )


def _all_of(index: PriceIndex) -> tuple[Price, ...]:
    return tuple(price for rows in index.values() for price in rows)


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
