"""The places of the console: the left bar, the palette and the `g` shortcuts are all drawn from this one list."""

from dataclasses import dataclass

from control_plane.web.access import Access


@dataclass(frozen=True, slots=True)
class Place:
    """A page people go to. letter: pressed after `g`; also_current: names of pages that belong to it."""

    group: str
    title: str
    url_name: str
    icon: str
    letter: str
    access: Access
    also_current: tuple[str, ...] = ()

    @property
    def is_for_admins(self) -> bool:
        return self.access is Access.ADMIN


PLACES: tuple[Place, ...] = (
    Place("Home", "Overview", "overview", "gauge", "o", Access.MEMBER),
    Place(
        "Mine",
        "My keys",
        "my-keys",
        "key-round",
        "k",
        Access.MEMBER,
        ("my-key-mint", "key", "key-rotate", "key-revoke"),
    ),
    Place("Mine", "My usage", "my-usage", "chart-no-axes-column", "u", Access.MEMBER),
    Place("Spend", "Explorer", "spend", "chart-line", "s", Access.ADMIN),
    Place("Traffic", "Exchanges", "exchanges", "arrow-left-right", "e", Access.MEMBER, ("exchange",)),
    Place(
        "Policy",
        "Routes",
        "virtual-models",
        "waypoints",
        "r",
        Access.ADMIN,
        ("virtual-model-add", "virtual-model-edit", "virtual-model-delete"),
    ),
    Place(
        "Supply",
        "Providers",
        "providers",
        "plug-zap",
        "p",
        Access.ADMIN,
        ("provider", "provider-add", "provider-edit", "provider-credential", "provider-delete", "provider-offer"),
    ),
    Place("Supply", "Models and prices", "models", "tags", "m", Access.ADMIN),
    Place(
        "People",
        "Members",
        "members",
        "users",
        "h",
        Access.ADMIN,
        ("member", "member-add", "member-remove", "member-activity"),
    ),
    Place("People", "Teams", "teams", "users-round", "t", Access.ADMIN, ("team", "team-add", "team-edit")),
    Place(
        "People",
        "Service accounts",
        "service-accounts",
        "bot",
        "b",
        Access.ADMIN,
        ("service-account", "service-account-add", "service-account-edit", "service-account-activity"),
    ),
    Place("People", "Keys", "keys", "key-square", "y", Access.ADMIN, ("service-key-mint",)),
    Place("Operate", "Fleet", "fleet", "server", "f", Access.ADMIN, ("pod",)),
    Place("Operate", "Audit", "audit", "scroll-text", "a", Access.ADMIN, ("change",)),
    Place("Operate", "Settings", "settings", "settings", "i", Access.ADMIN),
)


def places_for(*, is_admin: bool) -> tuple[Place, ...]:
    """What a role can use; the rest is not shown."""
    return tuple(place for place in PLACES if is_admin or not place.is_for_admins)
