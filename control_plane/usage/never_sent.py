"""Which attempts, of which only the counter store knows, never went to a provider.

A request goes out only behind its record's write to the pod's disk. So when all that former runs of a spool wrote is
stored, and they lost nothing of it, what one of them held and never wrote down was never sent: its pod was killed in
between. Of a spool that never speaks again, nothing of this is known.
Source: docs/decisions/0178-nothing-was-sent.md
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Q

from control_plane.usage import ulid
from control_plane.usage.models import MissingEvents, PodSequence
from switchyard_contract.holds import spool_name

NOTHING_WAS_SENT: Final = "Nothing was sent: the pod's disk has reported since, and has no record of it."
CLOCKS_APART: Final = timedelta(hours=1)
"""So far a pod's clock may go before ours: a gap that was seen this long before an attempt began is not of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt, and the run that held it."""

    pod_id: str
    spool: str
    run: int
    exchange_id: str


@dataclass(slots=True)
class _Spoken:
    run: int
    whole_since: int
    missed_at: datetime | None = None
    """When the newest gap in the spool's numbers was seen that nothing closed: an event of anybody's may be in it."""


def never_sent(held: Iterable[Held]) -> frozenset[str]:
    """Find the exchanges among these of which nothing went out. What the ledger has of an exchange is not looked at."""
    asked = [one for one in held if one.spool and one.run]
    if not asked:
        return frozenset()
    spoken = _spoken({one.pod_id for one in asked})
    return frozenset(one.exchange_id for one in asked if _is_unsent(one, spoken.get((one.pod_id, one.spool))))


def _is_unsent(held: Held, spoken: _Spoken | None) -> bool:
    if spoken is None or not spoken.whole_since <= held.run < spoken.run:
        return False
    began_at = datetime.fromtimestamp(ulid.time_ms(held.exchange_id) / 1000, UTC)
    return spoken.missed_at is None or spoken.missed_at < began_at - CLOCKS_APART


def _spoken(pod_ids: Iterable[str]) -> dict[tuple[str, str], _Spoken]:
    """What the spools of pods have said, by pod and name of the spool."""
    asked = list(pod_ids)
    found = {
        (one.pod_id, spool_name(bytes(one.boot_id))): _Spoken(one.run, one.whole_since)
        for one in PodSequence.objects.filter(pod_id__in=asked, run__gt=0)
    }
    lost = MissingEvents.objects.filter(Q(closed_at=None) | ~Q(closed_by=""), pod_id__in=asked)
    for pod_id, boot_id, opened_at in lost.values_list("pod_id", "boot_id", "opened_at"):
        spoken = found.get((pod_id, spool_name(bytes(boot_id))))
        if spoken is not None and (spoken.missed_at is None or spoken.missed_at < opened_at):
            spoken.missed_at = opened_at
    return found
