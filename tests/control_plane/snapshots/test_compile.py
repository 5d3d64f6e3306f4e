"""Rows to messages, without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.catalog.models import KnownModel, ListPrice
from control_plane.credentials.models import CredentialSource, Provider
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization, Team
from control_plane.routing.models import Target, VirtualModel
from control_plane.snapshots.compile import (
    PolicyRows,
    PrincipalRow,
    compile_deny,
    compile_global,
    compile_keys,
    compile_policy,
    key_row,
    oldest_reader,
)
from control_plane.snapshots.consistency import check_deny, check_global, check_keys, check_policy
from control_plane.snapshots.shards import MANY_BUCKETS, MANY_KEYS, buckets_for, delivery_order
from switchyard_contract.revision import MIN_READER, SCOPED_KEYS
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import ALPHABET, bucket_of

ORGANIZATION = Organization(id=UUID(int=1), slug="acme", name="Acme", contact="it@example.com")
TEAM = Team(id=UUID(int=2), organization=ORGANIZATION, name="platform", cost_centre="42", tags={"env": "dev"})
OWNER = PrincipalRow(UUID(int=3), True, "ada@example.com", True, {"level": "senior"})
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def a_provider(number: int = 10, **facts: object) -> Provider:
    known: dict[str, object] = {
        "name": f"p-{number}",
        "vendor": "anthropic",
        "base_url": "https://api.anthropic.com",
        "served_models": ["*"],
    }
    return Provider(id=UUID(int=number), organization=ORGANIZATION, **{**known, **facts})


def a_route(name: str, provider: Provider, model: str) -> VirtualModel:
    route = VirtualModel(id=UUID(int=len(name) + 100), organization=ORGANIZATION, name=name)
    Target(organization=ORGANIZATION, virtual_model=route, provider=provider, model=model)
    return route


def a_key(key_id: str, **facts: object) -> VirtualKey:
    known: dict[str, object] = {
        "kind": "sypat",
        "name": "laptop",
        "prefix": f"sypat_{key_id[:4]}",
        "digest": b"d" * 32,
        "pepper_version": 1,
        "user_id": OWNER.id,
        "team_id": TEAM.id,
    }
    return VirtualKey(organization=ORGANIZATION, key_id=key_id, **{**known, **facts})


def rows(**facts: object) -> PolicyRows:
    known: dict[str, object] = {"teams": [TEAM], "principals": [OWNER]}
    return PolicyRows(ORGANIZATION, "https://gateway.example.com", **{**known, **facts})  # type: ignore[arg-type]


def test_a_policy_holds_everything_a_pod_must_know() -> None:
    provider = a_provider(
        region="eu",
        account="main",
        credential_source=CredentialSource.VALUE,
        sealed_key_version=2,
        sealed_nonce=b"n" * 12,
        sealed_ciphertext=b"c",
        credential_version=7,
        allows_private_address=True,
    )
    known = [KnownModel(vendor="anthropic", model="claude-a", display_name="A", context_tokens=5, max_output_tokens=3)]
    message = compile_policy(
        rows(providers=[provider], known_models=known, virtual_models=[a_route("fast", provider, "claude-a")])
    )
    assert message == snapshot_pb2.PolicyShard(
        organization_id=f"{1:032x}",
        name="Acme",
        teams=[snapshot_pb2.Team(id=f"{2:032x}", name="platform", cost_centre="42", tags={"env": "dev"})],
        principals=[
            snapshot_pb2.Principal(
                id=f"{3:032x}",
                kind=snapshot_pb2.PRINCIPAL_KIND_USER,
                name="ada@example.com",
                active=True,
                tags={"level": "senior"},
            )
        ],
        providers=[
            snapshot_pb2.Provider(
                id=f"{10:032x}",
                name="p-10",
                vendor="anthropic",
                base_url="https://api.anthropic.com",
                region="eu",
                account="main",
                credential=snapshot_pb2.SealedCredential(key_version=2, nonce=b"n" * 12, ciphertext=b"c", version=7),
                models=["*"],
                connect_timeout_ms=5_000,
                first_byte_timeout_ms=600_000,
                idle_timeout_ms=300_000,
                allow_private_address=True,
                external=True,
            )
        ],
        models=[
            snapshot_pb2.Model(
                id="p-10/claude-a",
                provider_id=f"{10:032x}",
                model="claude-a",
                display_name="A",
                context_tokens=5,
                max_output_tokens=3,
            )
        ],
        virtual_models=[
            snapshot_pb2.VirtualModel(
                name="fast", targets=[snapshot_pb2.Target(provider_id=f"{10:032x}", model="claude-a")]
            )
        ],
        max_stale_ms=7 * 24 * 3600 * 1000,
        gateway_public_url="https://gateway.example.com",
        contact="it@example.com",
        budget_status="auto",
        counter_generation=0,
    )
    assert check_policy(message) == []


def test_models_are_those_named_and_the_offered_ones_that_are_served() -> None:
    known = [KnownModel(vendor="anthropic", model=name) for name in ("claude-a", "claude-b", "other")]
    message = compile_policy(rows(providers=[a_provider(served_models=["claude-*", "own-model"])], known_models=known))
    assert [model.model for model in message.models] == ["claude-a", "claude-b", "own-model"]


def test_a_provider_that_is_switched_off_is_left_out() -> None:
    assert not compile_policy(rows(providers=[a_provider(is_active=False)])).providers


def test_a_key_carries_its_scope_and_expiry() -> None:
    key = a_key("k" * 12, allowed_models=["claude-*"], tags={"env": "ci"}, expires_at=NOW)
    (shard,) = compile_keys([key_row(key)], 1)
    assert shard.keys[0] == snapshot_pb2.VirtualKey(
        id="k" * 12,
        digest=b"d" * 32,
        pepper_version=1,
        principal_id=OWNER.id.hex,
        team_id=TEAM.id.hex,
        models=["claude-*"],
        expires_at_ms=int(NOW.timestamp() * 1000),
        tags={"env": "ci"},
        name="laptop",
        prefix="sypat_kkkk",
    )
    assert check_keys([shard], {OWNER.id.hex}, {TEAM.id.hex}) == []


def test_a_denial_names_keys_and_whoever_may_not_act() -> None:
    gone = PrincipalRow(UUID(int=9), False, "ci", False)
    revoked = a_key("r" * 12, revoked_at=NOW, cut_streams=True)
    message = compile_deny([revoked], [OWNER, gone])
    assert message == snapshot_pb2.DenyShard(
        keys=[snapshot_pb2.Revocation(key_id="r" * 12, revoked_at_ms=int(NOW.timestamp() * 1000), cut_streams=True)],
        principal_ids=[gone.id.hex],
    )
    assert check_deny(message) == []


def test_the_global_shard_names_organizations_with_their_state_and_buckets() -> None:
    disabled = Organization(id=UUID(int=5), name="Gone", state="disabled")
    price = ListPrice(version="v", vendor="a", model="m", rates={"input": 1, "output": 0, "cache_read": 0})
    message = compile_global([disabled, ORGANIZATION], {ORGANIZATION.id: 16}, [price])
    assert [(row.name, row.state, row.key_buckets) for row in message.organizations] == [
        ("Acme", snapshot_pb2.ORGANIZATION_STATE_KNOWN, 16),
        ("Gone", snapshot_pb2.ORGANIZATION_STATE_DISABLED, 1),
    ]
    rates = message.list_prices[0].rates
    # A rate of nothing is a price; a rate that is not known is none.
    assert (rates.HasField("cache_read"), rates.HasField("reasoning")) == (True, False)
    assert check_global(message) == []


KEY_IDS = st.lists(st.text(ALPHABET, min_size=12, max_size=12), unique=True, max_size=60)


@given(key_ids=KEY_IDS, buckets=st.sampled_from([1, 16]), seed=st.integers())
def test_the_same_keys_give_the_same_bytes(key_ids: list[str], buckets: int, seed: int) -> None:
    tags = [("b", "1"), ("a", "2"), ("c", "3")]
    keys = [key_row(a_key(key_id, tags=dict(tags))) for key_id in key_ids]
    Random(seed).shuffle(tags)
    again = [key_row(a_key(key_id, tags=dict(tags))) for key_id in key_ids]
    assert _bytes(compile_keys(keys, buckets)) == _bytes(compile_keys(again, buckets))


@given(key_ids=KEY_IDS, buckets=st.sampled_from([1, 16]))
def test_every_key_is_in_the_bucket_where_a_pod_looks(key_ids: list[str], buckets: int) -> None:
    shards = compile_keys([key_row(a_key(key_id)) for key_id in key_ids], buckets)
    found = {key.id: bucket for bucket, shard in enumerate(shards) for key in shard.keys}
    assert found == {key_id: bucket_of(key_id, buckets) for key_id in key_ids}


@given(st.integers(0, 3 * MANY_KEYS), st.sampled_from([0, 1, MANY_BUCKETS]))
def test_key_shards_only_become_more(keys: int, held: int) -> None:
    assert buckets_for(keys, held) >= max(held, 1)
    assert buckets_for(MANY_KEYS + 1, held) == MANY_BUCKETS


def test_denials_come_first_and_the_first_key_shard_last() -> None:
    shards = ["org/a/keys/0", "org/a/keys/1", "org/a/policy", "global", "org/a/deny", "org/a/keys/15"]
    assert sorted(shards, key=delivery_order) == [
        "org/a/deny",
        "org/a/policy",
        "org/a/keys/15",
        "org/a/keys/1",
        "global",
        "org/a/keys/0",
    ]


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (rows(virtual_models=[a_route("fast", a_provider(77), "claude-a")]), "virtual_models/fast"),
        (
            rows(
                providers=[a_provider(served_models=["claude-b"])],
                virtual_models=[a_route("fast", a_provider(), "claude-a")],
            ),
            "virtual_models/fast",
        ),
        (rows(providers=[a_provider(10), a_provider(11, name="p-10")]), "providers/p-10"),
        (rows(providers=[a_provider(base_url="ftp://x")]), "providers/p-10"),
        (rows(providers=[a_provider(base_url="http://api.example.com")]), "providers/p-10"),
        (rows(providers=[a_provider(idle_timeout_ms=0)]), "providers/p-10"),
        (rows(teams=[TEAM, TEAM]), f"teams/{TEAM.id.hex}"),
    ],
)
def test_a_policy_that_refers_to_nothing_or_contradicts_itself_is_found(message: PolicyRows, path: str) -> None:
    assert path in [finding.path for finding in check_policy(compile_policy(message))]


@pytest.mark.parametrize(
    "key",
    [
        a_key("k" * 11),
        a_key("k" * 12, digest=b"short"),
        a_key("k" * 12, pepper_version=0),
        a_key("k" * 12, user_id=UUID(int=77)),
        a_key("k" * 12, team_id=UUID(int=77)),
    ],
)
def test_a_key_without_form_owner_or_team_is_found(key: VirtualKey) -> None:
    assert len(check_keys(compile_keys([key_row(key)], 1), {OWNER.id.hex}, {TEAM.id.hex})) == 1


def test_a_price_without_a_rate_is_found() -> None:
    for rates, bands in (({"input": 1}, []), ({"input": 1, "output": 1}, [9, 5])):
        price = ListPrice(
            version="v",
            model="m",
            rates=rates,
            bands=[{"from_prompt_tokens": start, "rates": {"input": 1, "output": 1}} for start in bands],
        )
        assert len(check_global(compile_global([], {}, [price]))) == 1


def _bytes(shards: Sequence[snapshot_pb2.KeyShard]) -> list[bytes]:
    return [shard.SerializeToString(deterministic=True) for shard in shards]


def test_only_shards_with_scoped_keys_ask_for_the_newer_reader() -> None:
    plain = snapshot_pb2.KeyShard(keys=[snapshot_pb2.VirtualKey(id="A" * 12)])
    routed = snapshot_pb2.KeyShard(keys=[snapshot_pb2.VirtualKey(id="A" * 12, routes=["openai_chat"])])
    placed = snapshot_pb2.KeyShard(keys=[snapshot_pb2.VirtualKey(id="A" * 12, source_networks=["10.0.0.0/8"])])
    assert [oldest_reader(each) for each in (plain, routed, placed)] == [MIN_READER, SCOPED_KEYS, SCOPED_KEYS]
    assert oldest_reader(snapshot_pb2.DenyShard()) == MIN_READER
