"""What budgets have to say to a person: somebody asks for more, what became of one's own wish, a stage was reached."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q
from django.urls import reverse

from control_plane.accounts.models import User
from control_plane.alerts.models import StageCrossing
from control_plane.alerts.selectors import crossings_told_to
from control_plane.budgets.models import Budget, BudgetRequest, RequestState
from control_plane.organizations.roles import Permission, Reach, Standing, reach_of
from control_plane.web import numbers
from control_plane.web.notice import Notice

TOLD_FOR = timedelta(days=7)
MOST = 20
DECIDED = (RequestState.APPROVED, RequestState.DECLINED)


def requests_for_more(standing: Standing, now: datetime) -> Iterator[Notice]:
    """To those who decide: what waits for them. To whoever asked: what was decided lately."""
    concerns = Q(requester_id=standing.user_id, state__in=DECIDED, decided_at__gt=now - TOLD_FOR)
    match reach_of(standing, Permission.BUDGETS_MANAGE):
        case Reach.ALL:
            concerns |= Q(state=RequestState.PENDING)
        case Reach.TEAM:
            concerns |= Q(state=RequestState.PENDING, budget__team_id__in=standing.led_team_ids)
    rows = BudgetRequest.objects.filter(concerns, organization_id=standing.organization_id)
    for one in rows.select_related("budget", "requester", "granted").order_by("-created_at")[:MOST]:
        yield _asked(one) if one.state == RequestState.PENDING else _decided(one)


def stages_reached(standing: Standing, now: datetime) -> Iterator[Notice]:
    """Stages of budgets that this person was told of by mail."""
    email = User.objects.filter(id=standing.user_id).values_list("email", flat=True).first() or ""
    crossings = list(crossings_told_to(standing.organization_id, email, now=now)[:MOST])
    named = {crossing.budget_id for crossing in crossings}
    there = set(
        Budget.objects.filter(organization_id=standing.organization_id, id__in=named).values_list("id", flat=True)
    )
    for crossing in (each for each in crossings if each.budget_id in there):
        address = reverse("web:budget", args=[crossing.budget_id])
        whose = f"{crossing.counter_text}: " if crossing.counter_text else ""
        yield Notice(
            id=f"crossing:{crossing.id.hex}",
            tone="stopped" if crossing.action == "block" else "look",
            icon="wallet",
            title=_title(crossing),
            text=f"{whose}{numbers.money(crossing.posted_nano_usd)} of {numbers.money(crossing.limit_nano_usd)}",
            at=crossing.crossed_at,
            address=address,
            action="Look",
            action_address=address,
            opens_sheet=False,
        )


def _title(crossing: StageCrossing) -> str:
    if crossing.is_refusal:
        what = "what is asked for" if crossing.action == "block" else "a request"
        return f"{crossing.budget_name} has no room for {what} at {crossing.percent} %"
    if crossing.forecast is None:
        return f"{crossing.budget_name} is at {crossing.at_percent} %"
    around = crossing.forecast.get("day_words")
    return f"{crossing.budget_name} passes its limit {f'around {around}' if around else 'before it ends'} (P50)"


def _asked(one: BudgetRequest) -> Notice:
    address = reverse("web:budget-request-decide", args=[one.id])
    return Notice(
        id=f"budget-request:{one.id.hex}",
        tone="look",
        icon="hand-coins",
        title=f"{one.requester.display_name} asks for {numbers.money(one.amount_nano_usd)} more",
        text=f"{one.budget.name}: {one.reason}"[:140],
        at=one.created_at,
        address=address,
        action="Decide",
        action_address=address,
        opens_sheet=False,
    )


def _decided(one: BudgetRequest) -> Notice:
    is_granted = one.state == RequestState.APPROVED
    amount = one.granted.amount_nano_usd if one.granted is not None else one.amount_nano_usd
    said = "granted" if is_granted else "declined"
    address = reverse("web:budget-requests")
    assert one.decided_at is not None
    return Notice(
        id=f"budget-request:{one.id.hex}:{one.state}",
        tone="works" if is_granted else "look",
        icon="hand-coins",
        title=f"{numbers.money(amount)} more of {one.budget.name}: {said}",
        text=one.note or ("It ends by itself." if is_granted else "Nothing was said besides."),
        at=one.decided_at,
        address=address,
        action="See",
        action_address=address,
        opens_sheet=False,
    )
