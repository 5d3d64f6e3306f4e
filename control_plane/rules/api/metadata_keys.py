"""REST: what may stand in keys of metadata."""

from collections.abc import Mapping
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.reasons import FIELD as REASON_FIELD
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView
from control_plane.rules.metadata_keys import (
    metadata_key_create,
    metadata_key_delete,
    metadata_key_update,
)
from control_plane.rules.models import MetadataKey, UnknownValue
from control_plane.rules.selectors import metadata_keys_of


class MetadataKeyOut(serializers.Serializer[MetadataKey]):
    id = HexId()
    name = serializers.CharField(help_text="The key.")
    description = serializers.CharField()
    is_required = serializers.BooleanField(help_text="An exchange without it is refused.")
    values = serializers.ListField(child=serializers.CharField(), help_text="Allowed; empty: any the pattern takes.")
    pattern = serializers.CharField(help_text="RE2, over the whole value; besides the values.")
    unknown = serializers.ChoiceField(UnknownValue.choices, help_text="What becomes of any other value.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class MetadataKeyChange(serializers.Serializer[Any]):
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    is_required = serializers.BooleanField(required=False)
    values = serializers.ListField(child=serializers.CharField(max_length=256), required=False)
    pattern = serializers.CharField(max_length=500, required=False, allow_blank=True)
    unknown = serializers.ChoiceField(UnknownValue.choices, required=False)


class MetadataKeyIn(MetadataKeyChange):
    name = serializers.CharField(max_length=64)


class MetadataKeyFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    is_required = django_filters.BooleanFilter()


class MetadataKeyViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Keys of metadata that must be there, or may hold certain values alone."""

    queryset = MetadataKey.objects.all()
    serializer_class = MetadataKeyOut
    filterset_class = MetadataKeyFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    rights = {
        "list": Permission.POLICY_READ,
        "retrieve": Permission.POLICY_READ,
        "create": Permission.POLICY_MANAGE,
        "partial_update": Permission.POLICY_MANAGE,
        "destroy": Permission.POLICY_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[MetadataKey]:
        return metadata_keys_of(self.caller.organization_id).select_related("organization")

    @extend_schema(request=MetadataKeyIn, responses={201: MetadataKeyOut})
    def create(self, request: Request) -> Response:
        spec = self._spec()
        name = spec.pop("name", "")
        return self.once(
            lambda: self.answer(
                metadata_key_create(
                    organization=self.caller.organization, name=name, spec=spec, actor=self.caller.actor
                ),
                status=201,
            )
        )

    @extend_schema(request=MetadataKeyChange, responses=MetadataKeyOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change what may stand in the key. The key itself stays."""
        return super().partial_update(request, *args, **kwargs)

    def change(self, metadata_key: MetadataKey) -> Response:
        return self.answer(
            metadata_key_update(metadata_key=metadata_key, changes=self._spec(), actor=self.caller.actor)
        )

    def remove(self, metadata_key: MetadataKey) -> None:
        metadata_key_delete(metadata_key=metadata_key, actor=self.caller.actor)

    def _spec(self) -> dict[str, Any]:
        data = self.request.data
        if not isinstance(data, Mapping):
            raise ValidationError({"": "An object with fields is needed."})
        return {str(name): value for name, value in data.items() if name != REASON_FIELD}
