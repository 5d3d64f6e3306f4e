"""What a decision says: who calls, where it goes, or why not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from switchyard_contract.pricing import Price
from switchyard_contract.reason import Reason
from switchyard_contract.v1.snapshot_pb2 import SealedCredential

Network = IPv4Network | IPv6Network
PrincipalKind = Literal["user", "service_account"]


RuleKind = Literal["budget", "rate", "concurrency", "session_cap", "provider_limit"]


@dataclass(frozen=True, slots=True)
class RuleNumbers:
    """The rule behind a refusal, with its numbers at that instant; protocols word it (protocols/refusal_text.py)."""

    kind: RuleKind
    rule_name: str
    unit: str
    """nano_usd, requests, tokens, input_tokens, output_tokens, turns, retries, failed_tool_results, tool_calls."""
    used: int
    """What counts already; money that is held for running exchanges included."""
    limit: int
    needed: int = 0
    """What this exchange would have come to; 0: one, or not known."""
    period: str = ""
    """minute, hour, day, week, month, quarter, lifetime, session; empty: none."""
    resets_at_ms: int = 0
    """Unix milliseconds; 0: never, or little by little."""
    timezone: str = "UTC"
    """The rule's; IANA."""
    contact: str = ""
    """Whom to ask."""
    told: tuple[str, ...] = ()
    """Who was alerted by now."""
    more_url: str = ""
    """Where more can be asked for; empty: nowhere."""
    counts: str = ""
    """Whose counter it is, for people: "ada@example.com"; empty: everybody's whom the rule is about."""
    rule_id: str = ""
    counter: str = ""
    """Which of the rule's counters, as the contract writes them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An expected no, rendered later in the caller's own protocol."""

    reason: Reason
    message: str = ""
    """Whole sentences for the person; empty: the reason's own sentence."""
    retry_after_s: int | None = None
    http_status: int | None = None
    """Where the reason's own status is too coarse (408, 415)."""
    suggestions: tuple[str, ...] = ()
    """Model names this caller may use that come closest to what was asked for."""
    may_have_run: bool = False
    """The provider had the whole request and was at it when it was given up, so it may well charge for it."""
    numbers: RuleNumbers | None = None
    """The rule that says no; without a message, the sentence is made from it."""
    rules_seen: bytes = b""
    """Which rules were looked at and what each said: a part of the usage event, UsageEvent(rules=…)."""

    @property
    def sentence(self) -> str:
        return self.message or self.reason.sentence


@dataclass(frozen=True, slots=True)
class KeyScope:
    """Where a key may be used, beyond its models."""

    routes: frozenset[str]
    """Protocols; empty: all."""
    networks: tuple[Network, ...]
    """Where requests may come from; empty: anywhere."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who presented a valid virtual key, with what the key may do and whom it is charged to."""

    organization_id: str
    organization_name: str
    key_id: str
    key_name: str
    key_prefix: str
    principal_id: str
    principal_kind: PrincipalKind
    principal_name: str
    team_id: str
    team_name: str
    models: tuple[str, ...] = ()
    """Globs over requested names; empty: all."""
    scope: KeyScope | None = None
    """None: any route, from anywhere."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Merged: the key's win over the principal's, those over the team's."""
    contact: str = ""
    """Whom a refused person may ask."""
    role: str = ""
    """Of a user: owner, admin, finance, auditor, team_lead, member."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One model at one provider account."""

    provider_id: str
    provider_name: str
    vendor: str
    account: str
    region: str
    base_url: str
    model: str
    """As the vendor names it."""
    passthrough_caller: bool
    """The caller's own credential travels on; the gateway has none for this account."""
    credential: SealedCredential | None
    organization_id: str
    connect_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    allow_private: bool
    price: Price | None
    is_external: bool = False
    """Outside the organization's own networks."""
