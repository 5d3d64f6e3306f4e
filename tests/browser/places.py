"""Every page of the console by a name, as an admin or a member reaches it in the world of `world.py`."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.urls import reverse

from control_plane.audit.selectors import changes_of
from control_plane.declarative.selectors import newest_revision
from control_plane.identity.device.models import DeviceAuthorization
from control_plane.identity.scim.selectors import provisioned_groups, scim_tokens_of
from control_plane.identity.workload.selectors import trusts_of_account
from control_plane.keys.selectors import keys_of
from control_plane.organizations.selectors import membership_of, memberships_of
from control_plane.routing.selectors import virtual_models_of
from tests.browser.governance import POLICY
from tests.browser.one_day import OneDay
from tests.browser.ruled import Ruled
from tests.browser.world import LONG_NAME, World

A_POLICY = f"{POLICY}---\nkind: Team\nmetadata: {{name: wind tunnel}}\nspec: {{cost_centre: '4730'}}\n"
A_WRONG_POLICY = "kind: Team\nmetadata: {name: wind tunnel}\nspec: {cost_center: 4730}\n---\nkind: Tame\n"


@dataclass(frozen=True, slots=True)
class Spot:
    """A page. opens: what to press once it is there (a sheet, the palette)."""

    name: str
    path: str
    opens: str = ""


def month_before() -> str:
    """The month that is over and was not closed yet, as addresses name it."""
    return f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"


def admin_spots(world: World) -> tuple[Spot, ...]:
    organization = world.organization
    member = membership_of(world.member, organization)
    route = virtual_models_of(organization).first()
    change = changes_of(organization.id).first()
    assert member is not None
    assert route is not None
    assert change is not None
    newest = newest_revision(organization.id)
    assert newest is not None
    assert memberships_of(organization).exists()
    token, group = scim_tokens_of(organization)[0], provisioned_groups(organization)[0]
    trust = trusts_of_account(world.account)[0]
    waiting = DeviceAuthorization.objects.order_by("created_at").first()
    assert waiting is not None
    anthropic = world.providers["anthropic"]
    connection, api_token = world.governance.connection, world.governance.tokens[0]
    old_key = keys_of(organization).filter(revoked_at__isnull=False).first()
    assert old_key is not None
    key = world.admin_key.id
    return (
        Spot("overview", reverse("web:overview")),
        Spot("palette", reverse("web:overview"), opens="palette"),
        Spot("shortcuts", reverse("web:overview"), opens="shortcuts"),
        Spot("my-keys", reverse("web:my-keys")),
        Spot("my-key-mint", reverse("web:my-key-mint")),
        Spot("my-key-mint-sheet", reverse("web:my-keys"), opens="a[data-sheet].btn-primary"),
        Spot("minted", reverse("web:my-key-mint"), opens="mint"),
        Spot("key", reverse("web:key", args=[key])),
        Spot("key-scheduled", reverse("web:key", args=[world.scheduled_key.id])),
        Spot("key-scheduled-edit", reverse("web:key-edit", args=[world.scheduled_key.id])),
        Spot("key-rotate", reverse("web:key-rotate", args=[key])),
        Spot("key-revoke", reverse("web:key-revoke", args=[key])),
        Spot("key-edit", reverse("web:key-edit", args=[key])),
        Spot("key-revoked", reverse("web:key", args=[old_key.id])),
        Spot("my-usage", reverse("web:my-usage")),
        Spot("spend", reverse("web:spend")),
        Spot("spend-by-user", reverse("web:spend") + "?by=user&range=7d&metric=tokens"),
        Spot("spend-compared", reverse("web:spend") + "?by=user&range=30d&compare=1"),
        Spot("live", reverse("web:live")),
        Spot("latency", reverse("web:latency") + "?range=30d"),
        Spot("latency-compared", reverse("web:latency") + "?range=7d&compare=1"),
        Spot("latency-none", reverse("web:latency") + "?from=2020-01-01&to=2020-01-07"),
        Spot("errors", reverse("web:errors") + "?range=30d"),
        Spot("errors-none", reverse("web:errors") + "?from=2020-01-01&to=2020-01-07"),
        Spot("statement", reverse("web:statements")),
        Spot("statement-before", reverse("web:statement", args=[month_before()])),
        Spot("statement-close", reverse("web:statement-close", args=[month_before()])),
        Spot("statement-correct", reverse("web:statement-correct")),
        Spot("spend-nothing", reverse("web:spend") + "?from=2020-01-01&to=2020-01-07"),
        Spot("sessions", reverse("web:sessions")),
        Spot("sessions-none", reverse("web:sessions") + "?finding=failover&cost_from=900"),
        Spot("sessions-settings", reverse("web:session-settings")),
        Spot("session", reverse("web:session", args=[world.session])),
        Spot("session-agent", reverse("web:session", args=[world.session]) + "?agent=explore-7f3a"),
        Spot("session-outcomes", reverse("web:session-outcomes")),
        Spot("cache", reverse("web:cache")),
        Spot("cache-day", reverse("web:cache") + "?range=today&by=session"),
        Spot("cache-tokens", reverse("web:cache") + "?metric=tokens&by=repository"),
        Spot("exchanges", reverse("web:exchanges")),
        Spot("exchanges-none", reverse("web:exchanges") + "?q=no-such-session"),
        Spot("exchange-served", reverse("web:exchange", args=[world.served_exchange])),
        Spot("exchange-failed", reverse("web:exchange", args=[world.failed_exchange])),
        Spot("exchange-refused", reverse("web:exchange", args=[world.refused_exchange])),
        *rule_spots(world.ruled),
        *budget_spots(world.ruled),
        *forecast_spots(world),
        Spot("routes", reverse("web:virtual-models")),
        Spot("route-add", reverse("web:virtual-model-add")),
        Spot("route-edit", reverse("web:virtual-model-edit", args=[route.id])),
        Spot("route-delete", reverse("web:virtual-model-delete", args=[route.id])),
        Spot("policy", reverse("web:policy-code")),
        Spot("policy-plan", reverse("web:policy-plan")),
        Spot("policy-plan-shown", reverse("web:policy-plan"), opens=f"plan:{A_POLICY}"),
        Spot("policy-plan-wrong", reverse("web:policy-plan"), opens=f"plan:{A_WRONG_POLICY}"),
        Spot("policy-plan-empty", reverse("web:policy-plan"), opens="empty"),
        Spot("policy-history", reverse("web:policy-history")),
        Spot("policy-revision", reverse("web:policy-revision", args=[newest.number])),
        Spot("policy-restore", reverse("web:policy-restore", args=[newest.number - 1])),
        Spot("policy-compare", reverse("web:policy-compare")),
        Spot("policy-compare-split", reverse("web:policy-compare") + "?view=split"),
        Spot("policy-compare-unified", reverse("web:policy-compare") + "?view=unified"),
        Spot("policy-drift", reverse("web:policy-drift")),
        Spot("providers", reverse("web:providers")),
        Spot("provider", reverse("web:provider", args=[anthropic.id])),
        Spot("provider-add", reverse("web:provider-add")),
        Spot("provider-add-empty", reverse("web:provider-add"), opens="empty"),
        Spot("provider-offer", reverse("web:provider-offer", args=[world.providers["max"].id])),
        Spot("provider-edit", reverse("web:provider-edit", args=[anthropic.id])),
        Spot("provider-credential", reverse("web:provider-credential", args=[anthropic.id])),
        Spot("provider-delete", reverse("web:provider-delete", args=[anthropic.id])),
        Spot("models", reverse("web:models")),
        Spot("model", reverse("web:model", args=["anthropic", "claude-sonnet-4-5"])),
        Spot("price-load", reverse("web:price-load", args=[world.priced.load_id])),
        Spot("price-set", reverse("web:price-set") + "?vendor=anthropic&model=claude-sonnet-4-5"),
        Spot("price-end", reverse("web:price-end", args=[world.priced.price_id])),
        Spot("discount-add", reverse("web:discount-add")),
        Spot("discount-end", reverse("web:discount-end", args=[world.priced.discount_id])),
        Spot("price-loads", reverse("web:price-loads")),
        Spot("unknown-models", reverse("web:unknown-models")),
        Spot("repricings", reverse("web:repricings")),
        Spot("repricing-new", reverse("web:repricing-new")),
        Spot("repricing", reverse("web:repricing", args=[world.priced.repricing_id])),
        Spot("repricing-book", reverse("web:repricing-book", args=[world.priced.repricing_id])),
        Spot("members", reverse("web:members")),
        Spot("member", reverse("web:member", args=[member.id])),
        Spot("member-add", reverse("web:member-add")),
        Spot("member-add-empty", reverse("web:member-add"), opens="empty"),
        Spot("member-remove", reverse("web:member-remove", args=[member.id])),
        Spot("member-activity", reverse("web:member-activity", args=[member.id])),
        Spot("members-bulk", reverse("web:members-bulk") + f"?do=role&id={member.id}"),
        Spot("members-bulk-remove", reverse("web:members-bulk") + f"?do=remove&id={member.id}"),
        Spot("roles", reverse("web:roles")),
        Spot("teams", reverse("web:teams")),
        Spot("team", reverse("web:team", args=[world.teams["platform"].id])),
        Spot("team-long", reverse("web:team", args=[world.teams[LONG_NAME].id])),
        Spot("team-add", reverse("web:team-add")),
        Spot("team-person-add", reverse("web:team-person-add", args=[world.teams["platform"].id])),
        Spot("team-edit", reverse("web:team-edit", args=[world.teams["platform"].id])),
        Spot("service-accounts", reverse("web:service-accounts")),
        Spot("service-account", reverse("web:service-account", args=[world.account.id])),
        Spot("service-account-add", reverse("web:service-account-add")),
        Spot("service-account-edit", reverse("web:service-account-edit", args=[world.account.id])),
        Spot("service-account-activity", reverse("web:service-account-activity", args=[world.account.id])),
        Spot("workload-trust-add", reverse("web:workload-trust-add", args=[world.account.id])),
        Spot("workload-trust", reverse("web:workload-trust", args=[world.account.id, trust.id])),
        Spot("workload-trust-delete", reverse("web:workload-trust-delete", args=[world.account.id, trust.id])),
        Spot("device", reverse("web:device")),
        Spot("device-confirm", reverse("web:device") + f"?code={waiting.user_code}"),
        Spot("keys", reverse("web:keys")),
        Spot("keys-none", reverse("web:keys") + "?q=no-such-key"),
        Spot("keys-ending", reverse("web:keys") + "?state=ending"),
        Spot("keys-bulk", reverse("web:keys-bulk") + f"?do=revoke&id={key}&id={world.member_key.id}"),
        Spot("key-rules", reverse("web:key-rules")),
        Spot("notices", reverse("web:my-keys"), opens="notices"),
        Spot("rollout", reverse("web:rollout")),
        Spot("rollout-jamf", reverse("web:rollout") + "?tool=codex&format=jamf"),
        Spot("rollout-intune", reverse("web:rollout") + "?tool=gemini-cli&format=intune"),
        Spot("rollout-project", reverse("web:rollout") + "?format=project&project=checkout"),
        Spot("service-key-mint", reverse("web:service-key-mint")),
        Spot("scim", reverse("web:scim")),
        Spot("scim-token-add", reverse("web:scim-token-add")),
        Spot("scim-token-revoke", reverse("web:scim-token-revoke", args=[token.id])),
        Spot("scim-people", reverse("web:scim-people")),
        Spot("scim-people-none", reverse("web:scim-people") + "?q=nobody"),
        Spot("scim-groups", reverse("web:scim-groups")),
        Spot("scim-group-role", reverse("web:scim-group-role", args=[group.id])),
        Spot("fleet", reverse("web:fleet")),
        Spot("completeness", reverse("web:completeness")),
        Spot("records", reverse("web:records")),
        Spot("person-rename", reverse("web:person-rename", args=[world.leaver_id])),
        Spot("pod", reverse("web:pod", args=["pod-3"])),
        Spot("audit", reverse("web:audit")),
        Spot("audit-verified", reverse("web:audit"), opens="verify"),
        Spot("audit-none", reverse("web:audit") + "?q=no-such-change"),
        Spot("change", reverse("web:change", args=[change.sequence])),
        Spot("settings", reverse("web:settings")),
        Spot("sign-in-settings", reverse("web:sign-in-settings")),
        Spot("connection", reverse("web:connection", args=[connection.id])),
        Spot("connection-edit", reverse("web:connection-edit", args=[connection.id])),
        Spot("connection-mappings", reverse("web:connection-mappings", args=[connection.id])),
        Spot("connection-enforcement", reverse("web:connection-enforcement", args=[connection.id])),
        Spot("connection-delete", reverse("web:connection-delete", args=[connection.id])),
        Spot("connection-add-oidc-empty", reverse("web:connection-add", args=["oidc"]), opens="empty"),
        Spot("connection-add-oidc", reverse("web:connection-add", args=["oidc"])),
        Spot("connection-add-saml", reverse("web:connection-add", args=["saml"])),
        Spot("profile", reverse("web:profile")),
        Spot("leave", reverse("web:leave")),
        Spot("confirm", reverse("web:confirm")),
        Spot("confirm-sent", reverse("web:confirm") + "?sent=1"),
        Spot("tokens", reverse("web:tokens")),
        Spot("token-mint", reverse("web:token-mint")),
        Spot("token-minted", reverse("web:token-mint"), opens="mint"),
        Spot("token-revoke", reverse("web:token-revoke", args=[api_token.id])),
        Spot("second-factor", reverse("web:second-factor-add")),
        Spot("not-found", "/nowhere"),
    )


def rule_spots(ruled: Ruled) -> tuple[Spot, ...]:
    return (
        Spot("rules", reverse("web:rules")),
        Spot("rules-shadow", reverse("web:rules") + "?mode=shadow&kind=access-rules"),
        Spot("rules-none", reverse("web:rules") + "?q=no-such-rule"),
        Spot("rule-choose", reverse("web:rule-choose")),
        Spot("rule-access", reverse("web:rule", args=["access-rules", ruled.access.id])),
        Spot("rule-rate", reverse("web:rule", args=["rate-limits", ruled.rate.id])),
        Spot("rule-cap", reverse("web:rule", args=["session-caps", ruled.cap.id])),
        *(
            Spot(f"rule-add-{kind}", reverse("web:rule-add", args=[kind]))
            for kind in ("budgets", "access-rules", "rate-limits", "session-caps")
        ),
        Spot("rule-add-example", reverse("web:rule-add", args=["budgets"]) + "?example=daily"),
        Spot("rule-add-empty", reverse("web:rule-add", args=["budgets"]), opens="empty"),
        Spot("rule-edit", reverse("web:rule-edit", args=["budgets", ruled.daily.id])),
        Spot("rule-edit-access", reverse("web:rule-edit", args=["access-rules", ruled.access.id])),
        Spot("rule-delete", reverse("web:rule-delete", args=["budgets", ruled.daily.id])),
        Spot("metadata-keys", reverse("web:metadata-keys")),
        Spot("metadata-key-add", reverse("web:metadata-key-add")),
        Spot("metadata-key", reverse("web:metadata-key", args=[ruled.metadata_key.id])),
        Spot("metadata-key-delete", reverse("web:metadata-key-delete", args=[ruled.metadata_key.id])),
        Spot("alert-channels", reverse("web:alert-channels")),
        Spot("alert-channel", reverse("web:alert-channel", args=[ruled.channel.id])),
        Spot("alert-channel-webhook", reverse("web:alert-channel", args=[ruled.webhook.id])),
        Spot("alert-channel-add", reverse("web:alert-channel-add")),
        Spot("alert-channel-delete", reverse("web:alert-channel-delete", args=[ruled.channel.id])),
    )


def budget_spots(ruled: Ruled) -> tuple[Spot, ...]:
    return (
        Spot("budgets", reverse("web:budgets")),
        Spot("budgets-none", reverse("web:budgets") + "?q=no-such-budget"),
        Spot("budget", reverse("web:budget", args=[ruled.daily.id])),
        Spot("budget-shadow", reverse("web:budget", args=[ruled.shadow.id])),
        Spot("budget-none", reverse("web:budget", args=[ruled.daily.id]) + "?q=nobody"),
        Spot("budget-request", reverse("web:budget-request", args=[ruled.daily.id])),
        Spot("budget-raise", reverse("web:budget-raise", args=[ruled.daily.id])),
        Spot("budget-requests", reverse("web:budget-requests")),
        Spot("budget-request-decide", reverse("web:budget-request-decide", args=[ruled.open_request.id])),
        Spot("budget-request-decided", reverse("web:budget-request-decide", args=[ruled.decided_request.id])),
    )


def forecast_spots(world: World) -> tuple[Spot, ...]:
    return (
        Spot("forecast", reverse("web:forecast")),
        Spot("forecast-none", reverse("web:forecast") + "?q=no-such-budget"),
        Spot("forecast-organization", reverse("web:forecast-of", args=[world.foreseen.organization_id])),
        Spot("forecast-budget", reverse("web:forecast-of", args=[world.foreseen.budget_id])),
        Spot("unusual", reverse("web:unusual-spend")),
        Spot("unusual-mute", reverse("web:unusual-mute", args=[world.member.id])),
        Spot("unusual-dismissed", reverse("web:unusual-spend") + "?state=dismissed"),
    )


def member_spots(world: World) -> tuple[Spot, ...]:
    return (
        Spot("member-overview", reverse("web:overview")),
        Spot("member-my-keys", reverse("web:my-keys")),
        Spot("member-notices", reverse("web:my-keys"), opens="notices"),
        Spot("member-my-key-mint", reverse("web:my-key-mint")),
        Spot("member-key", reverse("web:key", args=[world.member_key.id])),
        Spot("member-my-usage", reverse("web:my-usage")),
        Spot("member-sessions", reverse("web:sessions")),
        Spot("member-session", reverse("web:session", args=[world.session])),
        Spot("member-cache", reverse("web:cache")),
        Spot("member-exchanges", reverse("web:exchanges")),
        Spot("member-exchange", reverse("web:exchange", args=[world.served_exchange])),
        Spot("member-budget", reverse("web:budget", args=[world.ruled.daily.id])),
        Spot("member-budget-request", reverse("web:budget-request", args=[world.ruled.daily.id])),
        Spot("member-budget-requests", reverse("web:budget-requests")),
        Spot("member-profile", reverse("web:profile")),
    )


def guarded_spots() -> tuple[Spot, ...]:
    """As somebody with an authenticator app sees them."""
    return (
        Spot("guarded-profile", reverse("web:profile")),
        Spot("confirm-code", reverse("web:confirm")),
        Spot("recovery-codes", reverse("web:recovery-codes")),
        Spot("second-factor-remove", reverse("web:second-factor-remove")),
        Spot("tokens-none", reverse("web:tokens")),
        Spot("my-keys-none", reverse("web:my-keys")),
    )


def public_spots(world: World) -> tuple[Spot, ...]:
    """As somebody who is not signed in sees them."""
    return (
        Spot("sign-in", reverse("web:sign-in")),
        Spot("sign-in-password", reverse("web:sign-in"), opens="e-mail"),
        Spot("sign-in-organization", reverse("web:sign-in-organization", args=[world.organization.slug])),
        Spot("sign-in-code", reverse("web:sign-in"), opens="code"),
    )


def first_run_spots() -> tuple[Spot, ...]:
    """An organization with nothing in it yet."""
    names = (
        "overview",
        "my-keys",
        "my-usage",
        "spend",
        "sessions",
        "session-outcomes",
        "cache",
        "forecast",
        "unusual-spend",
        "statements",
        "live",
        "latency",
        "errors",
        "exchanges",
        "rules",
        "metadata-keys",
        "alert-channels",
        "budgets",
        "budget-requests",
        "virtual-models",
        "policy-code",
        "policy-history",
        "policy-drift",
        "providers",
        "models",
        "members",
        "teams",
        "service-accounts",
        "keys",
        "sign-in-settings",
        "scim",
        "scim-people",
        "scim-groups",
        "fleet",
        "completeness",
        "records",
        "audit",
        "tokens",
    )
    return tuple(Spot(f"first-run-{name}", reverse(f"web:{name}")) for name in names)


def one_day_spots(day: OneDay) -> tuple[Spot, ...]:
    """The dashboards on an organization's first day. For pictures: axe judges them with a month in them."""
    names = (
        "overview",
        "my-usage",
        "spend",
        "budgets",
        "sessions",
        "session-outcomes",
        "cache",
        "forecast",
        "unusual-spend",
        "statements",
        "live",
        "latency",
        "errors",
        "exchanges",
        "models",
        "unknown-models",
        "repricings",
        "completeness",
    )
    return (
        *(Spot(f"one-day-{name}", reverse(f"web:{name}")) for name in names),
        Spot("one-day-spend-compared", reverse("web:spend") + "?by=user&range=today&compare=1"),
        Spot("one-day-latency-today", reverse("web:latency") + "?range=today"),
        Spot("one-day-cache-today", reverse("web:cache") + "?range=today"),
        Spot("one-day-session", reverse("web:session", args=[day.session])),
        Spot("one-day-budget", reverse("web:budget", args=[day.budget.id])),
        Spot("one-day-forecast-organization", reverse("web:forecast-of", args=[day.organization_subject])),
        Spot("one-day-forecast-budget", reverse("web:forecast-of", args=[day.budget_subject])),
    )
