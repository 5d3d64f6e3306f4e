"""The policy a pod obeys: frozen, joined from verified shards, indexed for look-up by key id.

Failure: `InvalidSnapshot`, a shard that parsed but says something that cannot hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from google.protobuf.message import Message

from data_plane.policy.decision import KeyScope, PrincipalKind
from data_plane.policy.memory import PolicyMemory
from data_plane.policy.rules import NO_LIMITS, NO_RULES, ProviderLimits, Rules
from switchyard_contract.price_choice import Discount
from switchyard_contract.pricing import Price
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1.snapshot_pb2 import SealedCredential

DEFAULT_CONNECT_TIMEOUT_MS = 5_000
DEFAULT_FIRST_BYTE_TIMEOUT_MS = 600_000
DEFAULT_IDLE_TIMEOUT_MS = 300_000
DEFAULT_MAX_STALE_MS = 7 * 24 * 3600 * 1000
NEVER_STALE = -1


class InvalidSnapshot(ValueError):
    """The shards do not make a policy. path: which field, for people; why: what is wrong with it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.why = path, why


class OrganizationState(StrEnum):
    """Three states, never two: what is not yet held is not unknown."""

    KNOWN = "known"
    DISABLED = "disabled"
    PENDING = "pending"
    """Served by this deployment, but at least one of its shards is not held yet."""


@dataclass(frozen=True, slots=True)
class TeamRecord:
    id: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrincipalRecord:
    id: str
    kind: PrincipalKind
    name: str
    is_active: bool
    tags: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    """Of a user: owner, admin, finance, auditor, team_lead, member."""


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """An upstream account."""

    id: str
    name: str
    vendor: str
    base_url: str
    region: str
    account: str
    passthrough_caller: bool
    credential: SealedCredential | None
    models: tuple[str, ...]
    """Model ids or globs the account serves."""
    connect_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    allow_private: bool
    protocols: frozenset[str]
    """What the account speaks; empty: nobody said, so anything is tried."""
    is_external: bool = False
    """Outside the organization's own networks: its prompts leave the house."""
    limits: ProviderLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class ModelRecord:
    id: str
    """`<provider name>/<model id>`"""
    provider_id: str
    model: str
    display_name: str
    context_tokens: int
    max_output_tokens: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class VirtualModelRecord:
    name: str
    targets: tuple[tuple[str, str], ...]
    """(provider id, vendor's model name), in the order to try."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    id: str
    organization_id: str
    digest: bytes
    pepper_version: int
    principal_id: str
    team_id: str
    models: tuple[str, ...]
    expires_at_ms: int
    """0: never."""
    tags: Mapping[str, str]
    name: str
    prefix: str
    scope: KeyScope | None = None
    """None: any route, from anywhere."""


PriceIndex = Mapping[str, tuple[Price, ...]]
"""Model id as the vendor names it, to all its rows."""


@dataclass(frozen=True, slots=True)
class OrganizationPolicy:
    """One organization's policy shard, indexed."""

    id: str
    name: str
    at: ShardVersion
    teams: Mapping[str, TeamRecord]
    principals: Mapping[str, PrincipalRecord]
    providers: Mapping[str, ProviderRecord]
    providers_by_name: Mapping[str, ProviderRecord]
    models: Mapping[str, ModelRecord]
    models_by_plain_id: Mapping[str, tuple[ModelRecord, ...]]
    virtual_models: Mapping[str, VirtualModelRecord]
    prices: PriceIndex
    max_stale_ms: int
    gateway_public_url: str
    contact: str
    rules: Rules = NO_RULES
    console_url: str = ""
    """Where people ask for more; empty: nowhere."""
    discounts: tuple[Discount, ...] = ()
    """What contracts take off list prices."""
    unknown_models: str = ""
    """What happens with a model that has no price; empty: it is billed by the dearest one known."""


@dataclass(frozen=True, slots=True)
class Deny:
    """What is taken back, whatever other shards say."""

    keys: Mapping[str, bool] = field(default_factory=dict)
    """Key id to whether its running streams are cut."""
    principals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One bucket of an organization's keys."""

    organization_id: str
    bucket: int
    keys: Mapping[str, KeyRecord]
    newest_pepper: int


@dataclass(frozen=True, slots=True)
class OrganizationListing:
    """An organization as the global shard lists it."""

    id: str
    name: str
    is_disabled: bool
    key_buckets: int


@dataclass(frozen=True, slots=True)
class GlobalPart:
    """Who is served here, and the list prices."""

    organizations: tuple[OrganizationListing, ...]
    prices: PriceIndex


@dataclass(frozen=True, slots=True)
class OrganizationRecord:
    """Where an organization stands, with its policy and deny list once they are held."""

    id: str
    name: str
    state: OrganizationState
    policy: OrganizationPolicy | None
    deny: Deny


@dataclass(frozen=True, slots=True)
class ShardPart:
    """What one shard was read to. The message is kept to know the very same one again."""

    at: ShardVersion
    message: Message
    value: "GlobalPart | OrganizationPolicy | KeyPart | Deny"


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """Everything a pod decides by. Immutable; a change makes another."""

    organizations: Mapping[str, OrganizationRecord]
    keys: Mapping[str, KeyRecord]
    """By key id, of all organizations."""
    list_prices: PriceIndex
    at: ShardVersion | None
    """Version of the global shard; None: nothing is held yet."""
    is_complete: bool
    """Every organization served here is known or disabled, and no shard is held of one that is not listed yet: a key
    that is not found was never issued."""
    newest_pepper: int = 1
    """Version under which keys are minted now."""
    parts: Mapping[str, "ShardPart"] = field(default_factory=dict)
    """What was built from each shard, for the next reading to use again."""
    buckets: tuple[KeyPart, ...] = ()
    """What `keys` was put together from."""
    memory: PolicyMemory = field(default_factory=PolicyMemory, init=False, compare=False, repr=False)

    def policy_version(self, organization_id: str) -> tuple[int, int]:
        """Epoch and version of an organization's policy shard; (0, 0) when it is not held."""
        organization = self.organizations.get(organization_id)
        if organization is None or organization.policy is None:
            return (0, 0)
        return (organization.policy.at.epoch, organization.policy.at.version)


NO_POLICY = PolicySnapshot(organizations={}, keys={}, list_prices={}, at=None, is_complete=False)
"""Before the first shard."""
