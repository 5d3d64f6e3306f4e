"""The view every resource is made from: scoped to the caller's organization, with ETags and idempotent POSTs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import Http404
from rest_framework import exceptions, mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from control_plane.rest import idempotency
from control_plane.rest.caller import Caller, caller_of
from control_plane.rest.permissions import action_of, is_of_one_object, reading_right_of, right_of
from control_plane.rest.problems import PreconditionFailed
from control_plane.rest.reasons import FIELD as REASON_FIELD
from control_plane.rest.reasons import note_reason, require_reason

Row = TypeVar("Row", bound=Model)


class TenantView(viewsets.GenericViewSet[Any]):
    """Objects of one organization.

    `scoped` is the only way to rows, so an id of another organization is a 404 like one that never was. An action on
    one object runs only once the caller was found to see it (else 404) and to have the action's right over it (403).
    """

    rights: ClassVar[Mapping[str, str]] = {}
    """The right that each action needs, by its name (organizations.roles.Permission). Without one nobody may."""

    asks_proof: ClassVar[Collection[str]] = ()
    """Actions that a console session does only with a fresh proof of who it is (rest.permissions)."""

    page_order: ClassVar[Sequence[str]] = ("id",)
    lookup_names: ClassVar[Sequence[str]] = ()
    """Fields that may stand in the address in place of the id."""
    lookup_value_regex = "[^/]+"
    field_names: ClassVar[dict[str, str]] = {}
    """Fields as services call them, to fields as this resource does; for error messages."""

    @property
    def caller(self) -> Caller:
        return caller_of(self.request)

    def scoped(self) -> QuerySet[Any]:
        """The rows that this caller may see."""
        raise NotImplementedError

    def whose(self, row: Any) -> tuple[UUID | None, Collection[UUID]]:
        """Whom an object belongs to: a person, and teams. By default the organization as a whole."""
        return None, ()

    def is_allowed(self, right: str, row: Any) -> bool:
        """Whether the caller has a right over one object that it sees."""
        owner_id, team_ids = self.whose(row)
        return self.caller.rights.can(right, owner_id=owner_id, team_ids=team_ids)

    def require(self, right: str, *, owner_id: UUID | None = None, team_ids: Collection[UUID] = ()) -> None:
        """Raise PermissionDenied unless the caller has a right over what belongs to that person and those teams."""
        rights = self.caller.rights
        if not rights.can(right, owner_id=owner_id, team_ids=team_ids):
            raise exceptions.PermissionDenied(rights.refusal(right))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        note_reason(request)
        action = action_of(self, request)
        if action is None or not is_of_one_object(self):
            return
        right = right_of(self, action)
        self._seen = self.found(self.scoped())
        if right is not None and right != reading_right_of(self, action) and not self.is_allowed(right, self._seen):
            raise exceptions.PermissionDenied(self.caller.rights.refusal(right))

    _seen: Any = None

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()  # type: ignore[union-attr, arg-type]  # every view names one, for the schema
        return self.scoped()

    def get_object(self) -> Any:
        """The row that was found when the caller's right was looked at."""
        return self.found(self.get_queryset()) if self._seen is None else self._seen

    def found(self, rows: QuerySet[Row]) -> Row:
        """The row that the address names, by id or by name; raises Http404."""
        text = str(self.kwargs[self.lookup_field])
        row = rows.filter(named(text, self.lookup_names)).first()
        if row is None:
            raise Http404
        return row

    def object_for_change(self) -> Any:
        """The row, locked, after `If-Match` was heeded. Must run in a transaction."""
        row = self.found(self.scoped().select_for_update(of=("self",)))
        check_unchanged(self.request, row)
        return row

    def require_reason(self) -> None:
        """Where it cannot be taken back or shifts power: ValidationError if a reason is asked for and missing."""
        require_reason(self.caller)

    def answer(self, row: Any, *, status: int = 200, extra: dict[str, Any] | None = None) -> Response:
        """The representation of a row, with its ETag."""
        data = {**self.get_serializer(row).data, **(extra or {})}
        return Response(data, status=status, headers={"ETag": etag_of(row)})

    def once(self, act: Callable[[], Response]) -> Response:
        """Do a POST in a transaction, once per Idempotency-Key."""
        return idempotency.once(self.request, act)

    def read_input(self, serializer: type[BaseSerializer[Any]], *, partial: bool = False) -> dict[str, Any]:
        """Check the body; unknown fields are refused, since a misspelt one would do nothing, silently."""
        checked = serializer(data=self.request.data, partial=partial, context=self.get_serializer_context())
        checked.is_valid(raise_exception=True)
        if isinstance(self.request.data, dict):
            unknown = sorted(set(self.request.data) - set(getattr(checked, "fields", {})) - {REASON_FIELD})
            if unknown:
                raise exceptions.ValidationError(dict.fromkeys(unknown, "There is no such field."))
        return dict(checked.validated_data)


class ListMixin(mixins.ListModelMixin):
    """GET of the collection."""


class RetrieveMixin:
    """GET of one object, with ETag and `If-None-Match`."""

    def retrieve(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        wanted = request.headers.get("If-None-Match")
        if wanted and (wanted.strip() == "*" or etag_of(row) in _tags(wanted)):
            return Response(status=304, headers={"ETag": etag_of(row)})
        response: Response = self.answer(row)
        return response


class ChangeMixin:
    """PATCH and DELETE in a transaction; the view says how in `change` and `remove`."""

    def partial_update(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            response: Response = self.change(self.object_for_change())
            return response


class RemoveMixin:
    def destroy(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            row = self.object_for_change()
            self.require_reason()
            self.remove(row)
            return Response(status=204)


def named(text: str, names: Sequence[str]) -> Q:
    """The condition that a row has this id, or this name. Raises Http404 for what can be neither."""
    if "\x00" in text:
        raise Http404
    condition = Q()
    for name in names:
        condition |= Q(**{name: text})
    try:
        condition |= Q(id=UUID(text))
    except ValueError:
        if not condition:
            raise Http404 from None
    return condition


def check_unchanged(request: Request, row: Any) -> None:
    """Heed `If-Match`: raises PreconditionFailed when the row is not the version that the caller has seen."""
    wanted = request.headers.get("If-Match")
    if wanted and wanted.strip() != "*" and etag_of(row) not in _tags(wanted):
        raise PreconditionFailed


def etag_of(row: Any) -> str:
    """A version of the row that changes with every change of it."""
    at = row.updated_at
    return f'"{row.pk.hex[:8]}-{int(at.timestamp() * 1_000_000):x}"'


def _tags(header: str) -> list[str]:
    return [part.strip().removeprefix("W/") for part in header.split(",")]
