"""⌘K: places, actions, people, teams, keys, exchanges, sessions."""

from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from control_plane.credentials.selectors import providers_of
from control_plane.keys.reach import keys_within
from control_plane.organizations.reach import memberships_within, service_accounts_within, teams_within
from control_plane.organizations.roles import Permission, can, may_at_all
from control_plane.routing.selectors import virtual_models_of
from control_plane.sessions.selectors.listing import SessionQuery, newest_sessions
from control_plane.usage.selectors.exchanges import exchange_by_id
from control_plane.web.access import is_open
from control_plane.web.places import LED_TEAMS, TEAM_PEOPLE, places_for
from control_plane.web.request import ConsoleRequest, scope
from control_plane.web.rule_rows import RuleSearch, rules_page

MOST_OF_A_KIND = 5
ACTIONS = (
    ("Mint a key", "my-key-mint", Permission.KEYS_MANAGE),
    ("Mint a key for a service account", "service-key-mint", Permission.SERVICE_KEYS_MINT),
    ("Add a provider", "provider-add", Permission.PROVIDERS_MANAGE),
    ("Add a route", "virtual-model-add", Permission.POLICY_MANAGE),
    ("Add a rule", "rule-choose", Permission.BUDGETS_MANAGE),
    ("Add a member", "member-add", Permission.MEMBERS_MANAGE),
    ("Add a team", "team-add", Permission.TEAMS_MANAGE),
    ("Add a service account", "service-account-add", Permission.SERVICE_ACCOUNTS_MANAGE),
    ("Make an API token", "token-mint", Permission.TOKENS_MANAGE),
    ("Make a SCIM token", "scim-token-add", Permission.SIGN_IN_MANAGE),
)
"""What can be begun from anywhere: (title, page, right)."""
SHORTEST_SESSION_SEARCH = 6


@dataclass(frozen=True, slots=True)
class Item:
    title: str
    address: str
    icon: str
    hint: str = ""
    opens_sheet: bool = False


@dataclass(frozen=True, slots=True)
class ItemGroup:
    title: str
    items: list[Item]


@require_GET
def palette(request: ConsoleRequest) -> HttpResponse:
    """The palette's results; asked for when it opens and while somebody types."""
    text = request.GET.get("q", "").strip()[:200]
    groups = [group for group in _groups(request, text) if group.items]
    return render(request, "web/shell/palette_results.html", {"groups_found": groups, "text": text})


def _groups(request: ConsoleRequest, text: str) -> list[ItemGroup]:
    places = [
        Item(place.title, reverse(f"web:{place.url_name}"), place.icon, f"g {place.letter}")
        for place in places_for(request.standing)
        if text.lower() in place.title.lower() or text.lower() in place.group.lower()
    ]
    actions = [item for item in _actions(request) if text.lower() in item.title.lower()]
    if not text:
        return [ItemGroup("Go to", places), ItemGroup("Do", actions)]
    return [ItemGroup("Go to", places), ItemGroup("Do", actions), *_found(request, text)]


def _actions(request: ConsoleRequest) -> list[Item]:
    actions = [
        Item(title, reverse(f"web:{name}"), "plus", opens_sheet=True)
        for title, name, right in ACTIONS
        if may_at_all(request.standing, right)
    ]
    return [*actions, Item("Profile and password", reverse("web:profile"), "user-round")]


def _found(request: ConsoleRequest, text: str) -> list[ItemGroup]:
    keys = keys_within(request.standing)
    # The prefix a person sees is "kind_abcd"; pasting a whole key finds it too, by nothing but its public part.
    prefix = text[:10]
    matching_keys = keys.filter(Q(name__icontains=text) | Q(prefix__startswith=prefix))[:MOST_OF_A_KIND]
    groups = [
        ItemGroup(
            "Keys",
            [Item(key.name, reverse("web:key", args=[key.id]), "key-round", f"{key.prefix}…") for key in matching_keys],
        )
    ]
    exchange = exchange_by_id(scope(request, Permission.EXCHANGES_READ), text.upper())
    if exchange is not None:
        hint = f"{exchange.last.model or exchange.last.requested_model}"
        address = reverse("web:exchange", args=[exchange.id])
        groups.append(ItemGroup("Exchange", [Item(exchange.id, address, "arrow-left-right", hint)]))
    if len(text) >= SHORTEST_SESSION_SEARCH:
        query = SessionQuery(scope(request), session_id=text)
        groups.append(
            ItemGroup(
                "Session",
                [
                    Item(one.session_id, reverse("web:session", args=[one.id]), "messages-square", one.client)
                    for one in newest_sessions(query, 1)
                ],
            )
        )
    return [*groups, *_people_found(request, text), *_supply_found(request, text)]


def _people_found(request: ConsoleRequest, text: str) -> list[ItemGroup]:
    """Of what has a page that this person may open."""
    standing = request.standing
    groups: list[ItemGroup] = []
    if is_open(standing, TEAM_PEOPLE):
        people = memberships_within(standing).filter(Q(user__email__icontains=text) | Q(user__name__icontains=text))
        groups.append(
            ItemGroup(
                "People",
                [
                    Item(row.user.display_name, reverse("web:member", args=[row.id]), "user-round", row.user.email)
                    for row in people[:MOST_OF_A_KIND]
                ],
            )
        )
    if is_open(standing, LED_TEAMS):
        teams = teams_within(standing).filter(name__icontains=text)
        groups.append(
            ItemGroup(
                "Teams",
                [
                    Item(row.name, reverse("web:team", args=[row.id]), "users-round", row.cost_centre)
                    for row in teams[:MOST_OF_A_KIND]
                ],
            )
        )
    accounts = service_accounts_within(standing).filter(name__icontains=text)
    groups.append(
        ItemGroup(
            "Service accounts",
            [
                Item(row.name, reverse("web:service-account", args=[row.id]), "bot", row.team.name)
                for row in accounts[:MOST_OF_A_KIND]
            ],
        )
    )
    return groups


def _supply_found(request: ConsoleRequest, text: str) -> list[ItemGroup]:
    organization, items = request.organization, list[Item]()
    if can(request.standing, Permission.PROVIDERS_READ):
        items += [
            Item(row.name, reverse("web:provider", args=[row.id]), "plug-zap", row.vendor)
            for row in providers_of(organization).filter(name__icontains=text)[:MOST_OF_A_KIND]
        ]
    if can(request.standing, Permission.POLICY_MANAGE):
        items += [
            Item(row.name, reverse("web:virtual-model-edit", args=[row.id]), "waypoints", row.target.provider.name)
            for row in virtual_models_of(organization).filter(name__icontains=text)[:MOST_OF_A_KIND]
        ]
    return [ItemGroup("Providers and routes", items), ItemGroup("Rules", _rules_found(request, text))]


def _rules_found(request: ConsoleRequest, text: str) -> list[Item]:
    if not can(request.standing, Permission.POLICY_READ):
        return []
    page = rules_page(request.organization, RuleSearch(text=text), limit=MOST_OF_A_KIND)
    return [
        Item(
            row.rule.name,
            reverse("web:rule", args=[row.type.slug, row.rule.id]),
            row.type.icon,
            f"{row.type.title}, {row.mode}",
        )
        for row in page.rows
    ]
