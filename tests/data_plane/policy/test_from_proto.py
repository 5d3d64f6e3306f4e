"""From shards to a policy: complete, incremental, and only through this door."""

import time
from typing import Any

import pytest

from data_plane.policy.from_proto import parse_payload, read_policy
from data_plane.policy.snapshot import InvalidSnapshot, OrganizationState
from switchyard_contract.pricing import Band, Price, Rates, Tier
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.policy.builders import (
    AT,
    ORG,
    OTHER_ORG,
    VENDOR_PROTOCOLS,
    Shards,
    a_key,
    a_policy,
    a_policy_shard,
    a_provider,
    a_token,
    an_entry,
    shards,
)
from tests.promises import within


def test_a_policy_tells_the_version_of_its_policy_shard() -> None:
    policy = a_policy()

    assert policy.policy_version(ORG) == (3, 41)
    assert policy.policy_version(OTHER_ORG) == (0, 0)
    assert policy.at == AT


def test_nothing_is_a_policy_too() -> None:
    policy = read_policy({})

    assert not policy.is_complete
    assert policy.at is None


def test_an_organization_is_known_only_with_all_its_shards() -> None:
    for missing in ("policy", "deny", "keys/0"):
        held = shards()
        del held[f"org/{ORG}/{missing}"]
        policy = read_policy(held)
        assert policy.organizations[ORG].state is OrganizationState.PENDING
        assert not policy.is_complete
    assert a_policy().organizations[ORG].state is OrganizationState.KNOWN
    assert a_policy().is_complete


def test_a_disabled_organization_needs_no_shards() -> None:
    entry = an_entry(state=pb.ORGANIZATION_STATE_DISABLED)

    policy = read_policy({"global": (AT, pb.GlobalShard(organizations=[entry]))})

    assert policy.organizations[ORG].state is OrganizationState.DISABLED
    assert policy.is_complete


def test_keys_of_all_buckets_are_found_and_a_missing_bucket_leaves_the_organization_pending() -> None:
    tokens = [a_token() for _ in range(4)]
    held = shards(entries=[pb.OrganizationEntry(id=ORG, name="Acme", state=pb.ORGANIZATION_STATE_KNOWN, key_buckets=2)])
    held[f"org/{ORG}/keys/0"] = (AT, pb.KeyShard(keys=[a_key(token) for token in tokens[:2]]))

    assert read_policy(held).organizations[ORG].state is OrganizationState.PENDING
    held[f"org/{ORG}/keys/1"] = (AT, pb.KeyShard(keys=[a_key(token) for token in tokens[2:]]))
    policy = read_policy(held)

    assert policy.organizations[ORG].state is OrganizationState.KNOWN
    assert set(policy.keys) == {token.id for token in tokens}
    assert {key.organization_id for key in policy.keys.values()} == {ORG}


def test_shards_of_an_organization_that_is_not_listed_give_nobody_access() -> None:
    held = shards(keys=[a_key(a_token())], entries=[])

    policy = read_policy(held)

    assert policy.keys == {}
    # The list is on its way: whoever presents such a key is told to wait, not that it is none.
    assert not policy.is_complete


def test_unchanged_shards_are_used_again_and_a_changed_one_is_read_anew() -> None:
    held = shards(keys=[a_key(a_token())])
    before = read_policy(held)
    changed: Shards = {**held, f"org/{ORG}/deny": (ShardVersion(1, 8), pb.DenyShard(principal_ids=["x"]))}

    after = read_policy(changed, previous=before)

    assert after.organizations[ORG].policy is before.organizations[ORG].policy
    assert after.keys is before.keys
    assert after.organizations[ORG].deny.principals == {"x"}
    assert before.organizations[ORG].deny.principals == frozenset()


def test_another_message_under_the_same_version_is_never_mistaken_for_the_first() -> None:
    before = read_policy(shards(policy=a_policy_shard(contact="first")))

    after = read_policy(shards(policy=a_policy_shard(contact="second")), previous=before)

    policy = after.organizations[ORG].policy
    assert policy is not None
    assert policy.contact == "second"


def test_what_an_account_speaks_is_its_own_word_or_its_vendor_s() -> None:
    shard = a_policy_shard(
        providers=[
            a_provider(),
            a_provider("9" * 32, "own", protocols=["openai_chat"]),
            a_provider("8" * 32, "new", vendor="x"),
        ],
        models=[],
    )
    policy = read_policy(shards(policy=shard), vendor_protocols=VENDOR_PROTOCOLS).organizations[ORG].policy

    assert policy is not None
    assert {name: each.protocols for name, each in policy.providers_by_name.items()} == {
        "anthropic-main": {"anthropic_messages"},
        "own": {"openai_chat"},
        "new": frozenset(),
    }


def test_a_price_row_is_read_with_bands_tiers_and_what_is_absent_stays_unknown() -> None:
    row = pb.PriceRow(
        id="p1",
        vendor="anthropic",
        model="m",
        rates=pb.Rates(input=3_000_000_000, output=15_000_000_000, cache_read=0),
        bands=[pb.PriceBand(from_prompt_tokens=200_001, rates=pb.Rates(input=6_000_000_000))],
        tiers=[pb.TierMultiplier(tier="batch", per_mille=500), pb.TierMultiplier(tier="fast", rates=pb.Rates(input=9))],
        per_web_search_nano_usd=10_000_000,
        us_geo_per_mille=1100,
        valid_from_ms=5,
        source="list",
    )

    policy = a_policy(list_prices=[row])

    assert policy.list_prices["m"] == (
        Price(
            id="p1",
            vendor="anthropic",
            model="m",
            rates=Rates(input=3_000_000_000, output=15_000_000_000, cache_read=0),
            bands=(Band(200_001, Rates(input=6_000_000_000)),),
            tiers=(Tier("batch", 500), Tier("fast", 0, Rates(input=9))),
            per_web_search=NanoUsd(10_000_000),
            us_geo_per_mille=1100,
            valid_from_ms=5,
            source="list",
        ),
    )


def policy_with(**changes: Any) -> Shards:
    return shards(policy=a_policy_shard(**changes))


RATES = pb.Rates(input=1)


@pytest.mark.parametrize(
    ("held", "path"),
    [
        (shards(entries=[an_entry(), an_entry()]), "global.organizations[1].id"),
        (shards(entries=[pb.OrganizationEntry(id=ORG)]), "global.organizations[0].state"),
        (shards(keys=[a_key(a_token(), digest=b"short", id="A" * 12)]), f"org/{ORG}/keys/0.keys[{'A' * 12}].digest"),
        (shards(keys=[a_key(a_token(), id="A" * 12)] * 2), f"org/{ORG}/keys/0.keys"),
        (policy_with(organization_id=OTHER_ORG), f"org/{ORG}/policy.organization_id"),
        (policy_with(providers=[a_provider(), a_provider("7" * 32)]), f"org/{ORG}/policy.providers"),
        (policy_with(providers=[a_provider(name="a/b")]), f"org/{ORG}/policy.providers[a/b].name"),
        (policy_with(providers=[a_provider(base_url="ftp://x")]), "base_url"),
        (policy_with(providers=[a_provider(base_url="https://u:p@x")]), "base_url"),
        (policy_with(providers=[a_provider(base_url="https://x:99999")]), "base_url"),
        (policy_with(providers=[a_provider(base_url="https://x?a=b")]), "base_url"),
        (policy_with(providers=[], virtual_models=[]), "models[anthropic-main/claude-sonnet-4-6].provider_id"),
        (policy_with(virtual_models=[pb.VirtualModel(name="v")]), "virtual_models[v].targets"),
        (
            policy_with(virtual_models=[pb.VirtualModel(name="v", targets=[pb.Target(provider_id="x", model="m")])]),
            "virtual_models[v].targets",
        ),
        (policy_with(principals=[pb.Principal(id="p", active=True)]), "principals[p].kind"),
        (policy_with(prices=[pb.PriceRow(id="p", model="m", rates=pb.Rates(input=-1))]), "prices[p].rates"),
        (policy_with(prices=[pb.PriceRow(id="p", model="m", rates=pb.Rates(reasoning=-1))]), "prices[p].rates"),
        (policy_with(prices=[pb.PriceRow(id="p", model="m", rates=pb.Rates(input_audio=-1))]), "prices[p].rates"),
        (policy_with(prices=[pb.PriceRow(id="p", unit_nano_usd={"file_search": -1})]), "prices[p].unit_nano_usd"),
        (policy_with(discounts=[pb.Discount(model_glob="*", per_mille=900)]), "discounts[]"),
        (policy_with(discounts=[pb.Discount(id="d", model_glob="*", per_mille=20_000)]), "discounts[d]"),
        (
            policy_with(
                prices=[
                    pb.PriceRow(
                        id="p",
                        bands=[pb.PriceBand(from_prompt_tokens=9, rates=RATES), pb.PriceBand(from_prompt_tokens=9)],
                    )
                ]
            ),
            "prices[p].bands",
        ),
        (policy_with(prices=[pb.PriceRow(id="p", tiers=[pb.TierMultiplier(tier="flex")])]), "prices[p].tiers[flex]"),
        ({"global": (AT, pb.DenyShard(keys=[]))}, "global"),
        ({f"org/{ORG}/keys/0": (AT, pb.PolicyShard())}, f"org/{ORG}/keys/0"),
    ],
)
def test_what_cannot_hold_is_named_by_its_path(held: Shards, path: str) -> None:
    with pytest.raises(InvalidSnapshot) as raised:
        read_policy(held)

    assert path in raised.value.path


def test_a_key_id_that_two_organizations_hold_is_refused() -> None:
    token = a_token()
    held = shards(keys=[a_key(token)], entries=[an_entry(), an_entry(OTHER_ORG)])
    held[f"org/{OTHER_ORG}/keys/0"] = (AT, pb.KeyShard(keys=[a_key(token)]))

    with pytest.raises(InvalidSnapshot, match="same id"):
        read_policy(held)


@pytest.mark.parametrize(
    ("shard", "kind"),
    [
        ("global", pb.GlobalShard),
        (f"org/{ORG}/policy", pb.PolicyShard),
        (f"org/{ORG}/keys/3", pb.KeyShard),
        (f"org/{ORG}/deny", pb.DenyShard),
    ],
)
def test_a_payload_is_parsed_by_the_name_of_its_shard(shard: str, kind: type) -> None:
    assert isinstance(parse_payload(shard, b""), kind)


@pytest.mark.parametrize(("shard", "payload"), [("global", b"\xff\xff"), ("org/x/else", b""), ("", b"")])
def test_what_does_not_parse_is_refused(shard: str, payload: bytes) -> None:
    with pytest.raises(InvalidSnapshot):
        parse_payload(shard, payload)


def test_a_hundred_thousand_keys_are_read_in_about_a_second_and_not_again_for_a_revocation() -> None:
    buckets = [
        pb.KeyShard(
            keys=[
                pb.VirtualKey(id=f"{bucket:02}{number:010}", digest=b"d" * 32, pepper_version=1, models=["claude-*"])
                for number in range(6250)
            ]
        )
        for bucket in range(16)
    ]
    held = shards(entries=[pb.OrganizationEntry(id=ORG, name="A", state=pb.ORGANIZATION_STATE_KNOWN, key_buckets=16)])
    for bucket, shard in enumerate(buckets):
        held[f"org/{ORG}/keys/{bucket}"] = (AT, shard)

    started = time.process_time()
    before = read_policy(held)
    first_s = time.process_time() - started
    held[f"org/{ORG}/deny"] = (ShardVersion(1, 8), pb.DenyShard(keys=[pb.Revocation(key_id="0" * 12)]))
    started = time.process_time()
    read_policy(held, previous=before)
    again_s = time.process_time() - started

    assert len(before.keys) == 100_000
    assert first_s < within(1.5)
    assert again_s < first_s / 4
