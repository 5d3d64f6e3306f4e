"""Look at an organization, for the effect of a change: what its pods would be told, and who used what lately."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q

from control_plane.audit.models import Outbox, ShardKind
from control_plane.catalog.models import KnownModel
from control_plane.credentials.selectors import active_providers
from control_plane.declarative.effect import KeyFacts, Picture, Uses
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization
from control_plane.routing.selectors import routes_for_pods
from control_plane.snapshots.compile import PolicyRows, compile_policy
from control_plane.snapshots.shards import GLOBAL, deny_shard, policy_shard
from control_plane.usage.models import UsageHour


def picture_of(organization: Organization, now: datetime) -> Picture:
    """What pods would know, compiled by the very code that compiles it for them."""
    providers = list(active_providers(organization.id))
    message = compile_policy(
        PolicyRows(
            organization=organization,
            gateway_public_url="",
            providers=providers,
            known_models=list(KnownModel.objects.filter(is_offered=True)),
            virtual_models=list(routes_for_pods(organization.id)),
        )
    )
    names = {each.id.hex: each.name for each in providers}
    routes = {
        each.name: f"{names[each.targets[0].provider_id]}/{each.targets[0].model}"
        for each in message.virtual_models
        if each.targets[0].provider_id in names
    }
    serving: dict[str, list[str]] = defaultdict(list)
    for model in message.models:
        serving[model.model].append(model.id)
    for plain, full_names in serving.items():
        # As the pods list them: by the plain name where one account serves it, else by account.
        if len(full_names) == 1 and plain not in routes:
            routes[plain] = full_names[0]
        else:
            routes.update((full, full) for full in full_names if full not in routes)
    return Picture(
        routes,
        {each.key_id: each for each in _working_keys(organization.id, now)},
        {each.name: each.has_credential or each.passes_caller_credential for each in providers},
        frozenset(names.values()),
    )


def uses_of(organization_id: UUID, names: Collection[str], keys: Collection[str], now: datetime) -> Uses:
    """Who asked for these names, and which of these keys were used, in the last 24 hours and 7 days."""
    rows = UsageHour.objects.filter(organization_id=organization_id, hour__gt=now - timedelta(days=7, hours=1))
    day_ago = now - timedelta(days=1)
    last_day: dict[str, set[str]] = defaultdict(set)
    last_week: dict[str, set[str]] = defaultdict(set)
    if names:
        used = rows.filter(requested_model__in=list(names)).values_list("requested_model", "key_id")
        for name, key_id in used.distinct():
            last_week[name].add(key_id)
        for name, key_id in used.filter(hour__gt=day_ago - timedelta(hours=1)).distinct():
            last_day[name].add(key_id)
    keys_week: set[str] = set()
    keys_day: set[str] = set()
    if keys:
        ids = rows.filter(key_id__in=list(keys)).values_list("key_id", flat=True)
        keys_week = set(ids.distinct())
        keys_day = set(ids.filter(hour__gt=day_ago - timedelta(hours=1)).distinct())
    return Uses(
        {name: frozenset(found) for name, found in last_day.items()},
        {name: frozenset(found) for name, found in last_week.items()},
        frozenset(keys_day),
        frozenset(keys_week),
    )


def shards_touched(organization_id: UUID, after_sequence: int) -> tuple[str, ...]:
    """The shards that pods will get anew for the changes since."""
    kinds = set(
        Outbox.objects.filter(change__organization_id=organization_id, change__sequence__gt=after_sequence)
        .values_list("shard_kind", flat=True)
        .distinct()
    )
    named = {
        ShardKind.GLOBAL: GLOBAL,
        ShardKind.POLICY: policy_shard(organization_id),
        ShardKind.KEYS: f"org/{organization_id.hex}/keys",
        ShardKind.DENY: deny_shard(organization_id),
    }
    return tuple(name for kind, name in named.items() if kind in kinds)


def _working_keys(organization_id: UUID, now: datetime) -> Iterable[KeyFacts]:
    """Keys in force whose owner may act."""
    members = Membership.objects.filter(organization_id=organization_id, user__is_active=True).values("user_id")
    rows = (
        VirtualKey.objects.filter(organization_id=organization_id, revoked_at__isnull=True)
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .filter(Q(user_id__in=members) | Q(service_account__is_active=True))
        .annotate(email=F("user__email"), account=F("service_account__name"), team_name=F("team__name"))
        .values_list("key_id", "allowed_models", "email", "account", "team_name")
    )
    for key_id, globs, email, account, team in rows.iterator(chunk_size=5000):
        yield KeyFacts(key_id, tuple(globs), email or account, team)
