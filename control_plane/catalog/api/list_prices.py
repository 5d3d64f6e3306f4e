"""REST: list prices with where they are from, those that were superseded too, and what each load changed."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.catalog.api.prices import OwnBand, OwnRates, OwnTier
from control_plane.catalog.models import ListPrice, PriceListLoad
from control_plane.catalog.selectors import price_loads
from control_plane.organizations.roles import Permission


class ListPriceOut(serializers.Serializer[ListPrice]):
    version = serializers.CharField(help_text="Stands on each exchange as price_version.")
    vendor = serializers.CharField(help_text="Empty: any vendor.")
    model = serializers.CharField()
    rates = OwnRates()
    bands = OwnBand(many=True)
    tiers = OwnTier(many=True)
    per_web_search_nano_usd = serializers.IntegerField()
    unit_nano_usd = serializers.DictField(child=serializers.IntegerField())
    us_geo_per_mille = serializers.IntegerField()
    valid_from = serializers.DateTimeField(allow_null=True)
    valid_to = serializers.DateTimeField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]  # a field named so
    checked_on = serializers.DateField(allow_null=True, help_text="When the source was last looked at.")
    set_by = serializers.CharField(help_text="Who brought it in.")
    created_at = serializers.DateTimeField()
    superseded_at = serializers.DateTimeField(allow_null=True, help_text="null: it stands.")


class ListPriceFilter(django_filters.FilterSet):
    vendor = django_filters.CharFilter()
    model = django_filters.CharFilter()
    search = django_filters.CharFilter(field_name="model", lookup_expr="icontains")
    standing = django_filters.BooleanFilter(
        field_name="superseded_at", lookup_expr="isnull", help_text="true: without those that were superseded."
    )


class ListPriceViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[ListPrice]):
    """What vendors ask of everybody. Nobody changes it here: an own price or a discount stands above it."""

    rights = {"list": Permission.MODELS_READ}
    queryset = ListPrice.objects.all()
    serializer_class = ListPriceOut
    filterset_class = ListPriceFilter
    page_order = ("version",)

    def get_queryset(self) -> QuerySet[ListPrice]:
        return ListPrice.objects.all()


class PriceLoadOut(serializers.Serializer[PriceListLoad]):
    loaded_at = serializers.DateTimeField()
    loaded_by = serializers.CharField()
    added = serializers.ListField(child=serializers.CharField(), help_text="Versions that hold since.")
    superseded = serializers.ListField(child=serializers.CharField(), help_text="Versions that hold no longer.")
    total = serializers.IntegerField()


class PriceLoadsView(APIView):
    """Loads of the shipped list that changed something."""

    rights = {"get": Permission.MODELS_READ}

    @extend_schema(responses=PriceLoadOut(many=True), operation_id="price_loads_list")
    def get(self, request: Request) -> Response:
        """The newest twenty."""
        return Response([PriceLoadOut(load).data for load in price_loads()])
