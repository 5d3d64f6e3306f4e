"""Who is let in, and what is said to whom."""

from typing import Any

import pytest

from data_plane.policy.authentication import authenticate
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.from_proto import read_policy
from data_plane.policy.snapshot import NO_POLICY, PolicySnapshot
from switchyard_contract import virtual_key
from switchyard_contract.reason import Reason
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.virtual_key import KeyKind, KeyToken
from tests.data_plane.policy.builders import (
    AT,
    BOT,
    NOW_MS,
    ORG,
    OTHER_ORG,
    PEPPER,
    TEAM,
    USER,
    a_key,
    a_policy,
    a_policy_shard,
    a_token,
    an_entry,
    digest_of,
    shards,
)


def present(policy: PolicySnapshot, text: str | None, **changes: Any) -> Caller | Refusal:
    arguments: dict[str, Any] = {
        "digest_of": digest_of,
        "is_revoked": lambda key_id: False,
        "now_ms": NOW_MS,
        "beacon_age_ms": 0,
        **changes,
    }
    return authenticate(policy, text, **arguments)


def reason_of(decision: Caller | Refusal) -> Reason:
    assert isinstance(decision, Refusal)
    return decision.reason


def test_a_key_is_its_principal_charged_to_its_team_with_tags_of_all_three() -> None:
    token = a_token()
    policy = a_policy(keys=[a_key(token, models=["claude-*"], tags={"cost": "7"})])

    assert present(policy, token.text) == Caller(
        organization_id=ORG,
        organization_name="Acme",
        key_id=token.id,
        key_name="laptop",
        key_prefix=token.prefix,
        principal_id=USER,
        principal_kind="user",
        principal_name="ada@acme.example",
        team_id=TEAM,
        team_name="platform",
        models=("claude-*",),
        tags={"env": "user", "cost": "7"},
        contact="platform@acme.example",
    )


def test_a_service_account_is_let_in_too() -> None:
    token = a_token(KeyKind.SERVICE)

    caller = present(a_policy(keys=[a_key(token, principal_id=BOT)]), token.text)

    assert isinstance(caller, Caller)
    assert caller.principal_kind == "service_account"


@pytest.mark.parametrize("text", [None, "", "x", "sypat_short", "sypat_" + "0" * 50, "sk-ant-api03-abc"])
def test_what_is_no_key_is_nobody(text: str | None) -> None:
    assert reason_of(present(a_policy(), text)) is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("kind", [KeyKind.ADMIN, KeyKind.POD, KeyKind.SCIM])
def test_a_key_of_another_kind_is_refused_even_when_it_is_right(kind: KeyKind) -> None:
    token = a_token(kind)

    assert reason_of(present(a_policy(keys=[a_key(token)]), token.text)) is Reason.UNAUTHENTICATED


def test_unknown_and_wrong_secret_are_answered_alike_and_cost_a_digest_each() -> None:
    token, stranger = a_token(), a_token()
    body = f"{token.kind}_{token.id}{'x' * 32}"
    forged = body + virtual_key._checksum(body)
    policy = a_policy(keys=[a_key(token)])
    digested: list[KeyToken] = []

    def counting(presented: KeyToken, version: int) -> bytes | None:
        digested.append(presented)
        return digest_of(presented, version)

    answers = [present(policy, text, digest_of=counting) for text in (stranger.text, forged, "sypat_" + "0" * 50)]

    assert answers == [Refusal(Reason.UNAUTHENTICATED)] * 3
    assert len(digested) == 3


def test_revoked_and_expired_are_named_only_to_whoever_holds_the_secret() -> None:
    token = a_token()
    policy = a_policy(
        keys=[a_key(token, expires_at_ms=NOW_MS - 1)],
        deny=pb.DenyShard(keys=[pb.Revocation(key_id=token.id)]),
    )
    body = f"{token.kind}_{token.id}{'x' * 32}"

    assert reason_of(present(policy, token.text)) is Reason.KEY_REVOKED
    assert reason_of(present(policy, body + virtual_key._checksum(body))) is Reason.UNAUTHENTICATED


def test_a_tombstone_outside_the_snapshot_revokes_too() -> None:
    token = a_token()

    answer = present(a_policy(keys=[a_key(token)]), token.text, is_revoked=lambda key_id: key_id == token.id)

    assert reason_of(answer) is Reason.KEY_REVOKED


@pytest.mark.parametrize(("expires_in_ms", "is_let_in"), [(1, True), (0, False), (-1, False)])
def test_a_key_ends_at_the_very_millisecond(expires_in_ms: int, is_let_in: bool) -> None:
    token = a_token()
    policy = a_policy(keys=[a_key(token, expires_at_ms=NOW_MS + expires_in_ms)])

    answer = present(policy, token.text)

    assert isinstance(answer, Caller) is is_let_in
    assert is_let_in or reason_of(answer) is Reason.KEY_EXPIRED


def test_a_key_dies_with_its_user() -> None:
    token = a_token()
    denied = a_policy(keys=[a_key(token)], deny=pb.DenyShard(principal_ids=[USER]))
    shard = a_policy_shard()
    shard.principals[0].active = False

    assert reason_of(present(denied, token.text)) is Reason.KEY_REVOKED
    assert reason_of(present(a_policy(keys=[a_key(token)], policy=shard), token.text)) is Reason.KEY_REVOKED


def test_a_disabled_organization_is_refused_by_name() -> None:
    token = a_token()
    policy = a_policy(keys=[a_key(token)], entries=[an_entry(state=pb.ORGANIZATION_STATE_DISABLED)])

    assert reason_of(present(policy, token.text)) is Reason.ORGANIZATION_DISABLED


def test_before_any_policy_every_well_formed_key_is_pending() -> None:
    assert reason_of(present(NO_POLICY, a_token().text)) is Reason.POLICY_PENDING
    assert reason_of(present(NO_POLICY, "nonsense")) is Reason.UNAUTHENTICATED


def test_while_one_organization_is_pending_an_unknown_key_is_pending_and_afterwards_unknown() -> None:
    stranger = a_token()
    waiting = a_policy(entries=[an_entry(), an_entry(OTHER_ORG)])

    assert reason_of(present(waiting, stranger.text)) is Reason.POLICY_PENDING
    assert reason_of(present(a_policy(), stranger.text)) is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("early", ["policy", "deny", "keys/0"])
def test_a_key_of_an_organization_that_is_not_listed_yet_is_pending(early: str) -> None:
    token = a_token()
    held = shards(keys=[a_key(token)])
    listed = read_policy({"global": (AT, pb.GlobalShard()), f"org/{ORG}/{early}": (AT, held[f"org/{ORG}/{early}"][1])})
    leftover = ShardVersion(AT.epoch - 1, AT.version)
    restored = read_policy(
        {"global": (AT, pb.GlobalShard()), f"org/{ORG}/{early}": (leftover, held[f"org/{ORG}/{early}"][1])}
    )

    assert reason_of(present(listed, token.text)) is Reason.POLICY_PENDING
    assert reason_of(present(restored, token.text)) is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("missing", ["policy", "deny"])
def test_a_known_key_waits_for_every_shard_of_its_organization(missing: str) -> None:
    token = a_token()
    held = shards(keys=[a_key(token)])
    del held[f"org/{ORG}/{missing}"]

    answer = present(read_policy(held), token.text)

    assert reason_of(answer) is Reason.POLICY_PENDING
    assert isinstance(answer, Refusal)
    assert answer.retry_after_s


def test_a_key_whose_pepper_has_not_come_yet_is_pending() -> None:
    token = a_token()

    assert reason_of(present(a_policy(keys=[a_key(token, pepper_version=2)]), token.text)) is Reason.POLICY_PENDING


def test_a_key_that_is_here_before_its_person_is_pending() -> None:
    token = a_token()

    assert reason_of(present(a_policy(keys=[a_key(token, principal_id="9" * 32)]), token.text)) is Reason.POLICY_PENDING


@pytest.mark.parametrize(
    ("max_stale_ms", "age_ms", "is_let_in"),
    [(1000, 1000, True), (1000, 1001, False), (1000, None, True), (-1, 10**12, True), (0, 7 * 86_400_000 + 1, False)],
)
def test_a_policy_too_old_lets_nobody_in(max_stale_ms: int, age_ms: int | None, is_let_in: bool) -> None:
    token = a_token()
    policy = a_policy(keys=[a_key(token)], policy=a_policy_shard(max_stale_ms=max_stale_ms))

    answer = present(policy, token.text, beacon_age_ms=age_ms)

    assert isinstance(answer, Caller) is is_let_in
    assert is_let_in or reason_of(answer) is Reason.POLICY_PENDING


def test_no_secret_is_in_what_is_said() -> None:
    token = a_token()
    policy = a_policy(keys=[a_key(token)])

    assert token.text not in repr(present(policy, token.text))
    assert PEPPER.decode() not in repr(policy.keys)
