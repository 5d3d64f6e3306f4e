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
    SeriesPage,
    SeriesQuery,
    StackPoint,
    UnknownGrouping,
    usage_page,
    usage_series,
    usage_stack,
    usage_total,
)
from control_plane.usage.selectors.sessions import (
    CurvePoint,
    SessionPage,
    SessionSearch,
    session_by_id,
    session_children,
    session_curve,
    sessions_page,
)
from control_plane.usage.selectors.standing import (
    InboxStanding,
    failed_authentications,
    inbox_standing,
    key_last_uses,
)

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
    "Scope",
    "SeriesPage",
    "SeriesQuery",
    "SessionPage",
    "SessionSearch",
    "StackPoint",
    "UnknownGrouping",
    "cost_explained",
    "exchange_by_id",
    "exchanges_page",
    "failed_authentications",
    "inbox_standing",
    "key_last_uses",
    "newest_exchange_of_key",
    "session_by_id",
    "session_children",
    "session_curve",
    "sessions_page",
    "usage_page",
    "usage_series",
    "usage_stack",
    "usage_total",
]
