"""Waiting until pods have acknowledged what happened to a key.

Spans audit (which version holds the change), snapshots (which shard) and fleet (who holds it), so it lives above them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from control_plane.audit.models import Change, Outbox, ShardKind
from control_plane.audit.selectors import open_outbox
from control_plane.fleet.selectors import applied as fleet_applied
from control_plane.fleet.selectors import live_pods
from control_plane.keys.api import KeyViewSet
from control_plane.keys.models import VirtualKey
from control_plane.snapshots.models import ShardHead
from control_plane.snapshots.selectors import key_bucket_counts
from control_plane.snapshots.shards import GLOBAL, deny_shard, key_shard
from control_plane.usage.selectors import key_last_uses
from switchyard_contract.seal import ShardVersion
from switchyard_contract.virtual_key import bucket_of

LONGEST_WAIT_S = 1.0
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Applied:
    """How many connected pods hold a change."""

    pods: int
    acknowledged: int
    share: float
    waited_ms: int


class AppliedKeyViewSet(KeyViewSet):
    """Keys whose changes can be awaited, with the time of their last use."""

    def last_uses(self, keys: Sequence[VirtualKey]) -> Mapping[str, datetime]:
        uses = key_last_uses(self.caller.organization_id, [key.key_id for key in keys]) if keys else {}
        return {key_id: use.used_at for key_id, use in uses.items()}

    def wait_applied(self, key: VirtualKey) -> dict[str, Any]:
        return asdict(wait_applied(key))


def wait_applied(key: VirtualKey, *, longest_s: float = LONGEST_WAIT_S) -> Applied:
    """Wait until every live pod holds the newest change of a key, or the time is over. No pods: at once."""
    begun = time.monotonic()
    while True:
        live = live_pods().count()
        places = _where(key)
        holding = 0
        if live and places:
            found = [fleet_applied(shard, at) for shard, at in places]
            # Only a pod that holds all of them serves the key.
            live, holding = max(each.live for each in found), min(each.holding for each in found)
        waited_s = time.monotonic() - begun
        if holding >= live or waited_s >= longest_s:
            return Applied(live, holding, round(holding / live, 4) if live else 1.0, int(waited_s * 1000))
        time.sleep(PAUSE_S)


def _where(key: VirtualKey) -> list[tuple[str, ShardVersion]]:
    """The shards and versions that hold the key's newest change. Empty: it is not compiled yet.

    A key is served where the global shard lists its organization, so that one is always among them; an organization
    that is newer than the global shard in force is not compiled yet.
    """
    change = (
        Change.objects.filter(organization_id=key.organization_id, subject_kind="key", subject_id=key.id.hex)
        .order_by("-sequence")
        .first()
    )
    outbox = None if change is None else Outbox.objects.filter(change=change).order_by("id").first()
    if outbox is None or outbox.compiled_version is None or outbox.compiled_epoch is None:
        return []
    if outbox.shard_kind == ShardKind.DENY:
        return [(deny_shard(key.organization_id), ShardVersion(outbox.compiled_epoch, outbox.compiled_version))]
    if open_outbox(ShardKind.GLOBAL, None).filter(change__organization_id=key.organization_id).exists():
        return []
    # The outbox names the newest version among all key shards; the key's own shard may not have needed that one.
    buckets = key_bucket_counts().get(key.organization_id, 1)
    wanted = (GLOBAL, key_shard(key.organization_id, bucket_of(key.key_id, buckets)))
    heads = {head.shard: ShardVersion(head.epoch, head.version) for head in ShardHead.objects.filter(shard__in=wanted)}
    return [(shard, heads[shard]) for shard in wanted] if len(heads) == len(wanted) else []
