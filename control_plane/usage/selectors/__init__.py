"""Questions about usage, for pages, the REST API and other apps. Each takes a Scope: no question without a tenant."""

from control_plane.usage.selectors.costs import CostExplanation, CostLine, cost_explained
from control_plane.usage.selectors.exchanges import (
    Exchange,
    ExchangePage,
    ExchangeSearch,
    exchange_by_id,
    exchanges_page,
    newest_exchange_of_key,
)
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import (
    GROUPINGS,
    Interval,
    Point,
    Position,
    SeriesPage,
    SeriesQuery,
    StackPoint,
    UnknownGrouping,
    latency_is_known,
    usage_check,
    usage_page,
    usage_points,
    usage_series,
    usage_stack,
    usage_total,
)
from control_plane.usage.selectors.sessions import (
    CurvePoint,
    session_by_id,
    session_children,
    session_curve,
)
from control_plane.usage.selectors.standing import (
    InboxStanding,
    failed_authentications,
    inbox_standing,
    key_last_uses,
)
from control_plane.usage.selectors.tags import TagBound, tag_bounds, tag_keys, tag_values

__all__ = [
    "GROUPINGS",
    "CostExplanation",
    "CostLine",
    "CurvePoint",
    "Exchange",
    "ExchangePage",
    "ExchangeSearch",
    "InboxStanding",
    "Interval",
    "Point",
    "Position",
    "Scope",
    "SeriesPage",
    "SeriesQuery",
    "StackPoint",
    "TagBound",
    "UnknownGrouping",
    "cost_explained",
    "exchange_by_id",
    "exchanges_page",
    "failed_authentications",
    "inbox_standing",
    "key_last_uses",
    "latency_is_known",
    "newest_exchange_of_key",
    "session_by_id",
    "session_children",
    "session_curve",
    "tag_bounds",
    "tag_keys",
    "tag_values",
    "usage_check",
    "usage_page",
    "usage_points",
    "usage_series",
    "usage_stack",
    "usage_total",
]
