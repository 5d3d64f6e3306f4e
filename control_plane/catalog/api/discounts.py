"""REST: what contracts take off list prices."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.catalog.api.own_terms import OwnTermsView
from control_plane.catalog.api.prices import SLUG
from control_plane.catalog.models import Discount
from control_plane.catalog.price_row import DiscountDraft
from control_plane.catalog.selectors import discounts_standing
from control_plane.catalog.services import MOST_PER_MILLE, discount_end, discount_set
from control_plane.rest.fields import HexId


class DiscountOut(serializers.Serializer[Discount]):
    id = HexId()
    version = serializers.CharField(help_text="Stands on each exchange behind the list price's version and a |.")
    vendor = serializers.CharField(help_text="Empty: any vendor.")
    model_glob = serializers.CharField()
    per_mille = serializers.IntegerField(help_text="Of the list price that is paid: 850 is 15 % off.")
    valid_from = serializers.DateTimeField(allow_null=True, help_text="null: always.")
    valid_to = serializers.DateTimeField(allow_null=True, help_text="null: open.")
    source = serializers.CharField()  # type: ignore[assignment]  # a field named so
    set_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class DiscountIn(serializers.Serializer[Any]):
    vendor = serializers.RegexField(
        SLUG, max_length=40, required=False, allow_blank=True, default="", help_text="Empty: any vendor."
    )
    model_glob = serializers.CharField(max_length=200, required=False, default="*", help_text="* any text, ? one sign.")
    per_mille = serializers.IntegerField(min_value=0, max_value=MOST_PER_MILLE)
    valid_from = serializers.DateTimeField(required=False, allow_null=True, default=None)
    valid_to = serializers.DateTimeField(required=False, allow_null=True, default=None)
    source = serializers.CharField(  # type: ignore[assignment]  # a field named so
        max_length=300, required=False, allow_blank=True, default="", help_text="The contract it is from."
    )


class DiscountFilter(django_filters.FilterSet):
    vendor = django_filters.CharFilter()


class DiscountViewSet(OwnTermsView):
    """What is taken off the list now or later; an own price is taken as it stands."""

    queryset = Discount.objects.all()
    serializer_class = DiscountOut
    filterset_class = DiscountFilter

    def scoped(self) -> QuerySet[Discount]:
        return discounts_standing(self.caller.organization.id, timezone.now())

    @extend_schema(request=DiscountIn, responses={201: DiscountOut})
    def create(self, request: Request) -> Response:
        """Take something off from an instant on. One of the same reach and beginning is superseded by it."""
        given = self.read_input(DiscountIn)
        draft, caller = DiscountDraft(**given), self.caller
        return self.answer_made(lambda: discount_set(organization=caller.organization, draft=draft, actor=caller.actor))

    def remove(self, discount: Discount) -> None:
        """Let it hold no longer; what was used until now keeps its cost."""
        discount_end(discount=discount, actor=self.caller.actor)
