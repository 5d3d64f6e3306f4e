"""Look at an organization, for the effect of a change: what its pods would be told, and who used what lately."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, JSONField, Q, Value
from django.db.models.functions import NullIf

from control_plane.access.models import AccessRule
from control_plane.audit.models import Outbox, ShardKind
from control_plane.budgets.models import Budget
from control_plane.catalog.models import KnownModel
from control_plane.credentials.selectors import active_providers
from control_plane.declarative.access_effect import AccessLine, Upstream
from control_plane.declarative.effect import KeyFacts, Picture, Uses
from control_plane.keys.models import VirtualKey
from control_plane.limits.models import RateLimit, SessionCap
from control_plane.organizations.models import Membership, Organization
from control_plane.routing.selectors import routes_for_pods
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.models import Mode
from control_plane.rules.reading_conditions import subjects_of
from control_plane.rules.selectors import successors_of
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
    access = tuple(AccessRule.objects.filter(organization=organization, mode=Mode.ENFORCE))
    return Picture(
        routes,
        {each.key_id: each for each in _working_keys(organization.id, now)},
        {each.name: each.has_credential or each.passes_caller_credential for each in providers},
        frozenset(names.values()),
        tuple(AccessLine(loaded(row.when), loaded_all(row.when_not), row.allow, row.deny) for row in access),
        {each.name: Upstream(each.region, each.is_external) for each in providers},
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
    named = _subjects_named(organization_id)
    roles = dict(
        Membership.objects.filter(organization_id=organization_id, user__is_active=True).values_list("user_id", "role")
    )
    lines = _lines(organization_id, named)
    rows = (
        VirtualKey.objects.filter(organization_id=organization_id, revoked_at__isnull=True)
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .filter(Q(user_id__isnull=False) | Q(service_account__is_active=True))
        .annotate(email=F("user__email"), account=F("service_account__name"), team_name=F("team__name"))
        # Most keys have none: an empty list comes as NULL, which is not parsed a hundred thousand times.
        .annotate(globs=NullIf("allowed_models", Value([], JSONField())))
        .values_list("key_id", "globs", "email", "account", "team_name", "user_id", "service_account_id", "team_id")
    )
    for key_id, globs, email, account, team, user_id, account_id, team_id in rows.iterator(chunk_size=5000):
        if user_id is not None and user_id not in roles:
            continue
        subjects: frozenset[str] = frozenset()
        if named:
            own = (
                (f"user:{user_id.hex}", f"role:{roles[user_id]}", "kind:user")
                if user_id is not None
                else (
                    f"service_account:{account_id.hex}",
                    "kind:service_account",
                )
            )
            subjects = named & {*own, f"team:{team_id.hex}", f"key:{key_id}", *lines.get(key_id, ())}
        yield KeyFacts(key_id, tuple(globs or ()), email or account, team, subjects, user_id is not None)


def _subjects_named(organization_id: UUID) -> frozenset[str]:
    """Everybody whom a rule names: of a key, only that is kept."""
    found: set[str] = set()
    for model in (AccessRule, Budget, RateLimit, SessionCap):
        for when, when_not in model._default_manager.filter(organization_id=organization_id).values_list(
            "when", "when_not"
        ):
            found.update(map(str, subjects_of(when, when_not)))
    return frozenset(found)


def _lines(organization_id: UUID, named: Collection[str]) -> dict[str, list[str]]:
    """Of keys that took the place of a named one: the named ones, since a rule about a key is about its line."""
    keys = {each.removeprefix("key:") for each in named if each.startswith("key:")}
    lines: dict[str, list[str]] = defaultdict(list)
    for first, later in successors_of(organization_id, keys).items() if keys else ():
        for key_id in later:
            lines[key_id].append(f"key:{first}")
    return lines
