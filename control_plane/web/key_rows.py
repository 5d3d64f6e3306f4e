"""Keys as lists and pages show them: their state in a word, last use, spend."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Organization
from control_plane.usage.models import KeyLastUse
from control_plane.usage.rollups import Measures
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import Interval, SeriesQuery, usage_series
from control_plane.usage.selectors.standing import key_last_uses

SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class KeyState:
    """tone: one of the console's state colours."""

    tone: str
    word: str
    is_alive: bool


@dataclass(frozen=True, slots=True)
class KeyRow:
    key: VirtualKey
    state: KeyState
    last_use: KeyLastUse | None
    spent_nano_usd: int
    requests: int
    is_replaced: bool = False

    @property
    def owner_name(self) -> str:
        return owner_name(self.key)

    @property
    def owner_filter(self) -> str:
        """The value of the list's filter by owner."""
        key = self.key
        return f"user:{key.user_id.hex}" if key.user_id else f"account:{key.service_account_id.hex}"  # type: ignore[union-attr]  # one of the two, by the row's constraint

    @property
    def ends_within_a_week(self) -> bool:
        """Whether it is time to replace it. One that was replaced already is let go in peace."""
        return self.state.is_alive and self.state.tone == "look" and not self.is_replaced


def owner_name(key: VirtualKey) -> str:
    if key.user is not None:
        return key.user.email
    assert key.service_account is not None
    return key.service_account.name


def key_state(key: VirtualKey, now: datetime) -> KeyState:
    """What holds of a key now; the first that applies."""
    if key.is_revoked:
        return KeyState("stopped", "revoked", is_alive=False)
    if key.expires_at is not None and key.expires_at <= now:
        return KeyState("off", "expired", is_alive=False)
    owner_is_active = key.user.is_active if key.user is not None else _account_is_active(key)
    if not owner_is_active:
        return KeyState("stopped", "owner deactivated", is_alive=False)
    if key.rotate_by is not None and key.rotate_by <= now:
        return KeyState("look", "rotation overdue", is_alive=True)
    if key.rotate_by is not None and key.rotate_by - now <= SOON:
        return KeyState("look", "rotation due", is_alive=True)
    if key.expires_at is not None and key.expires_at - now <= SOON:
        return KeyState("look", "expires soon", is_alive=True)
    return KeyState("works", "active", is_alive=True)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How far a key is on its way to its successor. share: of its time, 0 to 100."""

    rotate_by: datetime
    ends_at: datetime | None
    share: int
    is_overdue: bool


def schedule_of(key: VirtualKey, now: datetime) -> Schedule | None:
    """A key's rotation schedule; None: it has none."""
    if key.rotate_by is None:
        return None
    whole = (key.rotate_by - key.created_at).total_seconds()
    gone = (now - key.created_at).total_seconds()
    share = 100 if whole <= 0 else max(0, min(100, round(100 * gone / whole)))
    return Schedule(key.rotate_by, key.expires_at, share, key.rotate_by <= now)


def key_rows(organization: Organization, keys: Iterable[VirtualKey], *, since: datetime) -> list[KeyRow]:
    """Add last use, what was spent since then, and whether it was replaced. Four queries, however many keys."""
    listed = list(keys)
    now = timezone.now()
    replaced = set(
        VirtualKey.objects.filter(organization=organization, rotated_from__in=[key.id for key in listed]).values_list(
            "rotated_from_id", flat=True
        )
    )
    uses = key_last_uses(organization.id, [key.key_id for key in listed])
    spent = _spent(organization, [key.key_id for key in listed], since, now)
    nothing = Measures()
    return [
        KeyRow(
            key,
            key_state(key, now),
            uses.get(key.key_id),
            spent.get(key.key_id, nothing).cost_nano_usd,
            spent.get(key.key_id, nothing).requests,
            key.id in replaced,
        )
        for key in listed
    ]


def _spent(organization: Organization, key_ids: list[str], since: datetime, now: datetime) -> Mapping[str, Measures]:
    if not key_ids:
        return {}
    points = usage_series(
        SeriesQuery(
            scope=Scope(organization.id),
            since=since,
            until=now,
            interval=Interval.TOTAL,
            group_by=("key",),
            filters={"key": key_ids},
        )
    )
    return {point.group[0]: point.measures for point in points}


def _account_is_active(key: VirtualKey) -> bool:
    return key.service_account is not None and key.service_account.is_active
