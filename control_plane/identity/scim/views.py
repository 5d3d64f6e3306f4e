"""/scim/v2/: thin doors to the services. Every answer, also a refusal, is in SCIM's own form.

The organization is the token's; there is no other way to name one, so that no id of another tenant is ever found.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.identity.scim import discovery
from control_plane.identity.scim.door import (
    AlwaysScim,
    IsScimCaller,
    PlainJsonParser,
    ScimCaller,
    ScimParser,
    ScimRenderer,
    ScimThrottle,
    ScimTokenAuthentication,
    answer_failure,
)
from control_plane.identity.scim.errors import Changed, NotThere, ScimError, Unreadable
from control_plane.identity.scim.filters import read_filter
from control_plane.identity.scim.patching import read_operations
from control_plane.identity.scim.queries import (
    GROUPS_ORDER,
    PEOPLE_ORDER,
    groups_of,
    groups_where,
    ordering,
    people_of,
    people_where,
)
from control_plane.identity.scim.representation import (
    address,
    etag_of,
    groups_json,
    list_json,
    narrowed,
    people_json,
)
from control_plane.identity.scim.services import (
    group_create,
    group_delete,
    group_locked,
    group_patch,
    group_replace,
    person_create,
    person_delete,
    person_locked,
    person_patch,
    person_replace,
    scim_request_note,
)
from control_plane.organizations.models import Organization

DEFAULT_COUNT = 100
HIGHEST_START = 10_000_000


class ScimView(APIView):
    """What all of them share."""

    schema = None
    authentication_classes = (ScimTokenAuthentication,)
    permission_classes = (IsScimCaller,)
    throttle_classes = (ScimThrottle,)
    parser_classes = (ScimParser, PlainJsonParser)
    renderer_classes = (ScimRenderer,)
    content_negotiation_class = AlwaysScim

    @property
    def caller(self) -> ScimCaller:
        caller = self.request.auth
        assert isinstance(caller, ScimCaller)
        return caller

    @property
    def organization(self) -> Organization:
        return self.caller.organization

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return answer_failure

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        caller = request.auth if isinstance(request, Request) else None
        if isinstance(caller, ScimCaller):
            data = answer.data if isinstance(getattr(answer, "data", None), Mapping) else {}
            failed = answer.status_code >= 400
            detail = " ".join(filter(None, (data.get("scimType", ""), data.get("detail", ""))))
            scim_request_note(
                caller.token,
                request=f"{request.method} {request.path}",
                error=f"{answer.status_code} {detail}" if failed else "",
            )
        return answer

    def require_version(self, row: Any) -> None:
        """Heed `If-Match`. Raises Changed."""
        wanted = self.request.headers.get("If-Match", "").strip()
        if wanted and wanted != "*" and etag_of(row) not in _tags(wanted):
            raise Changed

    def answer(self, row: Any, resource: Mapping[str, Any], *, status: int = 200) -> Response:
        headers = {"ETag": etag_of(row), "Location": resource["meta"]["location"]}
        return Response(self.narrow(resource), status=status, headers=headers)

    def narrow(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        return narrowed(resource, only=self.names("attributes"), without=self.names("excludedAttributes"))

    def names(self, parameter: str) -> list[str]:
        return [name.strip() for name in self.request.query_params.get(parameter, "").split(",") if name.strip()]

    def page(self) -> tuple[int, int]:
        """startIndex (from 1) and count. What is below the lowest value is taken as it (RFC 7644 §3.4.2.4)."""
        start = min(max(self.number("startIndex", 1), 1), HIGHEST_START)
        return start, min(max(self.number("count", DEFAULT_COUNT), 0), discovery.MAX_RESULTS)

    def number(self, parameter: str, default: int) -> int:
        text = self.request.query_params.get(parameter, "").strip()
        try:
            return int(text) if text and len(text) < 12 else default
        except ValueError:
            raise Unreadable(f"{parameter} is a whole number.") from None


class PeopleView(ScimView):
    """/Users"""

    def get(self, request: Request) -> Response:
        people = people_of(self.organization)
        if text := request.query_params.get("filter", "").strip():
            people = people.filter(people_where(read_filter(text)))
        sort_by, order = request.query_params.get("sortBy", ""), request.query_params.get("sortOrder", "")
        start, count = self.page()
        total = people.count()
        rows = people.order_by(*ordering(PEOPLE_ORDER, sort_by, order))[start - 1 : start - 1 + count]
        found = [self.narrow(each) for each in people_json(rows)]
        return Response(list_json(found, total=total, start=start))

    def post(self, request: Request) -> Response:
        person = person_create(organization=self.organization, body=request.data, by=self.caller.directory)
        return _person(self, person.id, status=201)


class PersonView(ScimView):
    """/Users/{id}"""

    def get(self, request: Request, person_id: str) -> Response:
        return _person(self, _id(person_id, "user"))

    def put(self, request: Request, person_id: str) -> Response:
        with transaction.atomic():
            person = person_locked(self.organization, _id(person_id, "user"))
            self.require_version(person)
            person_replace(person=person, body=request.data, by=self.caller.directory)
        return _person(self, person.id)

    def patch(self, request: Request, person_id: str) -> Response:
        operations = read_operations(request.data)
        with transaction.atomic():
            person = person_locked(self.organization, _id(person_id, "user"))
            self.require_version(person)
            person_patch(person=person, operations=operations, by=self.caller.directory)
        return _person(self, person.id)

    def delete(self, request: Request, person_id: str) -> Response:
        with transaction.atomic():
            person = person_locked(self.organization, _id(person_id, "user"))
            self.require_version(person)
            person_delete(person=person, by=self.caller.directory)
        return Response(status=204)


class GroupsView(ScimView):
    """/Groups"""

    def get(self, request: Request) -> Response:
        groups = groups_of(self.organization)
        if text := request.query_params.get("filter", "").strip():
            groups = groups.filter(groups_where(read_filter(text)))
        sort_by, order = request.query_params.get("sortBy", ""), request.query_params.get("sortOrder", "")
        start, count = self.page()
        total = groups.count()
        rows = groups.order_by(*ordering(GROUPS_ORDER, sort_by, order))[start - 1 : start - 1 + count]
        found = groups_json(rows, with_members=_shows_members(self))
        return Response(list_json([self.narrow(each) for each in found], total=total, start=start))

    def post(self, request: Request) -> Response:
        group = group_create(organization=self.organization, body=request.data, actor=self.caller.actor)
        return _group(self, group.id, status=201)


class GroupView(ScimView):
    """/Groups/{id}"""

    def get(self, request: Request, group_id: str) -> Response:
        return _group(self, _id(group_id, "group"))

    def put(self, request: Request, group_id: str) -> Response:
        with transaction.atomic():
            group = group_locked(self.organization, _id(group_id, "group"))
            self.require_version(group)
            group_replace(group=group, body=request.data, actor=self.caller.actor)
        return _group(self, group.id)

    def patch(self, request: Request, group_id: str) -> Response:
        operations = read_operations(request.data)
        with transaction.atomic():
            group = group_locked(self.organization, _id(group_id, "group"))
            self.require_version(group)
            group_patch(group=group, operations=operations, actor=self.caller.actor)
        return _group(self, group.id)

    def delete(self, request: Request, group_id: str) -> Response:
        with transaction.atomic():
            group = group_locked(self.organization, _id(group_id, "group"))
            self.require_version(group)
            group_delete(group=group, actor=self.caller.actor)
        return Response(status=204)


class ServiceProviderConfigView(ScimView):
    def get(self, request: Request) -> Response:
        return Response(discovery.service_provider_config())


class ListingView(ScimView):
    """ResourceTypes and Schemas: the list, or one by its id."""

    listed: Callable[[], list[dict[str, Any]]] = staticmethod(discovery.schemas)

    def get(self, request: Request, name: str = "") -> Response:
        # A filter is refused here (RFC 7644 §4).
        if "filter" in request.query_params:
            raise ScimError("This list is not filtered.", status=403)
        found = self.listed()
        if not name:
            return Response(list_json(found, total=len(found), start=1))
        one = next((each for each in found if each["id"].lower() == name.lower()), None)
        if one is None:
            raise NotThere
        return Response(one)


class NothingView(ScimView):
    """Every other address: /Bulk, /Me, a misspelt one."""

    def get(self, request: Request, path: str = "") -> Response:
        raise ScimError(f"There is nothing at {request.path[:200]}; the endpoint is {address()}.", status=404)

    post = put = patch = delete = get


def _person(view: ScimView, person_id: UUID, *, status: int = 200) -> Response:
    row = people_of(view.organization).filter(id=person_id).first()
    if row is None:
        raise NotThere("user")
    if _is_known(view, row):
        return Response(status=304, headers={"ETag": etag_of(row)})
    return view.answer(row, people_json([row])[0], status=status)


def _group(view: ScimView, group_id: UUID, *, status: int = 200) -> Response:
    row = groups_of(view.organization).filter(id=group_id).first()
    if row is None:
        raise NotThere("group")
    if _is_known(view, row):
        return Response(status=304, headers={"ETag": etag_of(row)})
    return view.answer(row, groups_json([row], with_members=_shows_members(view))[0], status=status)


def _is_known(view: ScimView, row: Any) -> bool:
    wanted = view.request.headers.get("If-None-Match", "")
    return view.request.method == "GET" and bool(wanted) and (wanted.strip() == "*" or etag_of(row) in _tags(wanted))


def _shows_members(view: ScimView) -> bool:
    """Whether members were asked for: they are not read for nothing, since a group may have thousands."""
    only = {name.lower().partition(".")[0] for name in view.names("attributes")}
    without = {name.lower() for name in view.names("excludedAttributes")}
    return "members" in only if only else "members" not in without


def _id(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotThere(what) from None


def _tags(header: str) -> list[str]:
    """The versions a header names; one written without the W/ of a weak tag is the same."""
    return [f"W/{part.strip().removeprefix('W/')}" for part in header.split(",")]
