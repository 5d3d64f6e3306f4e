"""Rows to payload messages. Pure: no query, no clock; the same rows give the same message."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from google.protobuf.message import Message

from control_plane.audit.models import PublishedHead
from control_plane.catalog.models import Discount, KnownModel, ListPrice, OrganizationPrice, PriceFields
from control_plane.credentials.models import Provider
from control_plane.credentials.services import sealed_credential
from control_plane.keys.models import VirtualKey
from control_plane.keys.services.scopes import intersect
from control_plane.organizations.models import Organization, Team
from control_plane.routing.models import VirtualModel
from control_plane.snapshots.compile_rules import RuleRows, compile_rules, has_rules, provider_limits
from switchyard_contract.revision import MIN_READER, RULES, SCOPED_KEYS
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import bucket_of

_STATES = {
    "known": snapshot_pb2.ORGANIZATION_STATE_KNOWN,
    "disabled": snapshot_pb2.ORGANIZATION_STATE_DISABLED,
}


@dataclass(frozen=True, slots=True)
class PrincipalRow:
    """A person or service account as pods know it."""

    id: UUID
    is_user: bool
    name: str
    is_active: bool
    tags: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    """Of a member."""


class KeyScopes(NamedTuple):
    """What narrows a key, as it is kept; most keys have none of it."""

    models: Sequence[str] = ()
    routes: Sequence[str] = ()
    source_networks: Sequence[str] = ()
    tags: Mapping[str, str] = MappingProxyType({})


class KeyRow(NamedTuple):
    """A key as its shard tells of it. Ids are 32 hex digits."""

    key_id: str
    digest: bytes
    pepper_version: int
    owner_id: str
    is_personal: bool
    team_id: str
    name: str
    prefix: str
    scopes: KeyScopes | None
    """None: the key is not narrowed."""
    expires_at_ms: int
    """0: never."""


class RevokedRow(NamedTuple):
    """A revoked key as it is read for the denials: columns of `keys.VirtualKey` by their names."""

    key_id: str
    revoked_at: datetime
    cut_streams: bool


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """Everything an organization's policy shard is made of."""

    organization: Organization
    gateway_public_url: str
    """The deployment's, where the organization has none of its own."""
    console_url: str = ""
    """Where a refused person asks for more."""
    teams: Sequence[Team] = ()
    principals: Sequence[PrincipalRow] = ()
    providers: Sequence[Provider] = ()
    known_models: Sequence[KnownModel] = ()
    """Those that are offered by name."""
    virtual_models: Sequence[VirtualModel] = ()
    """With their target."""
    prices: Sequence[OrganizationPrice] = ()
    discounts: Sequence[Discount] = ()
    unknown_models: str = ""
    """What happens with models that have no price."""
    rules: RuleRows | None = None
    """None: the organization has no rules."""


def compile_global(
    organizations: Iterable[Organization],
    key_buckets: Mapping[UUID, int],
    prices: Iterable[ListPrice],
    audit_heads: Iterable[PublishedHead] = (),
) -> snapshot_pb2.GlobalShard:
    """All organizations, with the number of their key shards, the list prices, and where the audit chains stand."""
    return snapshot_pb2.GlobalShard(
        organizations=[
            snapshot_pb2.OrganizationEntry(
                id=row.id.hex, name=row.name, state=_STATES[row.state], key_buckets=key_buckets.get(row.id, 1)
            )
            for row in sorted(organizations, key=lambda row: row.id)
        ],
        list_prices=[
            _price(row, is_override=False)
            for row in sorted(prices, key=lambda row: (row.vendor, row.model, row.version))
        ],
        audit_heads=[
            snapshot_pb2.AuditHead(
                organization=row.scope,
                sequence=row.sequence,
                hash=bytes(row.hash),
                at_ms=row.at_ms,
                signing_key_id=row.signing_key_id,
                signature=bytes(row.signature),
            )
            for row in sorted(audit_heads, key=lambda row: row.scope)
        ],
    )


def compile_policy(rows: PolicyRows) -> snapshot_pb2.PolicyShard:
    """Who and what an organization has, and where its names lead."""
    organization = rows.organization
    providers = sorted((row for row in rows.providers if row.is_active), key=lambda row: row.id)
    policy = snapshot_pb2.PolicyShard(
        organization_id=organization.id.hex,
        name=organization.name,
        teams=[
            snapshot_pb2.Team(id=row.id.hex, name=row.name, cost_centre=row.cost_centre, tags=row.tags)
            for row in sorted(rows.teams, key=lambda row: row.id)
        ],
        principals=[
            snapshot_pb2.Principal(
                id=row.id.hex,
                kind=snapshot_pb2.PRINCIPAL_KIND_USER if row.is_user else snapshot_pb2.PRINCIPAL_KIND_SERVICE_ACCOUNT,
                name=row.name,
                active=row.is_active,
                tags=row.tags,
                role=row.role,
            )
            for row in sorted(rows.principals, key=lambda row: row.id)
        ],
        providers=[_provider(row) for row in providers],
        models=[model for row in providers for model in _models(row, rows.known_models)],
        virtual_models=[
            snapshot_pb2.VirtualModel(
                name=row.name,
                targets=[snapshot_pb2.Target(provider_id=row.target.provider_id.hex, model=row.target.model)],
            )
            for row in sorted(rows.virtual_models, key=lambda row: row.name)
        ],
        prices=[
            _price(row, is_override=True)
            for row in sorted(rows.prices, key=lambda row: (row.vendor, row.model, row.version))
        ],
        discounts=[
            snapshot_pb2.Discount(
                id=row.version,
                vendor=row.vendor,
                model_glob=row.model_glob,
                per_mille=row.per_mille,
                valid_from_ms=_milliseconds(row.valid_from),
                valid_to_ms=_milliseconds(row.valid_to),
            )
            for row in sorted(rows.discounts, key=lambda row: row.version)
        ],
        unknown_models=rows.unknown_models,
        max_stale_ms=organization.max_stale_ms,
        gateway_public_url=organization.gateway_public_url or rows.gateway_public_url,
        contact=organization.contact,
        budget_status=organization.budget_status,
        console_url=rows.console_url,
        counter_generation=organization.counter_generation,
    )
    if rows.rules is not None:
        present = frozenset(row.id.hex for row in rows.teams) | {row.id.hex for row in rows.principals}
        policy.MergeFrom(compile_rules(rows.rules, present))
    return policy


def compile_keys(
    keys: Iterable[KeyRow], buckets: int, personal_models: Sequence[str] = ()
) -> list[snapshot_pb2.KeyShard]:
    """One message per bucket.

    keys: ascending by id, so that the same keys give the same bytes; they are taken one by one and not held.
    personal_models: what personal keys stay within, whatever they were minted with; none: all. A hundred thousand keys
    are compiled at once, so fields that are empty are not touched.
    """
    shards = [snapshot_pb2.KeyShard() for _ in range(buckets)]
    add = [shard.keys.add for shard in shards]
    for row in keys:
        key_id, digest, pepper_version, owner_id, is_personal, team_id, name, prefix, scopes, expires_at_ms = row
        key = add[bucket_of(key_id, buckets)](
            id=key_id,
            digest=digest,
            pepper_version=pepper_version,
            principal_id=owner_id,
            team_id=team_id,
            name=name,
            prefix=prefix,
        )
        if personal_models and is_personal:
            key.models.extend(intersect(() if scopes is None else scopes.models, personal_models))
        elif scopes is not None:
            key.models.extend(scopes.models)
        if scopes is not None:
            key.routes.extend(scopes.routes)
            key.source_networks.extend(scopes.source_networks)
            key.tags.update(scopes.tags)
        if expires_at_ms:
            key.expires_at_ms = expires_at_ms
    return shards


def key_row(key: VirtualKey) -> KeyRow:
    """A key that is at hand as a row."""
    owner_id = key.user_id or key.service_account_id
    assert owner_id is not None, "the database allows no key without an owner"
    return KeyRow(
        key.key_id,
        bytes(key.digest),
        key.pepper_version,
        owner_id.hex,
        key.user_id is not None,
        key.team_id.hex,
        key.name,
        key.prefix,
        KeyScopes(key.allowed_models, key.allowed_routes, key.source_networks, key.tags),
        _milliseconds(key.expires_at),
    )


def oldest_reader(message: Message) -> int:
    """The contract revision below which a pod would do wrong with this payload."""
    if isinstance(message, snapshot_pb2.KeyShard) and any(key.routes or key.source_networks for key in message.keys):
        return SCOPED_KEYS
    if isinstance(message, snapshot_pb2.PolicyShard) and has_rules(message):
        return RULES
    return MIN_READER


def compile_deny(
    revoked: Iterable[RevokedRow | VirtualKey], principals: Iterable[PrincipalRow]
) -> snapshot_pb2.DenyShard:
    """Keys that were revoked, and people and service accounts that may not act any more."""
    return snapshot_pb2.DenyShard(
        keys=[
            snapshot_pb2.Revocation(
                key_id=row.key_id, revoked_at_ms=_milliseconds(row.revoked_at), cut_streams=row.cut_streams
            )
            for row in sorted(revoked, key=lambda row: row.key_id)
        ],
        principal_ids=sorted(row.id.hex for row in principals if not row.is_active),
    )


def _provider(row: Provider) -> snapshot_pb2.Provider:
    return snapshot_pb2.Provider(
        id=row.id.hex,
        name=row.name,
        vendor=row.vendor,
        base_url=row.base_url,
        region=row.region,
        account=row.account,
        passthrough_caller=row.passes_caller_credential,
        credential=sealed_credential(row),
        models=row.served_models,
        connect_timeout_ms=row.connect_timeout_ms,
        first_byte_timeout_ms=row.first_byte_timeout_ms,
        idle_timeout_ms=row.idle_timeout_ms,
        allow_private_address=row.allows_private_address,
        protocols=row.protocols,
        external=row.is_external,
        limits=provider_limits(row),
    )


def _models(provider: Provider, known: Sequence[KnownModel]) -> list[snapshot_pb2.Model]:
    """The models of a provider that can be listed: those it names, and the offered ones that its globs take in."""
    facts = {row.model: row for row in known if row.vendor == provider.vendor}
    named = {name for name in provider.served_models if not any(char in name for char in "*?[")}
    served = {name for name in facts if any(fnmatchcase(name, glob) for glob in provider.served_models)}
    found = []
    for name in sorted(named | served):
        row = facts.get(name)
        found.append(
            snapshot_pb2.Model(
                id=f"{provider.name}/{name}",
                provider_id=provider.id.hex,
                model=name,
                display_name=row.display_name if row else "",
                context_tokens=row.context_tokens if row else 0,
                max_output_tokens=row.max_output_tokens if row else 0,
            )
        )
    return found


def _price(row: PriceFields, *, is_override: bool) -> snapshot_pb2.PriceRow:
    return snapshot_pb2.PriceRow(
        id=row.version,
        vendor=row.vendor,
        model=row.model,
        valid_from_ms=_milliseconds(row.valid_from),
        valid_to_ms=_milliseconds(row.valid_to),
        rates=snapshot_pb2.Rates(**row.rates),
        bands=[
            snapshot_pb2.PriceBand(
                from_prompt_tokens=band["from_prompt_tokens"], rates=snapshot_pb2.Rates(**band["rates"])
            )
            for band in row.bands
        ],
        tiers=[
            snapshot_pb2.TierMultiplier(
                tier=tier["tier"],
                per_mille=tier["per_mille"],
                rates=snapshot_pb2.Rates(**tier["rates"]) if "rates" in tier else None,
            )
            for tier in row.tiers
        ],
        per_web_search_nano_usd=row.per_web_search_nano_usd,
        source=row.source,
        is_override=is_override,
        us_geo_per_mille=row.us_geo_per_mille,
        unit_nano_usd=row.unit_nano_usd,
    )


def _milliseconds(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1000)
