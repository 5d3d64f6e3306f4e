"""Wake the compiler of snapshots after a commit.

By name, so that nothing here imports upward. A message is a hint: a lost one is found by the sweep, an open
revocation also by the gRPC process.
"""

from collections.abc import Iterable
from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from control_plane.audit.models import ShardKind

log = structlog.get_logger()


COMPILE_GLOBAL = "snapshots.compile_global"
COMPILE_ORGANIZATION = "snapshots.compile_organization"
COMPILE_DENY = "snapshots.compile_deny"
CARRY_HEADS = "snapshots.carry_heads"


def wake_compiler(organization_id: UUID | None, shards: Iterable[ShardKind]) -> None:
    """Ask for the shards that a change touched."""
    kinds = set(shards)
    if organization_id is not None and ShardKind.DENY in kinds:
        _send(COMPILE_DENY, organization_id.hex)
    if organization_id is not None and kinds & {ShardKind.POLICY, ShardKind.KEYS}:
        _send(COMPILE_ORGANIZATION, organization_id.hex)
    if ShardKind.GLOBAL in kinds:
        _send(COMPILE_GLOBAL)


def wake_heads_carrier() -> None:
    """Ask for the global shard, which carries the newest signed heads to pods."""
    _send(CARRY_HEADS)


def _send(task: str, *arguments: str) -> None:
    try:
        current_app.send_task(task, arguments, retry=False, expires=60)
    except OperationalError as failure:
        log.warning("the broker took no message; the sweep will find the work", task=task, why=type(failure).__name__)
