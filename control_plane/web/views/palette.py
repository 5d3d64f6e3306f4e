"""⌘K: places, actions, people, teams, keys, exchanges, sessions."""

from dataclasses import dataclass
from urllib.parse import quote

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from control_plane.credentials.selectors import providers_of
from control_plane.keys.selectors import keys_of, keys_of_user
from control_plane.organizations.selectors import memberships_of, service_accounts_of, teams_of
from control_plane.routing.selectors import virtual_models_of
from control_plane.usage.selectors.exchanges import exchange_by_id
from control_plane.usage.selectors.sessions import SessionSearch, sessions_page
from control_plane.web.places import places_for
from control_plane.web.request import ConsoleRequest, scope

MOST_OF_A_KIND = 5
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
        for place in places_for(is_admin=request.membership.is_admin)
        if text.lower() in place.title.lower() or text.lower() in place.group.lower()
    ]
    actions = [item for item in _actions(request) if text.lower() in item.title.lower()]
    if not text:
        return [ItemGroup("Go to", places), ItemGroup("Do", actions)]
    return [ItemGroup("Go to", places), ItemGroup("Do", actions), *_found(request, text)]


def _actions(request: ConsoleRequest) -> list[Item]:
    actions = [Item("Mint a key", reverse("web:my-key-mint"), "plus", opens_sheet=True)]
    if request.membership.is_admin:
        actions += [
            Item("Add a provider", reverse("web:provider-add"), "plus", opens_sheet=True),
            Item("Add a route", reverse("web:virtual-model-add"), "plus", opens_sheet=True),
            Item("Add a member", reverse("web:member-add"), "plus", opens_sheet=True),
            Item("Add a team", reverse("web:team-add"), "plus", opens_sheet=True),
            Item("Add a service account", reverse("web:service-account-add"), "plus", opens_sheet=True),
        ]
    return [*actions, Item("Profile and password", reverse("web:profile"), "user-round")]


def _found(request: ConsoleRequest, text: str) -> list[ItemGroup]:
    organization, is_admin = request.organization, request.membership.is_admin
    keys = keys_of(organization) if is_admin else keys_of_user(organization, request.user)
    # The prefix a person sees is "kind_abcd"; pasting a whole key finds it too, by nothing but its public part.
    prefix = text[:10]
    matching_keys = keys.filter(Q(name__icontains=text) | Q(prefix__startswith=prefix))[:MOST_OF_A_KIND]
    groups = [
        ItemGroup(
            "Keys",
            [Item(key.name, reverse("web:key", args=[key.id]), "key-round", f"{key.prefix}…") for key in matching_keys],
        )
    ]
    exchange = exchange_by_id(scope(request), text.upper())
    if exchange is not None:
        hint = f"{exchange.last.model or exchange.last.requested_model}"
        address = reverse("web:exchange", args=[exchange.id])
        groups.append(ItemGroup("Exchange", [Item(exchange.id, address, "arrow-left-right", hint)]))
    if len(text) >= SHORTEST_SESSION_SEARCH:
        sessions = sessions_page(SessionSearch(scope(request), session_id=text), limit=1).sessions
        groups.append(
            ItemGroup(
                "Session",
                [
                    Item(
                        one.session_id,
                        f"{reverse('web:exchanges')}?session={quote(one.session_id)}",
                        "hash",
                        one.client,
                    )
                    for one in sessions
                ],
            )
        )
    return [*groups, *_found_by_admin(request, text)] if is_admin else groups


def _found_by_admin(request: ConsoleRequest, text: str) -> list[ItemGroup]:
    organization = request.organization
    people = memberships_of(organization).filter(Q(user__email__icontains=text) | Q(user__name__icontains=text))
    return [
        ItemGroup(
            "People",
            [
                Item(row.user.display_name, reverse("web:member", args=[row.id]), "user-round", row.user.email)
                for row in people[:MOST_OF_A_KIND]
            ],
        ),
        ItemGroup(
            "Teams",
            [
                Item(row.name, reverse("web:team", args=[row.id]), "users-round", row.cost_centre)
                for row in teams_of(organization).filter(name__icontains=text)[:MOST_OF_A_KIND]
            ],
        ),
        ItemGroup(
            "Service accounts",
            [
                Item(row.name, reverse("web:service-account", args=[row.id]), "bot", row.team.name)
                for row in service_accounts_of(organization).filter(name__icontains=text)[:MOST_OF_A_KIND]
            ],
        ),
        ItemGroup(
            "Providers and routes",
            [
                Item(row.name, reverse("web:provider", args=[row.id]), "plug-zap", row.vendor)
                for row in providers_of(organization).filter(name__icontains=text)[:MOST_OF_A_KIND]
            ]
            + [
                Item(row.name, reverse("web:virtual-model-edit", args=[row.id]), "waypoints", row.target.provider.name)
                for row in virtual_models_of(organization).filter(name__icontains=text)[:MOST_OF_A_KIND]
            ],
        ),
    ]
