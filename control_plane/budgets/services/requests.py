"""Ask for more of a budget, and decide about it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, Subject, record_change
from control_plane.budgets.counters import is_open_to_anybody, parts_of, wrong_with_counter
from control_plane.budgets.models import Budget, BudgetRequest, RequestState
from control_plane.budgets.services.raises import budget_raise_add
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, ServiceAccount, Team, TeamMembership
from control_plane.organizations.roles import Permission, Standing, holders_of
from control_plane.rules.models import Mode
from control_plane.rules.problems import Problems
from control_plane.rules.reading import HIGHEST_USD, LEAST_NANO_USD, usd
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd


class AlreadyDecided(ValidationError):
    """Somebody was faster."""

    is_conflict = True


class AskedAlready(ValidationError):
    """The same person asked for the same counter, and nobody has decided yet."""

    is_conflict = True


@transaction.atomic
def budget_request_make(
    *,
    budget: Budget,
    requester: User,
    amount: NanoUsd,
    reason: str,
    actor: Actor,
    counter: str = "",
    decision_id: str = "",
) -> BudgetRequest:
    """Ask for more of a counter that counts what this person spends. decision_id: the refusal that it came from.

    Raises ValidationError.
    """
    problems = Problems()
    if not LEAST_NANO_USD <= amount <= HIGHEST_USD * NANO_PER_USD:
        problems.add("amount_usd", f"{usd(amount)} is no amount to ask for. Right: above 0, at most {HIGHEST_USD:,}.")
    if not 3 <= len(reason.strip()) <= 500:
        problems.add("reason", "Say in 3 to 500 characters what it is for: whoever decides reads it.")
    if len(decision_id) > 40 or not decision_id.isprintable():
        problems.add("decision_id", "At most 40 characters, as the refusal names it.")
    if budget.mode == Mode.OFF:
        problems.add("budget", f"{budget.name} is switched off; it stops nobody.")
    if why := wrong_with_counter(budget.per, counter) or _not_of(budget, requester, counter):
        problems.add("counter", why)
    problems.raise_any()
    # The budget's row is the lock: two at once cannot both be the first.
    Budget.objects.select_for_update(no_key=True).get(id=budget.id)
    waiting = BudgetRequest.objects.filter(
        budget=budget, counter=counter, requester=requester, state=RequestState.PENDING
    )
    if waiting.exists():
        raise AskedAlready({"counter": ["You asked for this already, and nobody has decided yet."]})
    made = BudgetRequest.objects.create(
        organization=budget.organization,
        budget=budget,
        counter=counter,
        requester=requester,
        amount_nano_usd=amount,
        reason=reason.strip(),
        decision_id=decision_id,
    )
    _record(made, actor, "budget_request.made", before=None)
    return made


@transaction.atomic
def budget_request_approve(
    *,
    request: BudgetRequest,
    approver: User,
    standing: Standing,
    actor: Actor,
    amount: NanoUsd | None = None,
    until_at: datetime | None = None,
    note: str = "",
) -> BudgetRequest:
    """Grant a request, or another amount: makes a raise of the counter. until_at None: the end of the period.

    Nobody grants their own wish, unless nobody else could. Raises ValidationError.
    """
    request = _open(request)
    if request.requester_id == approver.id and _others_decide(request, approver):
        raise ValidationError({"": ["Somebody else has to decide about what you asked for yourself."]})
    _check_note(note)
    made = budget_raise_add(
        budget=request.budget,
        amount=NanoUsd(request.amount_nano_usd) if amount is None else amount,
        counter=request.counter,
        until_at=until_at,
        standing=standing,
        actor=actor,
        reason=f"{request.requester.email}: {request.reason}",
    )
    request.granted = made
    return _decide(request, RequestState.APPROVED, approver, note, actor)


@transaction.atomic
def budget_request_decline(*, request: BudgetRequest, decider: User, actor: Actor, note: str = "") -> BudgetRequest:
    """Say no. Raises ValidationError when it was decided already."""
    request = _open(request)
    _check_note(note)
    return _decide(request, RequestState.DECLINED, decider, note, actor)


@transaction.atomic
def budget_request_withdraw(*, request: BudgetRequest, requester: User, actor: Actor) -> BudgetRequest:
    """Take one's own request back. Raises ValidationError when it was decided already."""
    request = _open(request)
    if request.requester_id != requester.id:
        raise ValidationError({"": ["Only whoever asked takes it back; decline it instead."]})
    return _decide(request, RequestState.WITHDRAWN, requester, "", actor)


def _open(request: BudgetRequest) -> BudgetRequest:
    request = (
        BudgetRequest.objects.select_for_update(of=("self",))
        .select_related("budget__organization", "budget__team", "requester", "organization")
        .get(id=request.id, organization_id=request.organization_id)
    )
    if request.state != RequestState.PENDING:
        raise AlreadyDecided({"": [f"It was {request.get_state_display()} already."]})
    return request


def _decide(request: BudgetRequest, state: RequestState, decider: User, note: str, actor: Actor) -> BudgetRequest:
    before = _facts(request)
    request.state, request.decided_by, request.decided_at = state, decider, timezone.now()
    request.note = note.strip()
    request.save()
    _record(request, actor, f"budget_request.{state.value}", before=before)
    return request


def _others_decide(request: BudgetRequest, person: User) -> bool:
    """Whether anybody else has the right over this budget."""
    roles = holders_of(Permission.BUDGETS_MANAGE)
    others = Membership.objects.filter(
        organization_id=request.organization_id, role__in=roles, user__is_active=True
    ).exclude(user=person)
    return others.exists()


def _check_note(note: str) -> None:
    if len(note.strip()) > 500:
        raise ValidationError({"note": ["At most 500 characters."]})


def _not_of(budget: Budget, person: User, counter: str) -> str:
    """Why a counter counts nothing that this person spends; empty: it may."""
    for kind, value in parts_of(budget.per, counter).items():
        if is_open_to_anybody(kind):
            continue
        if not _is_of(budget.organization_id, person, kind, value):
            return f"This counter is of another {kind.replace('_', ' ')}. Ask for one that counts what you spend."
    return ""


def _is_of(organization_id: UUID, person: User, kind: str, value: str) -> bool:
    keys = VirtualKey.objects.filter(organization_id=organization_id)
    accounts = ServiceAccount.objects.filter(
        organization_id=organization_id, team__in=_teams_of(organization_id, person)
    )
    match kind:
        case "user":
            return value == person.id.hex
        case "principal":
            return value == person.id.hex or accounts.filter(id=value).exists()
        case "service_account":
            return accounts.filter(id=value).exists()
        case "team":
            is_charged = keys.filter(user=person, team_id=value).exists()
            return is_charged or Team.objects.filter(id=value, id__in=_teams_of(organization_id, person)).exists()
        case "key":
            own = keys.filter(key_id=value)
            return own.filter(user=person).exists() or own.filter(service_account__in=accounts).exists()
        case _:
            return False


def _teams_of(organization_id: UUID, person: User) -> list[UUID]:
    """Teams that a person is in or leads."""
    joined = TeamMembership.objects.filter(organization_id=organization_id, user=person).values_list(
        "team_id", flat=True
    )
    led = Team.objects.filter(organization_id=organization_id, lead=person).values_list("id", flat=True)
    return [*joined, *led]


def _facts(request: BudgetRequest) -> dict[str, Any]:
    return {
        "budget": request.budget.name,
        "counter": request.counter,
        "requester": request.requester.email,
        "amount_usd": usd(NanoUsd(request.amount_nano_usd)),
        "reason": request.reason,
        "state": str(request.state),
        "note": request.note,
    }


def _record(request: BudgetRequest, actor: Actor, action: str, *, before: dict[str, Any] | None) -> None:
    record_change(
        organization_id=request.organization_id,
        actor=actor,
        action=action,
        subject=Subject("budget_request", request.id.hex, f"{request.requester.email}: {request.budget.name}"),
        before=before,
        after=_facts(request),
    )
