"""The table of rights as people read it, and who has each role."""

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from control_plane.organizations.published import DELEGATION_WORDS, ROLE_WORDS, table_rows
from control_plane.organizations.reach import memberships_within
from control_plane.organizations.roles import Role
from control_plane.web.request import ConsoleRequest


@require_GET
def roles(request: ConsoleRequest) -> HttpResponse:
    counts = dict(
        memberships_within(request.standing)
        .order_by()
        .values_list("role")
        .annotate(number=Count("id"))
        .values_list("role", "number")
    )
    context = {
        "roles": [(role, role.label.capitalize(), ROLE_WORDS[role], counts.get(role.value, 0)) for role in Role],
        "own_role": request.standing.role,
        "groups_of_rights": list(table_rows()),
        "delegations": [(words, one in request.standing.delegations) for one, words in DELEGATION_WORDS.items()],
        "delegated": request.standing.delegations,
    }
    return render(request, "web/people/roles.html", context)
