"""Good news on ordinary answers: what is spent of the tightest budget, in our header and in a client's own meter."""

from urllib.parse import quote

import msgspec

from data_plane.protocols.codec import RawHeaders
from data_plane.protocols.refusals import CODEX
from switchyard_contract.quantity import NanoUsd

BUDGET_HEADER = b"x-switchyard-budget"
_WINDOW_MINUTES = {
    "minute": 1,
    "hour": 60,
    "day": 24 * 60,
    "week": 7 * 24 * 60,
    "month": 30 * 24 * 60,
    "quarter": 91 * 24 * 60,
}
_SAFE = " !#$&'()*+,-./;<=>?@[]^_`{|}~"
"""What may stand in a name as it is: the colon ends it, quotes and percent signs are written as codes."""


class Gauge(msgspec.Struct, frozen=True):
    """One counter of a budget, as it stands."""

    budget_name: str
    posted: NanoUsd
    limit: NanoUsd
    period: str
    """minute, hour, day, week, month, quarter, lifetime, session."""
    resets_at_ms: int
    """Unix milliseconds; 0: never."""


def percent_spent(posted: NanoUsd, limit: NanoUsd) -> int:
    """Whole percent, rounded down, so that 100 means the limit is reached; of nothing at all everything is spent."""
    return posted * 100 // limit if limit > 0 else 100


def budget_header(gauge: Gauge) -> tuple[bytes, bytes]:
    """`x-switchyard-budget: <name>:<percent>`; a name of other letters is percent-encoded."""
    return BUDGET_HEADER, f"{quote(gauge.budget_name, _SAFE)}:{percent_spent(gauge.posted, gauge.limit)}".encode()


def native_meter(client_name: str, gauge: Gauge) -> RawHeaders:
    """The headers by which a client shows usage itself; none for clients without a meter.

    Codex reads them from any answer into `/status` and its status line. Not for answers whose provider sends its own
    (a ChatGPT subscription that is passed through): theirs come first.
    """
    if client_name != CODEX or gauge.limit <= 0:
        return ()
    percent = min(gauge.posted / gauge.limit * 100, 100.0)
    headers = [(b"x-codex-primary-used-percent", b"%.1f" % percent)]
    minutes = _WINDOW_MINUTES.get(gauge.period)
    if minutes is not None:
        headers.append((b"x-codex-primary-window-minutes", b"%d" % minutes))
    if gauge.resets_at_ms:
        headers.append((b"x-codex-primary-reset-at", b"%d" % -(-gauge.resets_at_ms // 1000)))
    return tuple(headers)
