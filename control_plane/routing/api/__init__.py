"""REST: the names clients may use, and the models behind them."""

from control_plane.routing.api.models import ModelViewSet
from control_plane.routing.api.virtual_models import VirtualModelViewSet

__all__ = ["ModelViewSet", "VirtualModelViewSet"]
