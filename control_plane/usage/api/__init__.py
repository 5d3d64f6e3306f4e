"""REST: usage series, exchanges, corrections, conversation sessions."""

from control_plane.usage.api.adjustments import AdjustmentViewSet
from control_plane.usage.api.exchanges import ExchangeViewSet
from control_plane.usage.api.series import UsageView
from control_plane.usage.api.sessions import SessionViewSet

__all__ = ["AdjustmentViewSet", "ExchangeViewSet", "SessionViewSet", "UsageView"]
