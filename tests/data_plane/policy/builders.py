"""Short constructors for shards and the policy they make."""

from typing import Any

from google.protobuf.message import Message
from hypothesis import HealthCheck, settings

from data_plane.policy.authentication import authenticate
from data_plane.policy.decision import Caller
from data_plane.policy.from_proto import read_policy
from data_plane.policy.snapshot import PolicySnapshot
from switchyard_contract import virtual_key
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.virtual_key import KeyKind, KeyToken

ORG = "a" * 32
OTHER_ORG = "b" * 32
TEAM, USER, BOT = "1" * 32, "2" * 32, "3" * 32
CLAUDE_MAIN, OPENAI_MAIN, ROUTER = "4" * 32, "5" * 32, "6" * 32
PEPPER = b"p" * 32
NOW_MS = 1_795_000_000_000
VENDOR_PROTOCOLS = {
    "anthropic": frozenset({"anthropic_messages"}),
    "openai": frozenset({"openai_chat", "openai_responses", "openai_embeddings"}),
    "openrouter": frozenset({"openai_chat", "anthropic_messages"}),
}
AT = ShardVersion(1, 7)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: a machine that is busy is no fault of what is tested."""
Shards = dict[str, tuple[ShardVersion, Message]]


def digest_of(token: KeyToken, pepper_version: int) -> bytes | None:
    return virtual_key.digest(token, PEPPER) if pepper_version == 1 else None


def a_token(kind: KeyKind = KeyKind.PERSONAL) -> KeyToken:
    return virtual_key.mint(kind)


def a_key(token: KeyToken, **changes: Any) -> pb.VirtualKey:
    fields: dict[str, Any] = {
        "id": token.id,
        "digest": virtual_key.digest(token, PEPPER),
        "pepper_version": 1,
        "principal_id": USER,
        "team_id": TEAM,
        "name": "laptop",
        "prefix": token.prefix,
        **changes,
    }
    return pb.VirtualKey(**fields)


def a_provider(identifier: str = CLAUDE_MAIN, name: str = "anthropic-main", **changes: Any) -> pb.Provider:
    fields = {"id": identifier, "name": name, "vendor": "anthropic", "base_url": "https://api.example", **changes}
    return pb.Provider(**fields)


def a_policy_shard(**changes: Any) -> pb.PolicyShard:
    fields: dict[str, Any] = {
        "organization_id": ORG,
        "name": "Acme",
        "contact": "platform@acme.example",
        "teams": [pb.Team(id=TEAM, name="platform", tags={"env": "team", "cost": "42"})],
        "principals": [
            pb.Principal(
                id=USER, kind=pb.PRINCIPAL_KIND_USER, name="ada@acme.example", active=True, tags={"env": "user"}
            ),
            pb.Principal(id=BOT, kind=pb.PRINCIPAL_KIND_SERVICE_ACCOUNT, name="ci", active=True),
        ],
        "providers": [
            a_provider(models=["claude-*"], region="eu", account="acme-1"),
            a_provider(OPENAI_MAIN, "openai-main", vendor="openai", models=["gpt-5.1", "shared-1"]),
            a_provider(ROUTER, "router", vendor="openrouter", models=["*"]),
        ],
        "models": [
            pb.Model(
                id="anthropic-main/claude-sonnet-4-6",
                provider_id=CLAUDE_MAIN,
                model="claude-sonnet-4-6",
                display_name="Claude Sonnet 4.6",
                context_tokens=200_000,
                max_output_tokens=64_000,
                created_at_ms=NOW_MS,
            ),
            pb.Model(id="openai-main/gpt-5.1", provider_id=OPENAI_MAIN, model="gpt-5.1"),
            pb.Model(id="openai-main/shared-1", provider_id=OPENAI_MAIN, model="shared-1"),
            pb.Model(id="router/shared-1", provider_id=ROUTER, model="shared-1"),
        ],
        "virtual_models": [
            pb.VirtualModel(
                name="fast", targets=[pb.Target(provider_id=CLAUDE_MAIN, model="claude-haiku-4-5-20251001")]
            ),
        ],
        **changes,
    }
    return pb.PolicyShard(**fields)


def an_entry(identifier: str = ORG, state: int = pb.ORGANIZATION_STATE_KNOWN, **changes: Any) -> pb.OrganizationEntry:
    return pb.OrganizationEntry(id=identifier, name="Acme", state=state, key_buckets=1, **changes)  # type: ignore[arg-type]


def shards(
    *,
    keys: list[pb.VirtualKey] | None = None,
    policy: pb.PolicyShard | None = None,
    deny: pb.DenyShard | None = None,
    entries: list[pb.OrganizationEntry] | None = None,
    list_prices: list[pb.PriceRow] | None = None,
) -> Shards:
    entries = [an_entry()] if entries is None else entries
    return {
        "global": (AT, pb.GlobalShard(organizations=entries, list_prices=list_prices or [])),
        f"org/{ORG}/policy": (ShardVersion(3, 41), policy or a_policy_shard()),
        f"org/{ORG}/keys/0": (AT, pb.KeyShard(keys=keys or [])),
        f"org/{ORG}/deny": (AT, deny or pb.DenyShard()),
    }


def a_policy(**changes: Any) -> PolicySnapshot:
    return read_policy(shards(**changes), vendor_protocols=VENDOR_PROTOCOLS)


def a_caller(policy: PolicySnapshot, token: KeyToken) -> Caller:
    found = authenticate(
        policy,
        token.text,
        digest_of=digest_of,
        is_revoked=lambda key_id: False,
        now_ms=NOW_MS,
        beacon_age_ms=0,
    )
    assert isinstance(found, Caller)
    return found


def policy_and_caller(*, models: tuple[str, ...] = (), **changes: Any) -> tuple[PolicySnapshot, Caller]:
    token = a_token()
    policy = a_policy(keys=[a_key(token, models=models)], **changes)
    return policy, a_caller(policy, token)
