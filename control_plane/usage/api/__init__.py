"""REST: usage series, exchanges, corrections."""

from control_plane.usage.api.adjustments import AdjustmentViewSet
from control_plane.usage.api.exchanges import ExchangeViewSet
from control_plane.usage.api.series import UsageView

__all__ = ["AdjustmentViewSet", "ExchangeViewSet", "UsageView"]
