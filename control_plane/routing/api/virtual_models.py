"""REST: the names clients may use, and where they lead."""

from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import providers_of
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import Caller
from control_plane.rest.fields import HexId, Reference
from control_plane.rest.problems import Conflict
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView
from control_plane.routing.models import VirtualModel
from control_plane.routing.selectors import virtual_model_by_name, virtual_models_of
from control_plane.routing.services import virtual_model_delete, virtual_model_set, virtual_models_offer


def providers_for(caller: Caller) -> QuerySet[Provider]:
    return providers_of(caller.organization)


class TargetOut(serializers.Serializer[Any]):
    model = serializers.CharField(help_text="<provider>/<model as the vendor names it>")


class TargetIn(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=300, help_text="<provider>/<model as the vendor names it>")


class VirtualModelOut(serializers.Serializer[VirtualModel]):
    id = HexId()
    name = serializers.CharField()
    targets = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(TargetOut(many=True))
    def get_targets(self, virtual_model: VirtualModel) -> list[dict[str, str]]:
        target = virtual_model.target
        return [{"model": f"{target.provider.name}/{target.model}"}]


class VirtualModelChange(serializers.Serializer[Any]):
    targets = serializers.ListField(child=TargetIn(), min_length=1, max_length=1)


class VirtualModelIn(VirtualModelChange):
    name = serializers.CharField(max_length=150)


class OfferIn(serializers.Serializer[Any]):
    provider = Reference(providers_for, names=("name",))
    names = serializers.ListField(
        child=serializers.CharField(max_length=150), required=False, help_text="Only these; left out: all."
    )


class VirtualModelFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    provider = django_filters.CharFilter(field_name="target__provider__name")
    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")


class VirtualModelViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Names clients may use. Members may read them."""

    queryset = VirtualModel.objects.all()
    serializer_class = VirtualModelOut
    filterset_class = VirtualModelFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    # Names of models have slashes.
    lookup_value_regex = ".+?"
    rights = {
        "list": Permission.MODELS_READ,
        "retrieve": Permission.MODELS_READ,
        "create": Permission.POLICY_MANAGE,
        "partial_update": Permission.POLICY_MANAGE,
        "destroy": Permission.POLICY_MANAGE,
        "offer": Permission.POLICY_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[VirtualModel]:
        return virtual_models_of(self.caller.organization)

    @extend_schema(request=VirtualModelIn, responses={201: VirtualModelOut})
    def create(self, request: Request) -> Response:
        given = self.read_input(VirtualModelIn)
        if virtual_model_by_name(self.caller.organization, given["name"].strip()) is not None:
            raise Conflict("There is a virtual model of this name already.")
        return self.once(lambda: self._lead(given["name"], given["targets"], 201))

    @extend_schema(request=VirtualModelChange, responses=VirtualModelOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Lead the name elsewhere."""
        return super().partial_update(request, *args, **kwargs)

    def change(self, virtual_model: VirtualModel) -> Response:
        given = self.read_input(VirtualModelChange)
        return self._lead(virtual_model.name, given["targets"], 200)

    def remove(self, virtual_model: VirtualModel) -> None:
        virtual_model_delete(virtual_model=virtual_model, actor=self.caller.actor)

    @extend_schema(request=OfferIn, responses={201: VirtualModelOut(many=True)})
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    def offer(self, request: Request) -> Response:
        """Make the short names that a provider offers and nobody uses yet."""
        given = self.read_input(OfferIn)

        def act() -> Response:
            made = virtual_models_offer(provider=given["provider"], names=given.get("names"), actor=self.caller.actor)
            rows = self.scoped().filter(id__in=[virtual_model.id for virtual_model in made])
            return Response([VirtualModelOut(row).data for row in rows], status=201)

        return self.once(act)

    def _lead(self, name: str, targets: list[dict[str, str]], status: int) -> Response:
        provider_name, slash, model = targets[0]["model"].partition("/")
        provider = providers_for(self.caller).filter(name=provider_name).first() if slash else None
        if provider is None:
            raise ValidationError({"targets": f"No provider {provider_name[:60]!r} here; write <provider>/<model>."})
        virtual_model = virtual_model_set(
            organization=self.caller.organization, name=name, provider=provider, model=model, actor=self.caller.actor
        )
        return self.answer(self.scoped().get(id=virtual_model.id), status=status)
