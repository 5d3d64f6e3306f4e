"""Makes forecasts, scores those whose period is over, finds unusual spend, and forgets what is old."""

from control_plane.forecasts.services.making import forecasts_make
from control_plane.forecasts.services.mutes import mute_lift, mute_set
from control_plane.forecasts.services.scoring import forecasts_forget, forecasts_score
from control_plane.forecasts.services.unusual import unusual_decide, unusual_find

__all__ = [
    "forecasts_forget",
    "forecasts_make",
    "forecasts_score",
    "mute_lift",
    "mute_set",
    "unusual_decide",
    "unusual_find",
]
