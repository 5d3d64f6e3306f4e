"""Compiling, numbering, sealing and publishing, against a real database."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from control_plane.audit.models import Outbox, ShardKind
from control_plane.audit.selectors import changes_between
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import key_revoke, key_rules_update, key_update, user_deactivate
from control_plane.organizations.services import INSTALLATION, organization_disable, team_create
from control_plane.project.environment import read_signing_key
from control_plane.snapshots import selectors
from control_plane.snapshots import services as snapshot_services
from control_plane.snapshots.consistency import Finding
from control_plane.snapshots.locks import Lane, compiling
from control_plane.snapshots.models import ShardHead, Snapshot
from control_plane.snapshots.services import (
    deny_compile,
    epoch_raise,
    everything_compile,
    global_compile,
    open_denials_compile,
    organization_compile,
    snapshots_prune,
)
from control_plane.snapshots.shards import GLOBAL, deny_shard, key_shard, policy_shard
from control_plane.snapshots.tasks import wait_for_quiet
from switchyard_contract.seal import ShardVersion, VerifyKeys, open_sealed
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import bucket_of
from tests.builders.tenants import SYSTEM, Tenant, a_key, a_member, a_provider, a_tenant

pytestmark = pytest.mark.django_db(transaction=True)


def opened(shard: str) -> tuple[ShardVersion, bytes]:
    """What a pod would make of the version in force."""
    sealed = selectors.sealed_shard(shard)
    assert sealed is not None
    key = django_settings.SWITCHYARD.signing_key
    found = open_sealed(
        sealed.message,
        deployment=django_settings.SWITCHYARD.deployment_id,
        keys=VerifyKeys({key.key_id: key.public_bytes}),
        shard=shard,
    )
    assert (found.at, found.payload_sha256) == (sealed.at, sealed.payload_sha256)
    return found.at, found.payload


def version(shard: str) -> int:
    head = ShardHead.objects.filter(shard=shard).first()
    return 0 if head is None else head.version


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    tenant = a_tenant()
    everything_compile()
    return tenant


def test_a_fresh_installation_publishes_a_signed_global_shard() -> None:
    everything_compile()
    at, payload = opened(GLOBAL)
    assert at == ShardVersion(1, 1)
    assert not snapshot_pb2.GlobalShard.FromString(payload).organizations


def test_a_new_organization_has_all_its_shards_before_the_global_one_names_it() -> None:
    tenant = a_tenant()
    published: list[str] = []
    with patch.object(snapshot_services, "announce", lambda shard, *_: published.append(shard)):
        global_compile()
    organization = tenant.organization.id
    assert published == [deny_shard(organization), policy_shard(organization), key_shard(organization, 0), GLOBAL]
    entry = snapshot_pb2.GlobalShard.FromString(opened(GLOBAL)[1]).organizations[0]
    assert (entry.id, entry.key_buckets) == (organization.hex, 1)


def test_versions_are_dense_and_each_change_is_stamped_with_the_one_that_reflects_it(tenant: Tenant) -> None:
    shard = policy_shard(tenant.organization.id)
    start = version(shard)
    for name in ("one", "two", "three"):
        team_create(organization=tenant.organization, name=name, actor=tenant.actor)
        organization_compile(tenant.organization.id)
    assert version(shard) == start + 3
    versions = (
        Snapshot.objects.filter(shard=shard, is_published=True).order_by("version").values_list("version", flat=True)
    )
    assert list(versions) == list(range(1, start + 4))
    between = changes_between(tenant.organization.id, ShardKind.POLICY, start + 1, start + 2)
    assert [change.subject_name for change in between] == ["two"]
    assert not Outbox.objects.filter(compiled_version__isnull=True).exists()


def test_equal_content_makes_no_new_version_but_is_stamped(tenant: Tenant) -> None:
    shard = key_shard(tenant.organization.id, 0)
    before = version(shard)
    organization_compile(tenant.organization.id, force=True)
    assert version(shard) == before
    key = a_key(tenant).key
    organization_compile(tenant.organization.id)
    assert version(shard) == before + 1
    key_revoke(key=key, reason="x", actor=tenant.actor)
    everything_compile()
    assert version(shard) == before + 1
    assert not Outbox.objects.filter(compiled_version__isnull=True).exists()


def test_a_change_committed_while_compiling_stays_open_for_the_next_version(tenant: Tenant) -> None:
    team_create(organization=tenant.organization, name="seen", actor=tenant.actor)
    real = snapshot_services.policy_rows

    def slow(*arguments: object) -> object:
        rows = real(*arguments)  # type: ignore[arg-type]
        thread = threading.Thread(target=_commit_elsewhere, args=(tenant, "late"))
        thread.start()
        thread.join()
        return rows

    with (
        patch.object(snapshot_services, "policy_rows", slow),
        compiling(Lane.ORGANIZATION, tenant.organization.id.hex, waits=True),
    ):
        snapshot_services._compile_and_stamp(
            [ShardKind.POLICY, ShardKind.KEYS],
            tenant.organization.id,
            lambda now: snapshot_services._compile_organization_once(tenant.organization.id, False, now),
        )
    stamped = {
        row.change.subject_name: row.compiled_version is not None
        for row in Outbox.objects.filter(change__action="team.created").select_related("change")
    }
    assert (stamped["seen"], stamped["late"]) == (True, False)
    organization_compile(tenant.organization.id)
    teams = snapshot_pb2.PolicyShard.FromString(opened(policy_shard(tenant.organization.id))[1]).teams
    assert {team.name for team in teams} == {"platform", "seen", "late"}


def test_whoever_finds_the_lock_taken_leaves_the_work_to_the_holder(tenant: Tenant) -> None:
    """The holder looks again after it let go; so a change made while it compiled is not forgotten."""
    real = snapshot_services._compile_organization_once
    calls: list[int] = []

    def once(*arguments: object) -> object:
        calls.append(1)
        answer = real(*arguments)  # type: ignore[arg-type]
        if len(calls) == 1:
            thread = threading.Thread(target=_commit_and_compile_elsewhere, args=(tenant, "late"))
            thread.start()
            thread.join()
        return answer

    team_create(organization=tenant.organization, name="first", actor=tenant.actor)
    with patch.object(snapshot_services, "_compile_organization_once", once):
        organization_compile(tenant.organization.id)
    assert len(calls) == 2
    teams = snapshot_pb2.PolicyShard.FromString(opened(policy_shard(tenant.organization.id))[1]).teams
    assert "late" in {team.name for team in teams}


def test_a_policy_that_fails_its_checks_is_kept_with_findings_and_not_published(tenant: Tenant) -> None:
    shard = policy_shard(tenant.organization.id)
    before = opened(shard)
    provider = a_provider(tenant)
    type(provider).objects.filter(id=provider.id).update(base_url="gopher://old")
    for _ in range(3):
        organization_compile(tenant.organization.id)
    assert opened(shard) == before
    failure = selectors.last_failure(shard)
    assert failure is not None
    assert failure.findings == [{"path": "providers/anthropic-main", "problem": "has no address"}]
    assert Snapshot.objects.filter(shard=shard, is_published=False).count() == 1
    assert Outbox.objects.filter(shard_kind=ShardKind.POLICY, compiled_version__isnull=True).exists()
    type(provider).objects.filter(id=provider.id).update(base_url="https://api.anthropic.com")
    organization_compile(tenant.organization.id)
    assert opened(shard)[0].version == before[0].version + 1
    assert selectors.last_failure(shard) is None


def test_a_denial_does_not_wait_for_a_compile_of_policy(tenant: Tenant) -> None:
    key = a_key(tenant).key
    everything_compile()
    done = threading.Event()

    def elsewhere() -> None:
        try:
            key_revoke(key=key, reason="x", actor=tenant.actor)
            assert open_denials_compile() == 1
            done.set()
        finally:
            connection.close()

    with compiling(Lane.ORGANIZATION, tenant.organization.id.hex, waits=True):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
    assert done.is_set()
    deny = snapshot_pb2.DenyShard.FromString(opened(deny_shard(tenant.organization.id))[1])
    assert [row.key_id for row in deny.keys] == [key.key_id]


def test_a_revoked_key_stays_known_so_that_its_end_can_be_told_and_is_denied_for_longer(tenant: Tenant) -> None:
    key = a_key(tenant).key
    key_revoke(key=key, reason="x", actor=tenant.actor)
    everything_compile()
    organization = tenant.organization.id

    def known_and_denied() -> tuple[bool, bool]:
        organization_compile(organization, force=True)
        deny_compile(organization, force=True)
        keys = snapshot_pb2.KeyShard.FromString(opened(key_shard(organization, 0))[1]).keys
        denied = snapshot_pb2.DenyShard.FromString(opened(deny_shard(organization))[1]).keys
        return key.key_id in [row.id for row in keys], key.key_id in [row.key_id for row in denied]

    def age(**since: int) -> None:
        VirtualKey.objects.filter(id=key.id).update(revoked_at=timezone.now() - timedelta(**since))

    assert known_and_denied() == (True, True)
    age(days=31)
    assert known_and_denied() == (False, True)
    age(days=61)
    assert known_and_denied() == (False, False)


def test_a_denial_outlives_key_shards_that_were_not_compiled_for_long(tenant: Tenant) -> None:
    key = a_key(tenant).key
    key_revoke(key=key, reason="x", actor=tenant.actor)
    everything_compile()
    organization = tenant.organization.id
    VirtualKey.objects.filter(id=key.id).update(revoked_at=timezone.now() - timedelta(days=61))
    ShardHead.objects.filter(shard=key_shard(organization, 0)).update(updated_at=timezone.now() - timedelta(days=40))
    assert [row.key_id for row in selectors.denied_keys(organization, timezone.now())] == [key.key_id]


def test_a_deactivated_person_is_denied_and_inactive(tenant: Tenant) -> None:
    member = a_member(tenant)
    everything_compile()
    user_deactivate(user=member, actor=tenant.actor, by=INSTALLATION)
    everything_compile()
    deny = snapshot_pb2.DenyShard.FromString(opened(deny_shard(tenant.organization.id))[1])
    policy = snapshot_pb2.PolicyShard.FromString(opened(policy_shard(tenant.organization.id))[1])
    assert list(deny.principal_ids) == [member.id.hex]
    assert {row.name: row.active for row in policy.principals}[member.email] is False


def test_a_disabled_organization_is_told_by_name(tenant: Tenant) -> None:
    organization_disable(organization=tenant.organization, actor=tenant.actor)
    everything_compile()
    entry = snapshot_pb2.GlobalShard.FromString(opened(GLOBAL)[1]).organizations[0]
    assert entry.state == snapshot_pb2.ORGANIZATION_STATE_DISABLED


def test_many_keys_spread_over_buckets_and_the_global_shard_says_so(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_plane.snapshots.shards.MANY_KEYS", 3)
    keys = {a_key(tenant).key.key_id for _ in range(5)}
    organization_compile(tenant.organization.id)
    found = [
        row.id
        for bucket in range(16)
        for row in snapshot_pb2.KeyShard.FromString(opened(key_shard(tenant.organization.id, bucket))[1]).keys
    ]
    assert sorted(found) == sorted(keys)
    assert [row.key_id for row in selectors.key_rows(tenant.organization.id, timezone.now())] == sorted(keys)
    entry = snapshot_pb2.GlobalShard.FromString(opened(GLOBAL)[1]).organizations[0]
    assert entry.key_buckets == 16


def test_a_change_of_one_key_reads_and_publishes_its_shard_alone(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_plane.snapshots.shards.MANY_KEYS", 3)
    keys = [a_key(tenant).key for _ in range(20)]
    everything_compile()
    shards = [key_shard(tenant.organization.id, bucket) for bucket in range(16)]
    before = dict(ShardHead.objects.values_list("shard", "version"))
    times = dict(ShardHead.objects.values_list("shard", "updated_at"))
    key_update(key=keys[0], actor=tenant.actor, name="renamed", models=["claude-*"], tags={"a": "b"})
    organization_compile(tenant.organization.id)
    own = key_shard(tenant.organization.id, bucket_of(keys[0].key_id, 16))
    after = dict(ShardHead.objects.values_list("shard", "version"))
    assert {shard for shard in shards if after[shard] != before[shard]} == {own}
    now = dict(ShardHead.objects.values_list("shard", "updated_at"))
    assert {shard for shard in shards if now[shard] != times[shard]} == {own}
    (told,) = (row for row in snapshot_pb2.KeyShard.FromString(opened(own)[1]).keys if row.id == keys[0].key_id)
    assert (told.name, list(told.models), dict(told.tags)) == ("renamed", ["claude-*"], {"a": "b"})
    assert not Outbox.objects.filter(compiled_version__isnull=True).exists()
    organization_compile(tenant.organization.id, force=True)
    assert dict(ShardHead.objects.values_list("shard", "version")) == after


def test_a_rule_for_all_personal_keys_reaches_every_shard(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.snapshots.shards.MANY_KEYS", 3)
    for _ in range(40):
        a_key(tenant)
    everything_compile()
    key_rules_update(organization=tenant.organization, personal_models=["gpt-*"], actor=SYSTEM)
    organization_compile(tenant.organization.id)
    told = [
        list(row.models)
        for bucket in range(16)
        for row in snapshot_pb2.KeyShard.FromString(opened(key_shard(tenant.organization.id, bucket))[1]).keys
    ]
    assert told == [["gpt-*"]] * 40


def test_a_change_of_policy_touches_no_key(tenant: Tenant) -> None:
    a_key(tenant)
    everything_compile()
    with CaptureQueriesContext(connection) as queries:
        team_create(organization=tenant.organization, name="new", actor=SYSTEM)
        organization_compile(tenant.organization.id)
    assert version(policy_shard(tenant.organization.id)) > 1
    assert not [each for each in queries if '"digest"' in each["sql"]]


def test_a_key_that_failed_its_checks_is_tried_again_with_the_next(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_plane.snapshots.shards.MANY_KEYS", 3)
    keys = [a_key(tenant).key for _ in range(8)]
    everything_compile()
    key_update(key=keys[0], actor=tenant.actor, name="first")
    with patch.object(snapshot_services, "check_keys", lambda *_: [Finding("keys", "is broken")]):
        organization_compile(tenant.organization.id)
    key_update(key=keys[1], actor=tenant.actor, name="second")
    organization_compile(tenant.organization.id)
    told = {
        row.id: row.name
        for bucket in range(16)
        for row in snapshot_pb2.KeyShard.FromString(opened(key_shard(tenant.organization.id, bucket))[1]).keys
    }
    assert (told[keys[0].key_id], told[keys[1].key_id]) == ("first", "second")


def test_one_tenant_is_in_no_shard_of_another(tenant: Tenant) -> None:
    other = a_tenant()
    a_provider(other, "theirs")
    a_key(other)
    everything_compile()
    mine = b"".join(
        opened(shard)[1]
        for shard in (
            policy_shard(tenant.organization.id),
            key_shard(tenant.organization.id, 0),
            deny_shard(tenant.organization.id),
        )
    )
    for foreign in (other.organization.id.hex, other.team.id.hex, other.admin.id.hex, other.admin.email, "theirs"):
        assert foreign.encode() not in mine


def test_a_new_signing_key_seals_everything_anew(tenant: Tenant, settings: Settings) -> None:
    before = selectors.shard_heads()
    settings.SWITCHYARD = replace(
        settings.SWITCHYARD, signing_key=read_signing_key("test-2:" + "dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ=")
    )
    everything_compile()
    after = selectors.shard_heads()
    assert {shard: head.at.version + 1 for shard, head in before.items()} == {
        shard: head.at.version for shard, head in after.items()
    }
    for shard in after:
        opened(shard)


def test_a_raised_epoch_begins_every_chain_again(tenant: Tenant) -> None:
    with transaction.atomic():
        assert epoch_raise(actor=SYSTEM, reason="restored from backup") == 2
    everything_compile()
    assert {head.at for head in selectors.shard_heads().values()} == {ShardVersion(2, 1)}
    a_tenant()
    everything_compile()
    assert all(head.at.epoch == 2 for head in selectors.shard_heads().values())


def test_old_payloads_are_emptied_but_never_the_one_in_force(tenant: Tenant) -> None:
    key = a_key(tenant).key
    everything_compile()
    key_update(key=key, name="other", actor=tenant.actor)
    everything_compile()
    later = timezone.now() + timedelta(days=8)
    in_force = len(selectors.shard_heads())
    emptied = snapshots_prune(now=later)
    assert emptied == Snapshot.objects.count() - in_force > 0
    for shard in selectors.shard_heads():
        opened(shard)
    assert snapshots_prune(now=later) == 0


def test_a_burst_becomes_one_version_and_waiting_has_an_end(tenant: Tenant) -> None:
    organization_id = tenant.organization.id
    kinds = [ShardKind.POLICY, ShardKind.KEYS]
    slept: list[float] = []
    with patch("control_plane.snapshots.tasks.time.sleep", slept.append):
        wait_for_quiet(kinds, organization_id)
        assert slept == []
        team_create(organization=tenant.organization, name="burst", actor=tenant.actor)
        Outbox.objects.filter(compiled_version__isnull=True).update(created_at=timezone.now() - timedelta(seconds=5))
        wait_for_quiet(kinds, organization_id)
        assert slept == []
    team_create(organization=tenant.organization, name="fresh", actor=tenant.actor)
    Outbox.objects.filter(change__subject_name="burst").delete()
    wait_for_quiet(kinds, organization_id)
    newest = Outbox.objects.filter(compiled_version__isnull=True).order_by("-created_at").first()
    assert newest is not None
    assert timezone.now() - newest.created_at >= timedelta(milliseconds=100)


def test_what_is_broken_in_one_organization_does_not_keep_others_from_their_denials(tenant: Tenant) -> None:
    other = a_tenant()
    everything_compile()
    for row in (tenant, other):
        key_revoke(key=a_key(row).key, reason="x", actor=row.actor)
    real = selectors.denied_keys

    def broken(organization_id: UUID, now: datetime) -> list[VirtualKey]:
        if organization_id == tenant.organization.id:
            raise ZeroDivisionError
        return real(organization_id, now)

    with patch.object(snapshot_services, "denied_keys", broken):
        assert open_denials_compile() == 2
    assert version(deny_shard(other.organization.id)) == 2
    assert version(deny_shard(tenant.organization.id)) == 1


def _commit_elsewhere(tenant: Tenant, name: str) -> None:
    try:
        team_create(organization=tenant.organization, name=name, actor=tenant.actor)
    finally:
        connection.close()


def _commit_and_compile_elsewhere(tenant: Tenant, name: str) -> None:
    try:
        team_create(organization=tenant.organization, name=name, actor=tenant.actor)
        organization_compile(tenant.organization.id)
    finally:
        connection.close()
