"""REST: the known models that the organization's providers serve, with the price in force."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.catalog.models import KnownModel
from control_plane.catalog.price_row import RATE_NAMES
from control_plane.catalog.selectors import known_models, prices_in_force
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import active_providers, is_served_by
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.pagination import cursor_of, limit_of, next_link
from switchyard_contract.pricing import Price, Rates


@dataclass(frozen=True, slots=True)
class ServedModel:
    provider: Provider
    known: KnownModel

    @property
    def id(self) -> str:
        return f"{self.provider.name}/{self.known.model}"


class RatesOut(serializers.Serializer[Any]):
    """Nano-USD per million tokens; null: the fallback of the price's rules."""

    input = serializers.IntegerField()
    cache_read = serializers.IntegerField(allow_null=True)
    cache_write_5m = serializers.IntegerField(allow_null=True)
    cache_write_1h = serializers.IntegerField(allow_null=True)
    cache_write_30m = serializers.IntegerField(allow_null=True)
    cache_write_12h = serializers.IntegerField(allow_null=True)
    output = serializers.IntegerField()
    reasoning = serializers.IntegerField(allow_null=True)
    input_tool = serializers.IntegerField(allow_null=True)
    input_audio = serializers.IntegerField(allow_null=True)
    cache_read_audio = serializers.IntegerField(allow_null=True)
    output_audio = serializers.IntegerField(allow_null=True)
    input_image = serializers.IntegerField(allow_null=True)
    output_image = serializers.IntegerField(allow_null=True)


class BandOut(serializers.Serializer[Any]):
    from_prompt_tokens = serializers.IntegerField()
    rates = RatesOut()


class PriceOut(serializers.Serializer[Any]):
    version = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field named so
    is_override = serializers.BooleanField(help_text="The organization's own price.")
    rates = RatesOut()
    bands = BandOut(many=True)
    per_web_search_nano_usd = serializers.IntegerField()
    unit_nano_usd = serializers.DictField(child=serializers.IntegerField(), help_text="Fees by the piece.")


class ModelOut(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="<provider>/<model as the vendor names it>")
    provider = serializers.CharField()
    vendor = serializers.CharField()
    model = serializers.CharField()
    display_name = serializers.CharField()
    context_tokens = serializers.IntegerField(help_text="0: unknown.")
    max_output_tokens = serializers.IntegerField(help_text="0: unknown.")
    price = PriceOut(allow_null=True, help_text="null: unpriced.")


@extend_schema_serializer(many=False)
class ModelPageOut(serializers.Serializer[Any]):
    results = ModelOut(many=True)
    next = serializers.URLField(allow_null=True)


class ModelViewSet(viewsets.GenericViewSet[Any]):
    """Models of the organization's providers in use. Members may read them."""

    rights = {"list": Permission.MODELS_READ, "retrieve": Permission.MODELS_READ}
    serializer_class = ModelOut
    filter_backends = ()
    pagination_class = None
    lookup_value_regex = ".+?"

    @extend_schema(
        parameters=[
            OpenApiParameter(name, str, OpenApiParameter.QUERY)
            for name in ("provider", "vendor", "search", "limit", "cursor")
        ],
        responses=ModelPageOut,
    )
    def list(self, request: Request) -> Response:
        after, limit = cursor_of(request), limit_of(request)
        found = [served for served in self._served(request) if served.id > after]
        shown = found[:limit]
        return Response(
            {
                "results": self._written(request, shown),
                "next": next_link(request, shown[-1].id if len(found) > limit else ""),
            }
        )

    @extend_schema(responses=ModelOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        for served in self._served(request):
            if served.id == pk:
                return Response(self._written(request, [served])[0])
        raise Http404

    def _served(self, request: Request) -> Sequence[ServedModel]:
        """By id; one query for providers, one for models."""
        providers = active_providers(caller_of(request).organization_id)
        known = known_models()
        if name := request.query_params.get("provider", ""):
            providers = providers.filter(name=name)
        if vendor := request.query_params.get("vendor", ""):
            providers = providers.filter(vendor=vendor)
        if text := request.query_params.get("search", ""):
            known = known.filter(model__icontains=text)
        by_vendor: dict[str, list[KnownModel]] = {}
        for model in known:
            by_vendor.setdefault(model.vendor, []).append(model)
        found = [
            ServedModel(provider, model)
            for provider in providers
            for model in by_vendor.get(provider.vendor, [])
            if is_served_by(provider, model.model)
        ]
        return sorted(found, key=lambda served: served.id)

    def _written(self, request: Request, served: Iterable[ServedModel]) -> Sequence[dict[str, Any]]:
        shown = list(served)
        wanted = [(one.provider.vendor, one.known.model) for one in shown]
        prices = prices_in_force(caller_of(request).organization_id, wanted, timezone.now())
        return [_model_out(one, prices.get((one.provider.vendor, one.known.model))) for one in shown]


def _model_out(served: ServedModel, price: Price | None) -> dict[str, Any]:
    known = served.known
    return {
        "id": served.id,
        "provider": served.provider.name,
        "vendor": served.provider.vendor,
        "model": known.model,
        "display_name": known.display_name or known.model,
        "context_tokens": known.context_tokens,
        "max_output_tokens": known.max_output_tokens,
        "price": None if price is None else _price_out(price),
    }


def _price_out(price: Price) -> dict[str, Any]:
    return {
        "version": price.id,
        "source": price.source,
        "is_override": price.is_override,
        "rates": _rates_out(price.rates),
        "bands": [
            {"from_prompt_tokens": band.from_prompt_tokens, "rates": _rates_out(band.rates)} for band in price.bands
        ],
        "per_web_search_nano_usd": price.per_web_search,
        "unit_nano_usd": dict(price.unit_nano_usd),
    }


def _rates_out(rates: Rates) -> dict[str, Any]:
    return {name: getattr(rates, name) for name in RATE_NAMES}
