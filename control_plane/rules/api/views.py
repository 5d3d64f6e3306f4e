"""The view that every kind of rule is made from."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.reasons import FIELD as REASON_FIELD
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView
from control_plane.rules.conditions import loaded_all
from control_plane.rules.models import Mode, RuleFields
from control_plane.rules.reach import Sight, seen_ids, sight_of
from control_plane.rules.services import RuleKind, rule_create, rule_delete, rule_update
from control_plane.rules.subjects import Directory, UnknownSubject


class RuleFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    search = django_filters.CharFilter(method="find", label="Part of the name or of the description.")
    mode = django_filters.ChoiceFilter(choices=Mode.choices)
    subject = django_filters.CharFilter(method="about", label="Rules that name this one: team:platform.")

    def find(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(Q(name__icontains=value) | Q(description__icontains=value))

    def about(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        directory: Directory = self.request.parser_context["view"].directory
        try:
            subject = directory.find(value)
        except UnknownSubject as failure:
            raise ValidationError({"subject": str(failure)}) from failure
        return rows.filter(when__subjects__contains=[str(subject)])


class GroupedRuleFilter(RuleFilter):
    group = django_filters.CharFilter()


class RuleView(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Rules of one kind. Who may not see all sees those that apply to them."""

    kind: ClassVar[RuleKind[Any]]
    page_order = ("name", "id")
    lookup_names = ("name",)
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    read_right: ClassVar[Permission] = Permission.RULES_READ

    @cached_property
    def sight(self) -> Sight:
        return sight_of(self.caller.standing, self.read_right)

    @cached_property
    def directory(self) -> Directory:
        return Directory(self.caller.organization)

    def rows(self) -> QuerySet[Any]:
        """All rules of this kind and organization."""
        return self.kind.model._default_manager.filter(organization=self.caller.organization).select_related(
            "organization"
        )

    def scoped(self) -> QuerySet[Any]:
        rows = self.rows()
        return rows if self.sight.has_all else rows.filter(id__in=seen_ids(rows, self.sight))

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        # Names of all subjects on a page at once, instead of a look-up for each.
        self._learn(page or ())
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        if getattr(self, "swagger_fake_view", False):
            return context
        return {**context, "kind": self.kind, "directory": self.directory, "sight": self.sight}

    def create(self, request: Request) -> Response:
        spec = self.read_spec()
        name = spec.pop("name", None)
        self.check_new(spec)
        return self.once(
            lambda: self.answer(
                rule_create(
                    self.kind,
                    organization=self.caller.organization,
                    name=name if isinstance(name, str) else "",
                    spec=spec,
                    actor=self.caller.actor,
                ),
                status=201,
            )
        )

    def change(self, row: RuleFields) -> Response:
        spec = self.read_spec()
        name = spec.pop("name", None)
        if name is not None and not isinstance(name, str):
            raise ValidationError({"name": "Text, please."})
        self.check_change(row, spec)
        return self.answer(rule_update(self.kind, row=row, name=name, changes=spec, actor=self.caller.actor))

    def remove(self, row: RuleFields) -> None:
        rule_delete(self.kind, row=row, actor=self.caller.actor)

    def check_new(self, spec: Mapping[str, Any]) -> None:
        """Raise PermissionDenied where this caller may not make such a rule."""

    def check_change(self, row: Any, spec: Mapping[str, Any]) -> None:
        """Raise PermissionDenied where this caller may not change a rule so."""

    def read_spec(self) -> dict[str, Any]:
        """The body as it came, for the service to check; raises ValidationError when it is no object."""
        data = self.request.data
        if not isinstance(data, Mapping):
            raise ValidationError({"": "An object with the fields of the rule is needed."})
        return {str(name): value for name, value in data.items() if name != REASON_FIELD}

    def answer(self, row: Any, *, status: int = 200, extra: dict[str, Any] | None = None) -> Response:
        self._learn([row])
        return super().answer(row, status=status, extra=extra)

    def _learn(self, rows: Any) -> None:
        self.directory.learn(
            subject
            for row in rows
            for condition in loaded_all([row.when, *row.when_not])
            for subject in condition.subjects
        )
