"""REST: usage series, exchanges, corrections, completeness."""

from control_plane.usage.api.adjustments import AdjustmentViewSet
from control_plane.usage.api.completeness import (
    CompletenessView,
    MissingEventsViewSet,
    OrphanViewSet,
    QuarantinedEventViewSet,
)
from control_plane.usage.api.exchanges import ExchangeViewSet
from control_plane.usage.api.pseudonyms import PseudonymViewSet
from control_plane.usage.api.repricings import RepricingViewSet, UnpricedModelsView
from control_plane.usage.api.series import UsageView

__all__ = [
    "AdjustmentViewSet",
    "CompletenessView",
    "ExchangeViewSet",
    "MissingEventsViewSet",
    "OrphanViewSet",
    "PseudonymViewSet",
    "QuarantinedEventViewSet",
    "RepricingViewSet",
    "UnpricedModelsView",
    "UsageView",
]
