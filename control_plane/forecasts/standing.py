"""From a series and what was really posted to a forecast of one period. Pure."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from control_plane.forecasts.bootstrap import NoOutlook, Outlook, outlook
from control_plane.forecasts.burn_down import Curve, Heading, Spent
from control_plane.forecasts.models import WhyNone
from control_plane.forecasts.series import History
from control_plane.rules.periods import Span, midnight

AHEAD_DAYS = 90
"""So far ahead a budget without an end is looked at."""
BACK_DAYS = 28
"""So far back it is shown."""
LEAST_SHOWN_DAYS = 14
MOST_SCALE = 1.5
LEAST_SCALE = 0.001


@dataclass(frozen=True, slots=True)
class Question:
    """One counter in its present period. posted: what the books say, which a series only stands for.

    counts_since: the day from which on the books count (a budget may be younger than its period). compared: what was
    posted, and what the series says, over all days that both know; None: too few days for a comparison.
    """

    history: History
    span: Span
    zone: ZoneInfo
    now: datetime
    posted: int
    counts_since: date
    limit: int | None = None
    compared: tuple[int, int] | None = None
    is_by_day: bool = True

    @property
    def today(self) -> date:
        return self.history.today


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of it. quantiles: of the period's end; None: there is no band. spent_at: when the limit is reached
    in 10, 50 and 90 of a hundred courses."""

    curve: Curve
    quantiles: tuple[int, int, int] | None = None
    why_none: WhyNone | None = None
    days_needed: int = 0
    over_percent: int | None = None
    spent_at: tuple[datetime | None, datetime | None, datetime | None] = field(default=(None, None, None))


def answer(question: Question) -> Answer:
    """Forecast one counter."""
    spent = spent_curve(question)
    if not question.is_by_day:
        return Answer(Curve(spent), why_none=WhyNone.NOT_BY_DAY)
    ahead = days_ahead(question)
    room = None if question.limit is None else question.limit - question.posted
    found = outlook(question.history, ahead, scale=scale_of(question), room=room)
    if isinstance(found, NoOutlook):
        return Answer(Curve(spent), why_none=WhyNone(found.why.value), days_needed=found.days_needed)
    curve = Curve(spent, _heading(question, found))
    over = None if room is None else round(100 * found.share_above(room))
    spent_at = (None, None, None) if room is None else tuple(_when(question, found, room, p) for p in (10, 50, 90))
    if question.span.end is None:
        return Answer(curve, why_none=WhyNone.ENDLESS, over_percent=over, spent_at=spent_at)  # type: ignore[arg-type]  # of three
    end = found.end
    quantiles = (question.posted + end.p10, question.posted + end.p50, question.posted + end.p90)
    return Answer(curve, quantiles, over_percent=over, spent_at=spent_at)  # type: ignore[arg-type]  # of three


def days_ahead(question: Question) -> int:
    """Whole days after today that the period still has."""
    if question.span.end is None:
        return AHEAD_DAYS
    last = (question.span.end - timedelta(microseconds=1)).astimezone(question.zone).date()
    return max(0, (last - question.today).days)


def scale_of(question: Question) -> float:
    """What the series is multiplied with to be the counter's: a condition may ask for what roll-ups do not know."""
    if question.compared is None:
        return 1.0
    posted, series = question.compared
    return max(LEAST_SCALE, min(MOST_SCALE, posted / series)) if series > 0 and posted > 0 else 1.0


def spent_curve(question: Question) -> tuple[Spent, ...]:
    """What was posted so far, spread over the days as the series is; the last point is now."""
    days = {
        question.today.toordinal() - len(question.history.days) + place: day.nano_usd
        for place, day in enumerate(question.history.days)
    }
    days[question.today.toordinal()] = question.history.today_nano_usd
    first = _first_shown(question)
    places = range(first.toordinal(), question.today.toordinal() + 1)
    since = question.counts_since.toordinal()
    amounts = [days.get(place, 0) if place >= since else 0 for place in places]
    whole, posted, base = sum(amounts), question.posted, 0
    start = midnight(first, question.zone)
    if question.span.end is None:
        shown = min(posted, round(whole * scale_of(question)))
        base, posted = posted - shown, shown
    if not whole:
        return (Spent(start, base), Spent(question.now, base + posted))
    sums = [base + posted * amount // whole for amount in accumulate(amounts)]
    at = [*(midnight(date.fromordinal(place + 1), question.zone) for place in places[:-1]), question.now]
    return (Spent(start, base), *(Spent(*point) for point in zip(at, sums, strict=True)))


def _first_shown(question: Question) -> date:
    if question.span.end is None:
        return max(question.counts_since, question.today - timedelta(days=BACK_DAYS))
    return question.span.start.astimezone(question.zone).date()


def _heading(question: Question, found: Outlook) -> tuple[Heading, ...]:
    posted = question.posted
    points = [Heading(question.now, posted, posted, posted)]
    for ahead, one in enumerate(found.by_day):
        at = midnight(question.today + timedelta(days=ahead + 1), question.zone)
        if question.span.end is not None:
            at = min(at, question.span.end)
        points.append(Heading(at, posted + one.p10, posted + one.p50, posted + one.p90))
    return _cut(tuple(points), question) if question.span.end is None else tuple(points)


def _cut(points: tuple[Heading, ...], question: Question) -> tuple[Heading, ...]:
    """Without an end of its own a picture ends some days after the limit is surely reached."""
    if question.limit is None:
        return points
    reached = next((place for place, one in enumerate(points) if one.p10 >= question.limit), len(points))
    return points[: max(LEAST_SHOWN_DAYS, reached + LEAST_SHOWN_DAYS // 2)]


def _when(question: Question, found: Outlook, room: int, percent: int) -> datetime | None:
    """The last instant of the day on which the limit is reached."""
    if room <= 0:
        return question.now
    day = found.reached_day(percent)
    if day is None:
        return None
    return midnight(question.today + timedelta(days=day + 1), question.zone) - timedelta(seconds=1)
