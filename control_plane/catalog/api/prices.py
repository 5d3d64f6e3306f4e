"""REST: what an organization pays by contract; wins over the list prices."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.catalog.api.own_terms import OwnTermsView
from control_plane.catalog.models import OrganizationPrice
from control_plane.catalog.price_row import MAX_RATE_NANO_USD, RATE_NAMES, PriceBand, PriceDraft, PriceTier
from control_plane.catalog.selectors import prices_standing
from control_plane.catalog.services import organization_price_end, organization_price_set
from control_plane.rest.fields import HexId
from switchyard_contract.usage import PIECE_UNITS

SLUG = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class OwnRates(serializers.Serializer[Any]):
    """Nano-USD per million tokens ($3 is 3000000000); left out: the fallback of the price's rules."""

    def get_fields(self) -> dict[str, Any]:
        return {
            name: serializers.IntegerField(min_value=0, max_value=MAX_RATE_NANO_USD, required=False)
            for name in RATE_NAMES
        }


class FullRates(OwnRates):
    """Nano-USD per million tokens ($3 is 3000000000). `input` and `output` must be there."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in ("input", "output"):
            fields[name].required = True
        return fields


class OwnBand(serializers.Serializer[Any]):
    from_prompt_tokens = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    rates = OwnRates()


class OwnTier(serializers.Serializer[Any]):
    tier = serializers.CharField(max_length=40)
    per_mille = serializers.IntegerField(min_value=0, max_value=100_000, required=False, default=1000)
    rates = OwnRates(required=False)


class OwnPriceOut(serializers.Serializer[OrganizationPrice]):
    id = HexId()
    version = serializers.CharField(help_text="Stands on each exchange as price_version.")
    vendor = serializers.CharField(help_text="Empty: any vendor.")
    model = serializers.CharField()
    rates = OwnRates()
    bands = OwnBand(many=True)
    tiers = OwnTier(many=True)
    per_web_search_nano_usd = serializers.IntegerField()
    unit_nano_usd = serializers.DictField(child=serializers.IntegerField(), help_text="Fees by the piece.")
    us_geo_per_mille = serializers.IntegerField(help_text="1100: 10 % more for inference in the US; 0: no uplift.")
    valid_from = serializers.DateTimeField(allow_null=True, help_text="null: always.")
    valid_to = serializers.DateTimeField(allow_null=True, help_text="null: open.")
    source = serializers.CharField()  # type: ignore[assignment]  # a field named so
    checked_on = serializers.DateField(allow_null=True, help_text="When the source was last looked at.")
    set_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class OwnPriceIn(serializers.Serializer[Any]):
    vendor = serializers.RegexField(
        SLUG, max_length=40, required=False, allow_blank=True, default="", help_text="Empty: any vendor."
    )
    model = serializers.CharField(max_length=200)
    rates = FullRates()
    bands = OwnBand(many=True, required=False, default=list)
    tiers = OwnTier(many=True, required=False, default=list)
    per_web_search_nano_usd = serializers.IntegerField(min_value=0, max_value=10**12, required=False, default=0)
    us_geo_per_mille = serializers.IntegerField(min_value=0, max_value=100_000, required=False, default=0)
    unit_nano_usd = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=10**15),
        required=False,
        default=dict,
        help_text=f"Fees by the piece: {', '.join(PIECE_UNITS)}.",
    )
    valid_from = serializers.DateTimeField(required=False, allow_null=True, default=None)
    valid_to = serializers.DateTimeField(required=False, allow_null=True, default=None)
    checked_on = serializers.DateField(required=False, allow_null=True, default=None)
    source = serializers.CharField(  # type: ignore[assignment]  # a field named so
        max_length=300, required=False, allow_blank=True, default="", help_text="The contract or offer it is from."
    )

    def validate_bands(self, bands: list[dict[str, Any]]) -> list[dict[str, Any]]:
        starts = [band["from_prompt_tokens"] for band in bands]
        if starts != sorted(set(starts)):
            raise serializers.ValidationError("Each band begins at more tokens than the one before.")
        return bands

    def validate_unit_nano_usd(self, fees: dict[str, int]) -> dict[str, int]:
        if set(fees) - set(PIECE_UNITS):
            raise serializers.ValidationError(f"Known pieces: {', '.join(PIECE_UNITS)}.")
        return fees

    def validate_tiers(self, tiers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({tier["tier"] for tier in tiers}) < len(tiers):
            raise serializers.ValidationError("Each tier once.")
        return tiers

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["valid_from"] and attrs["valid_to"] and attrs["valid_to"] <= attrs["valid_from"]:
            raise serializers.ValidationError({"valid_to": "It ends before it begins."})
        return attrs


class OwnPriceFilter(django_filters.FilterSet):
    vendor = django_filters.CharFilter()
    model = django_filters.CharFilter()


class PriceViewSet(OwnTermsView):
    """Prices of the organization's own that hold now or later. GET /models says which is in force."""

    queryset = OrganizationPrice.objects.all()
    serializer_class = OwnPriceOut
    filterset_class = OwnPriceFilter

    def scoped(self) -> QuerySet[OrganizationPrice]:
        return prices_standing(self.caller.organization.id, timezone.now())

    @extend_schema(request=OwnPriceIn, responses={201: OwnPriceOut})
    def create(self, request: Request) -> Response:
        """Set what is paid from an instant on. A price of the same model and beginning is superseded by it."""
        given = self.read_input(OwnPriceIn)
        draft, caller = _draft(given), self.caller
        return self.answer_made(
            lambda: organization_price_set(organization=caller.organization, draft=draft, actor=caller.actor)
        )

    def remove(self, price: OrganizationPrice) -> None:
        """Let it hold no longer; what was used until now keeps its cost, and from now on the list counts."""
        organization_price_end(price=price, actor=self.caller.actor)


def _draft(given: dict[str, Any]) -> PriceDraft:
    return PriceDraft(
        **{
            **given,
            "bands": tuple(PriceBand(**band) for band in given["bands"]),
            "tiers": tuple(PriceTier(**tier) for tier in given["tiers"]),
        }
    )
