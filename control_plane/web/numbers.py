"""How the console writes numbers: money, tokens, durations, sizes, shares. Pure."""

from datetime import datetime, timedelta

from switchyard_contract.quantity import NANO_PER_USD, NanoUsd, usd_text

_SMALLEST_SHOWN_NANO = 50_000  # half of $0.0001


def money(nano_usd: int) -> str:
    """$12.40; below a dollar four digits: $0.0157; less than a shown digit: <$0.0001."""
    sign, amount = ("-" if nano_usd < 0 else ""), abs(nano_usd)
    if amount == 0:
        return "$0.00"
    if amount < _SMALLEST_SHOWN_NANO:
        return f"{sign}<$0.0001"
    if amount < NANO_PER_USD - _SMALLEST_SHOWN_NANO:
        return f"{sign}${_scaled(amount, NANO_PER_USD, 4)}"
    return f"{sign}${_scaled(amount, NANO_PER_USD, 2)}"


def money_exact(nano_usd: int) -> str:
    """Full precision: $0.015734500."""
    text = usd_text(NanoUsd(abs(nano_usd)))
    whole, _, rest = text.partition(".")
    return f"{'-' if nano_usd < 0 else ''}${int(whole):,}.{rest}"


def rate(nano_usd_per_million: int) -> str:
    """Dollars per million tokens without trailing zeros beyond cents: $3.00, $0.075."""
    digits = money_exact(nano_usd_per_million).rstrip("0")
    whole, _, rest = digits.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}"


def compact(count: int) -> str:
    """812; 45.3 k; 1.24 M; 3.10 G."""
    sign, amount = ("-" if count < 0 else ""), abs(count)
    if amount < 1000:
        return f"{sign}{amount}"
    for limit, unit, word in ((999_950, 1_000, "k"), (999_995_000, 1_000_000, "M"), (None, 1_000_000_000, "G")):
        if limit is None or amount < limit:
            scaled = amount / unit
            return f"{sign}{scaled:.1f} {word}" if word == "k" else f"{sign}{scaled:.2f} {word}"
    raise AssertionError("unreachable")


def duration(microseconds: int | None) -> str:
    """840 µs; 12.4 ms; 840 ms; 3.2 s; 4 min 05 s. None: a dash."""
    if microseconds is None:
        return "–"
    if microseconds < 1000:
        return f"{microseconds} µs"
    milliseconds = microseconds / 1000
    if milliseconds < 100:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def wait(milliseconds: int) -> str:
    """How long something is waited for, as it was set: 250 ms; 5 s; 1.5 s; 10 min."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds % 60_000 == 0:
        return f"{milliseconds // 60_000} min"
    return f"{milliseconds / 1000:g} s"


def size(count: int) -> str:
    """912 B; 4.2 KB; 1.3 MB (powers of 1024)."""
    if count < 1024:
        return f"{count} B"
    if count < 1024 * 1000:
        return f"{count / 1024:.1f} KB"
    return f"{count / 1024 / 1024:.1f} MB"


def share(part: int, whole: int) -> str:
    """42 %; below one per cent one digit, and so for what is nearly all; of nothing a dash."""
    if whole <= 0:
        return "–"
    value = 100 * part / whole
    if 99.5 <= value < 100:
        # The rest is told beside it, and 100 and 0.2 are more than all.
        return f"{1000 * part // whole / 10:.1f} %"
    return f"{value:.0f} %" if value >= 1 or value == 0 else f"{value:.1f} %"


def change(now: int, before: int) -> str:
    """+18 %, −3 %. Of nothing before: "new"."""
    if before == 0:
        return "new" if now else "unchanged"
    value = round(100 * (now - before) / before)
    if value == 0:
        return "unchanged"
    return f"{'+' if value > 0 else '−'}{abs(value):,} %"


def ago(then: datetime, now: datetime) -> str:
    """just now; 4 min ago; 3 h ago; 12 days ago; in 5 days. Beyond a year: years."""
    gap = now - then
    future, gap = gap < timedelta(0), abs(gap)
    seconds = int(gap.total_seconds())
    if seconds < 10:
        return "just now"
    if seconds < 90:
        text = f"{seconds} s"
    elif seconds < 90 * 60:
        text = f"{round(seconds / 60)} min"
    elif seconds < 36 * 3600:
        text = f"{round(seconds / 3600)} h"
    elif seconds < 730 * 24 * 3600:
        text = f"{round(seconds / 86400)} days"
    else:
        text = f"{round(seconds / 86400 / 365)} years"
    return f"in {text}" if future else f"{text} ago"


def _scaled(amount: int, unit: int, digits: int) -> str:
    """amount / unit with so many digits, rounded half up, thousands separated; integers only."""
    scale = 10**digits
    rounded = (amount * scale + unit // 2) // unit
    whole, rest = divmod(rounded, scale)
    return f"{whole:,}.{rest:0{digits}d}"
