"""From verified shards to a policy: the only door.

Reading is incremental: what was built from a shard is used again as long as the shard's message is the very same one,
so a changed bucket of keys costs that bucket and nothing else.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError, Message

from data_plane.policy.conditions_from_proto import ROLES, Known
from data_plane.policy.decision import PrincipalKind
from data_plane.policy.keys_from_proto import read_keys
from data_plane.policy.price_rows import read_discounts, read_prices
from data_plane.policy.rules_from_proto import read_provider_limits, read_rules
from data_plane.policy.snapshot import (
    DEFAULT_CONNECT_TIMEOUT_MS,
    DEFAULT_FIRST_BYTE_TIMEOUT_MS,
    DEFAULT_IDLE_TIMEOUT_MS,
    DEFAULT_MAX_STALE_MS,
    Deny,
    GlobalPart,
    InvalidSnapshot,
    KeyPart,
    KeyRecord,
    ModelRecord,
    OrganizationListing,
    OrganizationPolicy,
    OrganizationRecord,
    OrganizationState,
    PolicySnapshot,
    PrincipalRecord,
    ProviderRecord,
    ShardPart,
    TeamRecord,
    VirtualModelRecord,
)
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.virtual_key import bucket_of

Shards = Mapping[str, tuple[ShardVersion, Message]]
VendorProtocols = Mapping[str, frozenset[str]]

GLOBAL_SHARD = "global"
_PRINCIPAL_KINDS: Mapping[int, PrincipalKind] = {
    pb.PRINCIPAL_KIND_USER: "user",
    pb.PRINCIPAL_KIND_SERVICE_ACCOUNT: "service_account",
}


def parse_payload(shard: str, payload: bytes) -> Message:
    """Parse the message that a shard of this name carries; raises InvalidSnapshot."""
    message = _message_for(shard)
    try:
        message.ParseFromString(payload)
    except DecodeError as failure:
        raise InvalidSnapshot(shard, "does not parse") from failure
    return message


def read_policy(
    shards: Shards,
    *,
    previous: PolicySnapshot | None = None,
    vendor_protocols: VendorProtocols = MappingProxyType({}),
) -> PolicySnapshot:
    """Join shards into a policy.

    previous: the policy in force, whose unchanged parts are used again. vendor_protocols: what each vendor speaks, for
    accounts that do not say (providers.catalog.VENDOR_PROTOCOLS); a vendor that is missing there is taken to speak
    everything. Shards that no listed organization owns are ignored. Raises InvalidSnapshot for the first fault found.
    """
    old = previous.parts if previous is not None else {}
    parts: dict[str, ShardPart] = {}
    for shard, (at, message) in shards.items():
        part = old.get(shard)
        if part is not None and part.message is message and part.at == at:
            parts[shard] = part
        else:
            parts[shard] = ShardPart(at, message, _read_part(shard, at, message, vendor_protocols))
    return _join(parts, previous)


def _message_for(shard: str) -> Message:
    if shard == GLOBAL_SHARD:
        return pb.GlobalShard()
    segments = shard.split("/")
    match segments:
        case ["org", _, "policy"]:
            return pb.PolicyShard()
        case ["org", _, "keys", _]:
            return pb.KeyShard()
        case ["org", _, "deny"]:
            return pb.DenyShard()
        case _:
            raise InvalidSnapshot(shard, "is no shard this pod knows")


def _read_part(
    shard: str, at: ShardVersion, message: Message, vendor_protocols: VendorProtocols
) -> GlobalPart | OrganizationPolicy | KeyPart | Deny:
    if type(message) is not type(_message_for(shard)):
        raise InvalidSnapshot(shard, f"carries a {type(message).__name__}")
    if isinstance(message, pb.GlobalShard):
        return _read_global(shard, message)
    if isinstance(message, pb.PolicyShard):
        return _read_organization(shard, at, message, vendor_protocols)
    if isinstance(message, pb.KeyShard):
        return read_keys(shard, message)
    assert isinstance(message, pb.DenyShard)
    return Deny({key.key_id: key.cut_streams for key in message.keys}, frozenset(message.principal_ids))


def _join(parts: Mapping[str, ShardPart], previous: PolicySnapshot | None) -> PolicySnapshot:
    head = parts.get(GLOBAL_SHARD)
    if head is None or not isinstance(head.value, GlobalPart):
        return PolicySnapshot({}, {}, {}, at=None, is_complete=False, parts=parts)
    organizations: dict[str, OrganizationRecord] = {}
    buckets: list[KeyPart] = []
    unlisted = _unlisted_buckets(parts, head.value, head.at.epoch)
    is_complete = not _is_listing_behind(parts, head.value, head.at.epoch)
    for listing in head.value.organizations:
        organization, held = _join_organization(parts, listing)
        organizations[listing.id] = organization
        buckets += held
        buckets += unlisted.get(listing.id, ())
        is_complete = is_complete and organization.state is not OrganizationState.PENDING
    return PolicySnapshot(
        organizations=organizations,
        keys=_join_keys(buckets, head.value, previous),
        list_prices=head.value.prices,
        at=head.at,
        is_complete=is_complete,
        newest_pepper=max((bucket.newest_pepper for bucket in buckets), default=1),
        parts=parts,
        buckets=tuple(buckets),
    )


def _is_listing_behind(parts: Mapping[str, ShardPart], listed: GlobalPart, epoch: int) -> bool:
    """Whether a shard is held of an organization that the list does not name yet.

    Of another epoch it would be a leftover from before a restore.
    """
    known = {listing.id for listing in listed.organizations}
    return any(
        part.at.epoch == epoch and shard.startswith("org/") and shard.split("/")[1] not in known
        for shard, part in parts.items()
    )


def _unlisted_buckets(
    parts: Mapping[str, ShardPart], listed: GlobalPart, epoch: int
) -> Mapping[str, tuple[KeyPart, ...]]:
    """Buckets that the list does not promise yet, by organization.

    When keys spread over more buckets, the first one may shrink before the list with the new count is in force; until
    then the keys that moved are found here. Of another epoch they would be leftovers from before a restore.
    """
    counts = {listing.id: listing.key_buckets for listing in listed.organizations}
    found: dict[str, tuple[KeyPart, ...]] = {}
    for part in parts.values():
        keys = part.value
        if isinstance(keys, KeyPart) and part.at.epoch == epoch and keys.bucket >= counts.get(keys.organization_id, 0):
            found[keys.organization_id] = (*found.get(keys.organization_id, ()), keys)
    return found


def _join_keys(buckets: list[KeyPart], listed: GlobalPart, previous: PolicySnapshot | None) -> Mapping[str, KeyRecord]:
    """All keys by id. Raises InvalidSnapshot when two buckets hold one and neither is where it belongs."""
    if len(buckets) == 1:
        return buckets[0].keys
    # A revocation changes no bucket, and must not wait for a hundred thousand keys to be put together again.
    if previous is not None and [id(each) for each in previous.buckets] == [id(each) for each in buckets]:
        return previous.keys
    keys = {key_id: key for bucket in buckets for key_id, key in bucket.keys.items()}
    if len(keys) == sum(len(bucket.keys) for bucket in buckets):
        return keys
    counts = {listing.id: listing.key_buckets for listing in listed.organizations}
    homes: dict[str, KeyPart] = {}
    for bucket in buckets:
        for key_id in bucket.keys:
            other = homes.setdefault(key_id, bucket)
            if other is bucket:
                continue
            if other.organization_id != bucket.organization_id:
                raise InvalidSnapshot("keys", "two organizations hold a key of the same id")
            # Buckets arrive one by one: while keys move, a key is in the old place and in the new one.
            home = bucket_of(key_id, counts[bucket.organization_id])
            if home not in (bucket.bucket, other.bucket):
                raise InvalidSnapshot("keys", "two shards hold a key of the same id, and it belongs to neither")
            if bucket.bucket == home:
                homes[key_id] = bucket
    return {key_id: home.keys[key_id] for key_id, home in homes.items()}


def _join_organization(
    parts: Mapping[str, ShardPart], listing: OrganizationListing
) -> tuple[OrganizationRecord, list[KeyPart]]:
    def held(name: str) -> object:
        part = parts.get(f"org/{listing.id}/{name}")
        return part.value if part is not None else None

    policy = held("policy")
    deny = held("deny")
    found = [held(f"keys/{bucket}") for bucket in range(listing.key_buckets)]
    keys = [bucket for bucket in found if isinstance(bucket, KeyPart)]
    if listing.is_disabled:
        state = OrganizationState.DISABLED
    elif isinstance(policy, OrganizationPolicy) and isinstance(deny, Deny) and len(keys) == len(found):
        state = OrganizationState.KNOWN
    else:
        state = OrganizationState.PENDING
    record = OrganizationRecord(
        id=listing.id,
        name=listing.name,
        state=state,
        policy=policy if isinstance(policy, OrganizationPolicy) else None,
        deny=deny if isinstance(deny, Deny) else Deny(),
    )
    return record, keys


def _read_global(shard: str, message: pb.GlobalShard) -> GlobalPart:
    listings: dict[str, OrganizationListing] = {}
    for position, entry in enumerate(message.organizations):
        where = f"{shard}.organizations[{position}]"
        if entry.id in listings:
            raise InvalidSnapshot(f"{where}.id", f"{entry.id} is listed twice")
        if entry.state not in (pb.ORGANIZATION_STATE_KNOWN, pb.ORGANIZATION_STATE_DISABLED):
            raise InvalidSnapshot(f"{where}.state", "is neither known nor disabled")
        is_disabled = entry.state == pb.ORGANIZATION_STATE_DISABLED
        listings[entry.id] = OrganizationListing(entry.id, entry.name, is_disabled, max(entry.key_buckets, 1))
    return GlobalPart(tuple(listings.values()), read_prices(f"{shard}.list_prices", message.list_prices))


def _read_organization(
    shard: str, at: ShardVersion, message: pb.PolicyShard, vendor_protocols: VendorProtocols
) -> OrganizationPolicy:
    if message.organization_id != shard.split("/")[1]:
        raise InvalidSnapshot(f"{shard}.organization_id", f"is {message.organization_id!r}")
    providers = {provider.id: _read_provider(shard, provider, vendor_protocols) for provider in message.providers}
    by_name = {provider.name: provider for provider in providers.values()}
    if len(by_name) != len(message.providers):
        raise InvalidSnapshot(f"{shard}.providers", "two providers share an id or a name")
    models = {model.id: _read_model(shard, model, providers) for model in message.models}
    teams = {team.id: TeamRecord(team.id, team.name, dict(team.tags)) for team in message.teams}
    principals = {person.id: _read_principal(shard, person) for person in message.principals}
    return OrganizationPolicy(
        id=message.organization_id,
        name=message.name,
        at=at,
        teams=teams,
        principals=principals,
        providers=providers,
        providers_by_name=by_name,
        models=models,
        models_by_plain_id=_by_plain_id(models.values()),
        virtual_models={
            virtual.name: _read_virtual_model(shard, virtual, providers) for virtual in message.virtual_models
        },
        prices=read_prices(f"{shard}.prices", message.prices),
        discounts=read_discounts(f"{shard}.discounts", message.discounts),
        unknown_models=message.unknown_models,
        max_stale_ms=message.max_stale_ms or DEFAULT_MAX_STALE_MS,
        gateway_public_url=message.gateway_public_url,
        console_url=message.console_url,
        contact=message.contact,
        rules=read_rules(shard, message, _known(teams, principals)),
    )


def _known(teams: Mapping[str, TeamRecord], principals: Mapping[str, PrincipalRecord]) -> Known:
    people = frozenset(person.id for person in principals.values() if person.kind == "user")
    return Known(frozenset(teams), people, frozenset(principals) - people)


def _read_principal(shard: str, person: pb.Principal) -> PrincipalRecord:
    kind = _PRINCIPAL_KINDS.get(person.kind)
    if kind is None:
        raise InvalidSnapshot(f"{shard}.principals[{person.id}].kind", "is neither user nor service account")
    if person.role and person.role not in ROLES:
        raise InvalidSnapshot(f"{shard}.principals[{person.id}].role", f"{person.role!r} is no role")
    return PrincipalRecord(person.id, kind, person.name, person.active, dict(person.tags), person.role)


def _read_provider(shard: str, provider: pb.Provider, vendor_protocols: VendorProtocols) -> ProviderRecord:
    where = f"{shard}.providers[{provider.name}]"
    if not provider.name or "/" in provider.name:
        raise InvalidSnapshot(f"{where}.name", "is empty or holds a slash")
    _check_address(f"{where}.base_url", provider.base_url)
    return ProviderRecord(
        id=provider.id,
        name=provider.name,
        vendor=provider.vendor,
        base_url=provider.base_url,
        region=provider.region,
        account=provider.account,
        passthrough_caller=provider.passthrough_caller,
        credential=provider.credential if provider.HasField("credential") else None,
        models=tuple(provider.models),
        connect_timeout_ms=provider.connect_timeout_ms or DEFAULT_CONNECT_TIMEOUT_MS,
        first_byte_timeout_ms=provider.first_byte_timeout_ms or DEFAULT_FIRST_BYTE_TIMEOUT_MS,
        idle_timeout_ms=provider.idle_timeout_ms or DEFAULT_IDLE_TIMEOUT_MS,
        allow_private=provider.allow_private_address,
        protocols=frozenset(provider.protocols) or vendor_protocols.get(provider.vendor, frozenset()),
        is_external=provider.external,
        limits=read_provider_limits(f"{where}.limits", provider.limits),
    )


def _check_address(where: str, base_url: str) -> None:
    if not base_url:
        return  # the vendor's public address
    try:
        parts = urlsplit(base_url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as failure:
        raise InvalidSnapshot(where, "is no address") from failure
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise InvalidSnapshot(where, "is no http or https address with a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidSnapshot(where, "holds a user, a query or a fragment")


def _read_model(shard: str, model: pb.Model, providers: Mapping[str, ProviderRecord]) -> ModelRecord:
    if model.provider_id not in providers:
        raise InvalidSnapshot(f"{shard}.models[{model.id}].provider_id", "refers to no provider")
    return ModelRecord(
        id=model.id,
        provider_id=model.provider_id,
        model=model.model,
        display_name=model.display_name,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        created_at_ms=model.created_at_ms,
    )


def _by_plain_id(models: Iterable[ModelRecord]) -> Mapping[str, tuple[ModelRecord, ...]]:
    grouped: dict[str, tuple[ModelRecord, ...]] = {}
    for model in models:
        grouped[model.model] = (*grouped.get(model.model, ()), model)
    return grouped


def _read_virtual_model(
    shard: str, virtual: pb.VirtualModel, providers: Mapping[str, ProviderRecord]
) -> VirtualModelRecord:
    where = f"{shard}.virtual_models[{virtual.name}].targets"
    if not virtual.targets:
        raise InvalidSnapshot(where, "is empty")
    for target in virtual.targets:
        if target.provider_id not in providers or not target.model:
            raise InvalidSnapshot(where, "refers to no provider or names no model")
    return VirtualModelRecord(virtual.name, tuple((target.provider_id, target.model) for target in virtual.targets))
