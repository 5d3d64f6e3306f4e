"""Publish signed heads: to pods, through the global shard, and to a file that the installation keeps elsewhere.

A head is signed only after what the chain has grown by since the last one was verified, so a head never vouches for a
chain that was broken before it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import orjson
import structlog
from django.conf import settings
from django.utils import timezone

from control_plane.audit.models import ChainHead, PublishedHead
from control_plane.audit.selectors import newest_published_heads, signed_head_of, verify_since
from control_plane.audit.wake import wake_heads_carrier
from switchyard_contract.audit_chain import Broken
from switchyard_contract.audit_head import sign_head, write_head

log = structlog.get_logger()


def heads_publish(*, scopes: Iterable[str] | None = None) -> list[PublishedHead]:
    """Sign where chains stand and hand the heads on; gives those that are new.

    scopes: these chains only. A chain that has not grown gets no new head; a broken one is told in the log and gets
    none.
    """
    known = {row.scope: row for row in newest_published_heads()}
    grown = ChainHead.objects.filter(sequence__gte=1).order_by("scope")
    if scopes is not None:
        grown = grown.filter(scope__in=list(scopes))
    published: list[PublishedHead] = []
    for head in grown:
        last = known.get(head.scope)
        if last is not None and last.sequence == head.sequence:
            continue
        after = (0, b"") if last is None else (last.sequence, bytes(last.hash))
        verdict = verify_since(head.scope, after, (head.sequence, bytes(head.hash)))
        if isinstance(verdict, Broken):
            log.error("audit chain broken", chain=head.scope, entry=verdict.sequence, how=str(verdict.how))
            continue
        published.append(_signed(head))
    # Another process may have signed the same entry meanwhile.
    PublishedHead.objects.bulk_create(published, ignore_conflicts=True)
    heads_file_append()
    if published:
        wake_heads_carrier()
    return published


def heads_file_append() -> int:
    """Append to the heads' file what it does not have yet; says how many lines. Without a file it is always in order.

    A file that cannot be written is told in the log; the heads wait for the next time.
    """
    waiting = list(PublishedHead.objects.filter(is_filed=False).order_by("id")[:10_000])
    if not waiting:
        return 0
    deployment = settings.SWITCHYARD
    if deployment.audit_heads_file:
        lines = b"".join(
            orjson.dumps(write_head(signed_head_of(row, deployment.deployment_id))) + b"\n" for row in waiting
        )
        try:
            _append(Path(deployment.audit_heads_file), lines)
        except OSError as failure:
            log.error(
                "audit heads not filed", file=deployment.audit_heads_file, why=failure.strerror, waiting=len(waiting)
            )
            return 0
    PublishedHead.objects.filter(id__in=[row.id for row in waiting]).update(is_filed=True)
    return len(waiting)


def _signed(head: ChainHead) -> PublishedHead:
    deployment = settings.SWITCHYARD
    signed = sign_head(
        deployment=deployment.deployment_id,
        organization=head.scope,
        sequence=head.sequence,
        digest=bytes(head.hash),
        at_ms=int(timezone.now().timestamp() * 1000),
        key=deployment.signing_key,
    )
    return PublishedHead(
        scope=head.scope,
        sequence=signed.sequence,
        hash=signed.hash,
        at_ms=signed.at_ms,
        signing_key_id=signed.signing_key_id,
        signature=signed.signature,
    )


def _append(path: Path, lines: bytes) -> None:
    """Add lines at the end in one write that is on disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(descriptor, lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
