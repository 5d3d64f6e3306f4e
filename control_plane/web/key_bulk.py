"""Whom it touches when several keys end at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from control_plane.keys.models import VirtualKey
from control_plane.usage.models import KeyLastUse

LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class BulkScope:
    """left_out: keys that were chosen and stay as they are, being dead already or out of this person's hands."""

    keys: Sequence[VirtualKey]
    people: int
    service_accounts: int
    teams: int
    used_lately: int
    left_out: int


def bulk_scope(keys: Sequence[VirtualKey], uses: Mapping[str, KeyLastUse], *, left_out: int) -> BulkScope:
    """Count owners, teams and what was used within a day."""
    since = timezone.now() - LATELY
    return BulkScope(
        keys,
        len({key.user_id for key in keys if key.user_id}),
        len({key.service_account_id for key in keys if key.service_account_id}),
        len({key.team_id for key in keys}),
        sum(1 for key in keys if key.key_id in uses and uses[key.key_id].used_at >= since),
        left_out,
    )
