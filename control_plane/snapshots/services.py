"""Compile, check, number, seal and publish shards.

Each compile runs under its lane's lock in one repeatable-read transaction: it reads the rows and the open outbox,
publishes where the content changed, and stamps the outbox rows it saw. Rows committed later stay open for the next
one, so no change is ever skipped, and "what changed between two versions" is a query.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from google.protobuf.message import Message

from control_plane.audit.models import Outbox, ShardKind
from control_plane.audit.selectors import newest_published_heads, open_outbox, organizations_with_open_outbox
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.catalog.selectors import list_prices
from control_plane.keys.buckets import KEY_BUCKETS
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import rules_of
from control_plane.keys.services.virtual_keys import KEY_SUBJECT
from control_plane.organizations.models import Organization
from control_plane.snapshots import compile as compiler
from control_plane.snapshots.announcement import announce
from control_plane.snapshots.consistency import Finding, check_deny, check_global, check_keys, check_policy
from control_plane.snapshots.consistency_rules import check_rules
from control_plane.snapshots.locks import Lane, compiling
from control_plane.snapshots.models import ShardHead, Snapshot
from control_plane.snapshots.rule_rows import key_owners
from control_plane.snapshots.selectors import (
    denied_keys,
    denied_principals,
    key_bucket_count,
    key_bucket_counts,
    key_count,
    key_rows,
    newest_key_version,
    organizations_without_shards,
    policy_rows,
)
from control_plane.snapshots.shards import GLOBAL, buckets_for, deny_shard, key_shard, policy_shard
from switchyard_contract.seal import ShardVersion, TooLarge, seal

log = structlog.get_logger()


PAYLOADS_ARE_KEPT_FOR = timedelta(days=7)
FAILURES_ARE_KEPT_FOR = timedelta(days=30)
KEYS_ARE_COMPILED_EVERY = timedelta(days=1)


def global_compile(*, waits: bool = False, force: bool = False) -> None:
    """Bring the global shard up to date. Organizations it names first get shards of their own.

    force: also when nothing is open. waits: for another compiler that is at it; otherwise that one looks again when
    it is done, so nothing is lost by leaving.
    """
    for organization_id in organizations_without_shards():
        deny_compile(organization_id, waits=True, force=True)
        organization_compile(organization_id, waits=True, force=True)
    _compile_while_open(Lane.GLOBAL, GLOBAL, [ShardKind.GLOBAL], None, _compile_global_once, waits=waits, force=force)


def organization_compile(organization_id: UUID, *, waits: bool = False, force: bool = False) -> None:
    """Bring an organization's policy and key shards up to date."""
    buckets_before = key_bucket_count(organization_id)
    _compile_while_open(
        Lane.ORGANIZATION,
        organization_id.hex,
        [ShardKind.POLICY, ShardKind.KEYS],
        organization_id,
        functools.partial(_compile_organization_once, organization_id, force),
        waits=waits,
        force=force,
    )
    if 0 < buckets_before != key_bucket_count(organization_id):
        global_compile(waits=True)


def deny_compile(organization_id: UUID, *, waits: bool = False, force: bool = False) -> None:
    """Bring an organization's denials up to date, at once."""
    _compile_while_open(
        Lane.DENY,
        organization_id.hex,
        [ShardKind.DENY],
        organization_id,
        functools.partial(_compile_deny_once, organization_id),
        waits=waits,
        force=force,
    )


def open_denials_compile() -> int:
    """Compile every open denial; says how many organizations had one. The gRPC process calls this at each poll."""
    organizations = organizations_with_open_outbox(ShardKind.DENY)
    for organization_id in organizations:
        _compile_apart(deny_compile, organization_id)
    return len(organizations)


def everything_compile() -> None:
    """Compile whatever is open, missing, or sealed with a key that is no longer the signing key."""
    open_denials_compile()
    for organization_id in organizations_with_open_outbox(ShardKind.POLICY, ShardKind.KEYS):
        _compile_apart(organization_compile, organization_id)
    is_global_missing = not ShardHead.objects.filter(shard=GLOBAL, version__gte=1).exists()
    has_open = open_outbox(ShardKind.GLOBAL, None).exists()
    if is_global_missing or has_open or organizations_without_shards():
        global_compile(force=is_global_missing)
    _seal_anew()
    _compile_old_shards()


@transaction.atomic
def epoch_raise(*, actor: Actor, reason: str) -> int:
    """Begin a new epoch for every shard, after a restore from a backup took versions back.

    Pods accept lower version numbers only in a higher epoch. Compile everything afterwards (`everything_compile`).
    """
    newest = ShardHead.objects.order_by("-epoch").values_list("epoch", flat=True).first() or 0
    ShardHead.objects.update(epoch=newest + 1, version=0, snapshot=None)
    record_change(
        organization_id=None,
        actor=actor,
        action="snapshots.epoch_raised",
        subject=Subject("snapshots", "", "all shards"),
        before={"epoch": newest},
        after={"epoch": newest + 1},
        reason=reason,
        shards=(ShardKind.GLOBAL,),
    )
    return newest + 1


def snapshots_prune(*, now: datetime | None = None) -> int:
    """Empty the payloads of old versions (their headers stay as history); says how many were emptied."""
    now = now or timezone.now()
    in_force = ShardHead.objects.filter(snapshot__isnull=False).values("snapshot_id")
    emptied = (
        Snapshot.objects.filter(created_at__lt=now - PAYLOADS_ARE_KEPT_FOR)
        .exclude(id__in=in_force)
        .exclude(payload=b"")
        .update(payload=b"")
    )
    Snapshot.objects.filter(is_published=False, created_at__lt=now - FAILURES_ARE_KEPT_FOR).delete()
    return emptied


def _compile_apart(compile_one: Callable[[UUID], None], organization_id: UUID) -> None:
    """Compile for one organization; what is broken there must not keep the others from getting theirs."""
    try:
        compile_one(organization_id)
    except DatabaseFailure:
        raise
    except Exception:
        log.exception("compile failed", organization=organization_id.hex)


CompileOnce = Callable[[datetime], dict[ShardKind, ShardVersion | None]]
"""Publishes what changed and gives per kind the version that now reflects its rows; None where checks failed."""


def _compile_while_open(
    lane: Lane,
    subject: str,
    kinds: Sequence[ShardKind],
    organization_id: UUID | None,
    once: CompileOnce,
    *,
    waits: bool,
    force: bool,
) -> None:
    """Compile until nothing is open. Looking again after the lock is released makes leaving early safe for others."""
    must = force
    while (
        must
        or Outbox.objects.filter(
            shard_kind__in=kinds, organization_id=organization_id, compiled_version__isnull=True
        ).exists()
    ):
        with compiling(lane, subject, waits=waits) as is_held:
            if not is_held:
                return
            if not _compile_and_stamp(kinds, organization_id, once):
                return
        must = False


def _compile_and_stamp(kinds: Sequence[ShardKind], organization_id: UUID | None, once: CompileOnce) -> bool:
    """One compile. False: something failed its checks, so its rows stay open until a change mends it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        seen = {kind: list(open_outbox(kind, organization_id).values_list("id", flat=True)) for kind in kinds}
        now = timezone.now()
        versions = once(now)
        for kind, at in versions.items():
            if at is not None:
                Outbox.objects.filter(id__in=seen[kind]).update(
                    compiled_epoch=at.epoch, compiled_version=at.version, compiled_at=now
                )
    return all(at is not None for at in versions.values())


def _compile_global_once(now: datetime) -> dict[ShardKind, ShardVersion | None]:
    message = compiler.compile_global(
        Organization.objects.all(), key_bucket_counts(), list_prices(), newest_published_heads()
    )
    return {ShardKind.GLOBAL: _publish(GLOBAL, None, message, check_global(message), now)}


def _compile_organization_once(
    organization_id: UUID,
    is_full: bool,
    now: datetime,
) -> dict[ShardKind, ShardVersion | None]:
    organization = Organization.objects.get(id=organization_id)
    rows = policy_rows(organization, now)
    policy = compiler.compile_policy(rows)
    findings = check_policy(policy) + check_rules(policy, key_owners(organization_id, policy), now)
    at_policy = _publish(policy_shard(organization_id), organization_id, policy, findings, now)
    held = key_bucket_count(organization_id)
    touched = None if is_full else _touched_buckets(organization_id, held)
    buckets = held if touched is not None else buckets_for(key_count(organization_id, now), held)
    shards = compiler.compile_keys(
        key_rows(organization_id, now, touched), buckets, rules_of(organization).personal_models
    )
    findings = check_keys(shards, {row.id.hex for row in rows.principals}, {row.id.hex for row in rows.teams})
    for bucket, message in enumerate(shards):
        if touched is not None and bucket not in touched:
            continue
        if _publish(key_shard(organization_id, bucket), organization_id, message, findings, now) is None:
            return {ShardKind.POLICY: at_policy, ShardKind.KEYS: None}
    if 0 < held < buckets:
        _note_spreading(organization, held, buckets)
    return {ShardKind.POLICY: at_policy, ShardKind.KEYS: newest_key_version(organization_id)}


def _touched_buckets(organization_id: UUID, held: int) -> set[int] | None:
    """The key shards that open changes are about; None: all of them, where only some cannot be told apart.

    The others are left as they are, their time too: whoever waits for old shards goes by the oldest.
    """
    open_rows = open_outbox(ShardKind.KEYS, organization_id)
    subjects = set(open_rows.values_list("change__subject_kind", "change__subject_id"))
    if held and not subjects:
        return set()
    if held != KEY_BUCKETS or any(kind != KEY_SUBJECT for kind, _ in subjects):
        return None
    ids = [subject_id for _, subject_id in subjects]
    return set(VirtualKey.objects.filter(organization_id=organization_id, id__in=ids).values_list("bucket", flat=True))


def _note_spreading(organization: Organization, before: int, after: int) -> None:
    """The list of shards must say so too; noted in the same transaction, so that no crash can lose it."""
    record_change(
        organization_id=None,
        actor=Actor.system("snapshots"),
        action="snapshots.keys_spread",
        subject=Subject("organization", organization.id.hex, organization.name),
        before={"key_shards": before},
        after={"key_shards": after},
        shards=(ShardKind.GLOBAL,),
    )


def _compile_deny_once(organization_id: UUID, now: datetime) -> dict[ShardKind, ShardVersion | None]:
    message = compiler.compile_deny(denied_keys(organization_id, now), denied_principals(organization_id, now))
    at = _publish(deny_shard(organization_id), organization_id, message, check_deny(message), now)
    return {ShardKind.DENY: at}


def _publish(
    shard: str, organization_id: UUID | None, message: Message, findings: Sequence[Finding], now: datetime
) -> ShardVersion | None:
    """Give the version that reflects the message: the present one when nothing changed, else the next.

    None: it failed its checks and was kept for people to see, not for pods.
    """
    deployment = settings.SWITCHYARD
    # Without the payload in force: megabytes, of which only the digest is compared.
    head, _ = (
        ShardHead.objects.select_related("snapshot")
        .defer("snapshot__payload")
        .get_or_create(shard=shard, defaults={"organization_id": organization_id, "epoch": _current_epoch()})
    )
    raw = message.SerializeToString(deterministic=True)
    raw_sha256 = sha256(raw).digest()
    current = head.snapshot
    if (
        not findings
        and current is not None
        and bytes(current.raw_sha256) == raw_sha256
        and current.signing_key_id == deployment.signing_key.key_id
    ):
        head.save(update_fields=["updated_at"])
        return ShardVersion(head.epoch, head.version)
    at = ShardVersion(head.epoch, head.version + 1)
    try:
        sealed = seal(
            raw,
            deployment=deployment.deployment_id,
            shard=shard,
            at=at,
            issued_at_ms=int(now.timestamp() * 1000),
            key=deployment.signing_key,
            min_reader=compiler.oldest_reader(message),
        )
    except TooLarge as failure:
        findings = [*findings, Finding(shard, str(failure))]
        sealed = None
    if findings or sealed is None:
        _keep_failure(shard, organization_id, at, raw_sha256, len(raw), findings)
        return None
    snapshot = Snapshot.objects.create(
        shard=shard,
        organization_id=organization_id,
        epoch=at.epoch,
        version=at.version,
        header=sealed.header,
        signature=sealed.signature,
        payload=sealed.payload,
        payload_sha256=sha256(sealed.payload).digest(),
        raw_sha256=raw_sha256,
        raw_size=len(raw),
        signing_key_id=deployment.signing_key.key_id,
        is_published=True,
    )
    head.version, head.snapshot = at.version, snapshot
    head.save(update_fields=["version", "snapshot", "updated_at"])
    transaction.on_commit(functools.partial(announce, shard, at.epoch, at.version))
    return at


def _keep_failure(
    shard: str,
    organization_id: UUID | None,
    at: ShardVersion,
    raw_sha256: bytes,
    raw_size: int,
    findings: Sequence[Finding],
) -> None:
    newest = Snapshot.objects.filter(shard=shard).defer("payload").order_by("-created_at").first()
    if newest is not None and not newest.is_published and bytes(newest.raw_sha256) == raw_sha256:
        return
    Snapshot.objects.create(
        shard=shard,
        organization_id=organization_id,
        epoch=at.epoch,
        version=at.version,
        raw_sha256=raw_sha256,
        raw_size=raw_size,
        findings=[asdict(finding) for finding in findings],
    )
    log.error("snapshot not published", shard=shard, version=at.version, findings=len(findings))


def _current_epoch() -> int:
    """A shard that is new joins the epoch of the others."""
    return ShardHead.objects.order_by("-epoch").values_list("epoch", flat=True).first() or 1


def _seal_anew() -> None:
    """After a rotation of the signing key: pods that trust only the new one must be able to verify everything."""
    key_id = settings.SWITCHYARD.signing_key.key_id
    stale = list(
        ShardHead.objects.filter(version__gte=1)
        .exclude(snapshot__signing_key_id=key_id)
        .values_list("organization_id", flat=True)
        .distinct()
        .order_by()
    )
    for organization_id in stale:
        if organization_id is None:
            global_compile(waits=True, force=True)
        else:
            deny_compile(organization_id, waits=True, force=True)
            organization_compile(organization_id, waits=True, force=True)


def _compile_old_shards() -> None:
    """Also where nothing changes: keys that ended a month ago leave the key shards, and the days, weeks and hours that
    rules speak of are told for another while."""
    limit = timezone.now() - KEYS_ARE_COMPILED_EVERY
    old = ShardHead.objects.filter(
        Q(shard__contains="/keys/") | Q(shard__endswith="/policy"),
        organization_id__isnull=False,
        updated_at__lt=limit,
        version__gte=1,
    )
    for organization_id in set(old.values_list("organization_id", flat=True)):
        assert organization_id is not None
        organization_compile(organization_id, force=True)
        deny_compile(organization_id, force=True)
