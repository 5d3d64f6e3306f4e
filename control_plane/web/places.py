"""The places of the console: the left bar, the palette and the `g` shortcuts are all drawn from this one list."""

from dataclasses import dataclass

from control_plane.organizations.roles import Permission, Reach, Standing
from control_plane.web.access import Access, Need, Needed, is_open

# Lists that hold nothing but oneself are no place to go to: members find theirs under “Mine”.
TEAM_USAGE = Need(Permission.USAGE_READ, Reach.TEAM)
TEAM_PEOPLE = Need(Permission.MEMBERS_READ, Reach.TEAM)
LED_TEAMS = Need(Permission.TEAMS_READ, Reach.TEAM)
TEAM_BUDGETS = Need(Permission.BUDGETS_READ, Reach.TEAM)
TEAM_KEYS = Need(Permission.KEYS_READ, Reach.TEAM)


@dataclass(frozen=True, slots=True)
class Place:
    """A page people go to. letter: pressed after `g`; also_current: names of pages that belong to it."""

    group: str
    title: str
    url_name: str
    icon: str
    letter: str
    needed: Needed
    also_current: tuple[str, ...] = ()


PLACES: tuple[Place, ...] = (
    Place("Home", "Overview", "overview", "gauge", "o", Access.SIGNED_IN),
    Place(
        "Mine",
        "My keys",
        "my-keys",
        "key-round",
        "k",
        Permission.KEYS_READ,
        ("my-key-mint", "key", "key-edit", "key-rotate", "key-revoke"),
    ),
    Place("Mine", "My usage", "my-usage", "chart-no-axes-column", "u", Permission.USAGE_READ),
    Place("Spend", "Explorer", "spend", "chart-line", "s", TEAM_USAGE),
    Place(
        "Spend",
        "Budgets",
        "budgets",
        "wallet",
        "v",
        TEAM_BUDGETS,
        ("budget", "budget-request", "budget-requests", "budget-request-decide", "budget-raise"),
    ),
    Place(
        "Spend",
        "Sessions",
        "sessions",
        "messages-square",
        "q",
        Permission.USAGE_READ,
        ("session", "session-outcomes", "session-settings"),
    ),
    Place("Spend", "Cache", "cache", "database-zap", "1", Permission.USAGE_READ),
    Place(
        "Spend",
        "Forecast",
        "forecast",
        "trending-up",
        "2",
        TEAM_BUDGETS,
        ("forecast-of", "unusual-spend", "unusual-spend-mark", "unusual-mute", "unusual-unmute"),
    ),
    Place(
        "Spend",
        "Statements",
        "statements",
        "scroll-text",
        "z",
        TEAM_USAGE,
        ("statement", "statement-close", "statement-correct"),
    ),
    Place("Traffic", "Live", "live", "activity", "j", Permission.EXCHANGES_READ),
    Place("Traffic", "Exchanges", "exchanges", "arrow-left-right", "e", Permission.EXCHANGES_READ, ("exchange",)),
    Place("Traffic", "Latency", "latency", "timer", "g", Permission.USAGE_READ),
    Place("Traffic", "Errors and refusals", "errors", "triangle-alert", "3", Permission.USAGE_READ),
    Place(
        "Policy",
        "Rules",
        "rules",
        "scale",
        "x",
        Permission.POLICY_READ,
        (
            "rule",
            "rule-choose",
            "rule-add",
            "rule-edit",
            "rule-delete",
            "metadata-keys",
            "metadata-key",
            "metadata-key-add",
            "metadata-key-delete",
            "alert-channels",
            "alert-channel",
            "alert-channel-add",
            "alert-channel-delete",
        ),
    ),
    Place(
        "Policy",
        "Routes",
        "virtual-models",
        "waypoints",
        "r",
        Permission.POLICY_READ,
        ("virtual-model-add", "virtual-model-edit", "virtual-model-delete"),
    ),
    Place(
        "Policy",
        "As code",
        "policy-code",
        "file-code",
        "c",
        # A file holds accounts and addresses too: it is for whoever may see all of them.
        Permission.PROVIDERS_READ,
        (
            "policy-plan",
            "policy-apply",
            "policy-history",
            "policy-revision",
            "policy-compare",
            "policy-restore",
            "policy-drift",
        ),
    ),
    Place(
        "Supply",
        "Providers",
        "providers",
        "plug-zap",
        "p",
        Permission.PROVIDERS_READ,
        ("provider", "provider-add", "provider-edit", "provider-credential", "provider-delete", "provider-offer"),
    ),
    Place(
        "Supply",
        "Models and prices",
        "models",
        "tags",
        "m",
        Permission.MODELS_READ,
        (
            "model",
            "price-set",
            "price-end",
            "discount-add",
            "discount-end",
            "unknown-models",
            "price-loads",
            "price-load",
            "repricings",
            "repricing-new",
            "repricing",
            "repricing-book",
        ),
    ),
    Place("Supply", "Roll-out", "rollout", "laptop", "w", Permission.ROLLOUT_READ),
    Place(
        "People",
        "Members",
        "members",
        "users",
        "h",
        TEAM_PEOPLE,
        ("member", "member-add", "member-remove", "member-activity", "members-bulk"),
    ),
    Place(
        "People", "Teams", "teams", "users-round", "t", LED_TEAMS, ("team", "team-add", "team-edit", "team-person-add")
    ),
    Place(
        "People",
        "Service accounts",
        "service-accounts",
        "bot",
        "b",
        Permission.SERVICE_ACCOUNTS_READ,
        (
            "service-account",
            "service-account-add",
            "service-account-edit",
            "service-account-activity",
            "workload-trust",
            "workload-trust-add",
            "workload-trust-delete",
        ),
    ),
    Place("People", "Roles", "roles", "shield-check", "l", Permission.MEMBERS_READ),
    Place("People", "Keys", "keys", "key-square", "y", TEAM_KEYS, ("service-key-mint", "keys-bulk", "key-rules")),
    Place(
        "People",
        "Sign-in",
        "sign-in-settings",
        "log-in",
        "n",
        Permission.SIGN_IN_READ,
        (
            "connection",
            "connection-add",
            "connection-edit",
            "connection-mappings",
            "connection-enforcement",
            "connection-delete",
        ),
    ),
    Place(
        "People",
        "SCIM",
        "scim",
        "refresh-cw",
        "d",
        Permission.SIGN_IN_READ,
        ("scim-token-add", "scim-token-revoke", "scim-people", "scim-groups", "scim-group-role"),
    ),
    Place("Operate", "Fleet", "fleet", "server", "f", Permission.FLEET_READ, ("pod", "completeness")),
    Place("Operate", "Audit", "audit", "scroll-text", "a", Permission.AUDIT_READ, ("change",)),
    Place("Operate", "Records", "records", "database", "7", Permission.ORGANIZATION_MANAGE, ("person-rename",)),
    Place("Operate", "Settings", "settings", "settings", "i", Permission.ORGANIZATION_MANAGE),
)


def places_for(standing: Standing) -> tuple[Place, ...]:
    """What a person can use; the rest is not shown."""
    return tuple(place for place in PLACES if is_open(standing, place.needed))
