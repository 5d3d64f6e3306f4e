"""The page Sign-in: which identity providers an organization trusts, what their groups give, and who must use them."""

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.identity.addresses import acs_url, callback_url, metadata_url
from control_plane.identity.models import ConnectionKind, IdentityConnection
from control_plane.identity.selectors import connection_of, connections_of, identities_of
from control_plane.identity.services import (
    connection_create,
    connection_delete,
    connection_enforce,
    connection_relax,
    connection_update,
    identity_unlink,
    mappings_set,
)
from control_plane.organizations.models import Membership, Role, Team
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.sign_in import EnforceForm, MappingFormSet, OidcForm, SamlForm, form_of, initial_of
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to
from control_plane.web.sign_in_hints import HINTS, hint_of
from control_plane.web.views.sso import TEST_IN_SESSION, to_provider

PEOPLE_SHOWN = 50
SAML_FIELDS = {"metadata": "metadata", "issuer": "metadata"}


@require_GET
def connections(request: ConsoleRequest) -> HttpResponse:
    rows = list(connections_of(request.organization.id))
    return render(request, "web/sign_in/list.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
def connection_add(request: ConsoleRequest, kind: str) -> HttpResponse:
    """The addresses to copy are those of the connection to come: its id is chosen when the form is opened."""
    if kind not in ConnectionKind.values:
        raise Http404
    form = form_of(kind)(request.POST or None, initial={"vendor": request.GET.get("vendor", "okta")})
    future_id = _future_id(request)
    if request.method == "POST" and form.is_valid():
        facts = form.facts(is_new=True)
        if facts is None:
            form.add_error("metadata_url", "Enter the address of the metadata, or paste the document.")
        else:
            try:
                made = connection_create(
                    connection_id=future_id,
                    organization=request.organization,
                    facts=facts,
                    actor=actor(request),
                    grantor=request.standing.role,
                    **form.shared,
                )
            except ValidationError as failure:
                show_failure(form, failure, SAML_FIELDS if kind == ConnectionKind.SAML else None)
            else:
                messages.success(request, f"{made.name} is added. Test it; nobody is made to use it yet.")
                return go_to(request, reverse("web:connection", args=[made.id]))
    context = {
        "form": form,
        "kind": kind,
        "kind_label": ConnectionKind(kind).label,
        "future_id": future_id.hex,
        "hints": HINTS,
        **_addresses(kind, future_id),
    }
    return render(request, "web/sign_in/add.html", context, status=form_status(form.errors))


@require_GET
def connection(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    found = _connection(request, connection_id)
    test = request.session.get(TEST_IN_SESSION)
    if test is not None and test["connection"] == found.id.hex:
        # Shown once, to whoever made the test.
        del request.session[TEST_IN_SESSION]
    else:
        test = None
    people = list(identities_of(found)[: PEOPLE_SHOWN + 1])
    context = {
        "connection": found,
        "hint": hint_of(found.vendor),
        "steps": hint_of(found.vendor).saml if found.kind == ConnectionKind.SAML else hint_of(found.vendor).oidc,
        "test": test,
        "people": people[:PEOPLE_SHOWN],
        "has_more_people": len(people) > PEOPLE_SHOWN,
        "history": changes_of(request.organization.id).filter(
            subject_kind="identity_connection", subject_id=found.id.hex
        )[:20],
        **_addresses(found.kind, found.id),
    }
    return render(request, "web/sign_in/connection.html", context)


@require_http_methods(["GET", "POST"])
def connection_edit(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    found = _connection(request, connection_id)
    form: OidcForm | SamlForm = form_of(found.kind)(request.POST or None, initial=initial_of(found))
    if isinstance(form, OidcForm):
        form.fields["secret"].help_text = "Empty: the present one stays. Another issuer needs it again."
    else:
        form.fields["metadata_url"].help_text = "Empty: the present settings stay. Enter it to read them anew."
    if request.method == "POST" and form.is_valid():
        try:
            connection_update(
                connection=found,
                actor=actor(request),
                grantor=request.standing.role,
                facts=form.facts(is_new=False),
                **form.shared,
            )
        except ValidationError as failure:
            show_failure(form, failure, SAML_FIELDS if found.kind == ConnectionKind.SAML else None)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return go_to(request, reverse("web:connection", args=[found.id]))
    context = {"form": form, "connection": found, "is_saml": found.kind == ConnectionKind.SAML}
    return render(request, "web/sign_in/edit.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def connection_mappings(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    """What groups give; a table with empty rows at its end."""
    found = _connection(request, connection_id)
    teams = list(Team.objects.filter(organization=request.organization))
    initial = [
        {"group": row.group, "gives": f"team:{row.team_id}" if row.team_id else f"role:{row.role}"}
        for row in found.mappings.all()
    ]
    rows = MappingFormSet(request.POST or None, initial=initial, form_kwargs={"teams": teams})
    problem = ""
    if request.method == "POST" and rows.is_valid():
        try:
            wanted = [mapping for mapping in (form.mapping for form in rows) if mapping is not None]
            mappings_set(connection=found, mappings=wanted, actor=actor(request), grantor=request.standing.role)
        except ValidationError as failure:
            problem = " ".join(failure.messages)
        else:
            messages.success(request, "Saved. It is applied at each person's next sign-in.")
            return go_to(request, reverse("web:connection", args=[found.id]))
    is_wrong = bool(problem) or (request.method == "POST" and not rows.is_valid())
    context = {"rows": rows, "connection": found, "problem": problem}
    return render(request, "web/sign_in/mappings.html", context, status=422 if is_wrong else 200)


@require_GET
def connection_test(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    """Go through the whole sign-in without being signed in by it. A plain link: forms may not lead to another host."""
    found = _connection(request, connection_id)
    if not found.is_active:
        messages.error(request, "Switch the connection on first.")
        return redirect("web:connection", connection_id=found.id)
    return to_provider(request, found, {"mode": "test", "user": request.user.id.hex}, next_url="")


@require_http_methods(["GET", "POST"])
def connection_enforcement(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    """Make everybody use it, or let passwords count again."""
    found = _connection(request, connection_id)
    owners = list(
        User.objects.filter(
            memberships__organization=request.organization, memberships__role=Role.OWNER, is_active=True
        ).order_by("email")
    )
    form = EnforceForm(request.POST or None, owners=owners)
    confirm = ConfirmForm(found.name, request.POST or None)
    if found.is_enforced:
        if request.method == "POST" and confirm.is_valid():
            connection_relax(connection=found, actor=actor(request), reason=confirm.cleaned_data["reason"])
            messages.success(request, "Passwords count again.")
            return go_to(request, reverse("web:connection", args=[found.id]))
    elif request.method == "POST" and form.is_valid():
        try:
            connection_enforce(
                connection=found,
                break_glass_owner=form.owner,
                actor=actor(request),
                reason=form.cleaned_data["reason"],
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"From now on people come in through {found.name} only.")
            return go_to(request, reverse("web:connection", args=[found.id]))
    with_password = Membership.objects.filter(organization=request.organization, user__is_active=True).count()
    context = {
        "form": form,
        "confirm": confirm,
        "connection": found,
        "owners": owners,
        "people": with_password,
    }
    status = form_status(confirm.errors if found.is_enforced else form.errors)
    return render(request, "web/sign_in/enforce.html", context, status=status)


@require_POST
def connection_activity(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    """Switch a connection off, or on again."""
    found = _connection(request, connection_id)
    wanted = request.POST.get("is_active") == "true"
    try:
        connection_update(connection=found, actor=actor(request), grantor=request.standing.role, is_active=wanted)
    except ValidationError as failure:
        messages.error(request, " ".join(failure.messages))
    else:
        messages.success(request, f"{found.name} is switched {'on' if wanted else 'off'}.")
    return redirect("web:connection", connection_id=found.id)


@require_http_methods(["GET", "POST"])
def connection_remove(request: ConsoleRequest, connection_id: UUID) -> HttpResponse:
    found = _connection(request, connection_id)
    form = ConfirmForm(found.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            connection_delete(connection=found, actor=actor(request), reason=form.cleaned_data["reason"])
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{found.name} is deleted.")
            return go_to(request, reverse("web:sign-in-settings"))
    context = {"form": form, "connection": found}
    return render(request, "web/sign_in/delete.html", context, status=form_status(form.errors))


@require_POST
def person_unlink(request: ConsoleRequest, connection_id: UUID, identity_id: UUID) -> HttpResponse:
    """Forget which subject a person is; their next sign-in links them anew."""
    found = _connection(request, connection_id)
    identity = identities_of(found).filter(id=identity_id).first()
    if identity is None:
        raise Http404
    identity_unlink(identity=identity, actor=actor(request))
    messages.success(request, f"{identity.user.email} is unlinked. The next sign-in links them anew.")
    return redirect("web:connection", connection_id=found.id)


def _connection(request: ConsoleRequest, connection_id: UUID) -> IdentityConnection:
    found = connection_of(request.organization.id, connection_id)
    if found is None:
        raise Http404
    return found


def _future_id(request: ConsoleRequest) -> UUID:
    try:
        return UUID(request.POST.get("future_id", ""))
    except ValueError:
        return uuid4()


def _addresses(kind: str, connection_id: UUID) -> dict[str, Any]:
    """What the identity provider must be told."""
    if kind == ConnectionKind.OIDC:
        return {"addresses": [("Redirect URI", callback_url(connection_id))]}
    return {
        "addresses": [
            ("ACS URL", acs_url(connection_id)),
            ("Entity id (audience)", metadata_url(connection_id)),
            ("Our metadata", metadata_url(connection_id)),
        ]
    }
