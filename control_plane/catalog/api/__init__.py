"""REST: prices of an organization's own, discounts, what happens without a price, and the list with its history."""

from control_plane.catalog.api.discounts import DiscountViewSet
from control_plane.catalog.api.list_prices import ListPriceViewSet, PriceLoadsView
from control_plane.catalog.api.prices import PriceViewSet
from control_plane.catalog.api.pricing_policy import PricingPolicyView

__all__ = ["DiscountViewSet", "ListPriceViewSet", "PriceLoadsView", "PriceViewSet", "PricingPolicyView"]
