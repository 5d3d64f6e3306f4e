"""Statements to read: of closed months as they were closed, of open ones as they stand."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Min

from control_plane.organizations.models import Organization
from control_plane.statements.accounts import (
    CorrectionLine,
    Lines,
    Statement,
    TeamAccount,
    UsageLine,
    by_cost_centre,
)
from control_plane.statements.models import ClosedAccount, ClosedCorrection, ClosedStatement, ClosedUsageLine
from control_plane.statements.reading import Teams, Window, read_accounts, read_corrections, read_lines, read_opening
from control_plane.usage.closing import month_after, month_of
from control_plane.usage.models import TeamDay


def months_of(organization: Organization, *, now: datetime) -> list[tuple[date, ClosedStatement | None]]:
    """Every month with usage, the newest first, with its closed statement where there is one."""
    first = TeamDay.objects.filter(organization_id=organization.id).aggregate(first=Min("day"))["first"]
    this = month_of(now.astimezone(UTC))
    closed = {each.month: each for each in ClosedStatement.objects.filter(organization_id=organization.id)}
    earliest = min(closed, default=this)
    month = min(month_of(first) if first is not None else this, earliest)
    found = []
    while month <= this:
        found.append((month, closed.get(month)))
        month = month_after(month)
    return found[::-1]


def statement_of(organization: Organization, month: date, teams: Collection[UUID] | None = None) -> Statement:
    """The statement of a month. teams: only these; None: all, and what is charged to none."""
    closed = _closed(organization.id, month)
    accounts = accounts_of(organization, month)
    wanted = accounts if teams is None else [account for account in accounts if account.team_id in teams]
    return Statement(
        month,
        by_cost_centre(wanted),
        closed.closed_at if closed is not None else None,
        closed.closed_by if closed is not None else "",
    )


def accounts_of(organization: Organization, month: date) -> list[TeamAccount]:
    """Every team's account: as it was closed, or as it stands."""
    closed = _closed(organization.id, month)
    if closed is not None:
        return _accounts_of(closed)
    return read_accounts(organization, month, opening_of(organization, month))


def lines_of(organization: Organization, month: date, teams: Teams = None) -> Lines:
    """What stands behind the accounts of some teams."""
    closed = _closed(organization.id, month)
    if closed is None:
        return read_lines(organization, Window.of_month(organization.id, month), teams)
    team_of = _teams_of(closed, teams)
    usage = [
        UsageLine(
            team_id=team_of[row.account_id],
            principal_id=row.principal_id,
            principal_kind=row.principal_kind,
            principal=row.principal,
            provider=row.provider,
            model=row.model,
            requests=row.requests,
            tokens_in=row.tokens_in,
            tokens_out=row.tokens_out,
            paid_nano_usd=row.paid_nano_usd,
            shadow_nano_usd=row.shadow_nano_usd,
        )
        for row in ClosedUsageLine.objects.filter(account__in=team_of).order_by("id")
    ]
    return Lines(tuple(usage), _corrections_of(team_of))


def corrections_of(organization: Organization, month: date, teams: Teams = None) -> tuple[CorrectionLine, ...]:
    """The dated lines alone; usage is many more."""
    closed = _closed(organization.id, month)
    if closed is None:
        return read_corrections(organization, Window.of_month(organization.id, month), teams)
    return _corrections_of(_teams_of(closed, teams))


def opening_of(organization: Organization, month: date) -> dict[UUID | None, int]:
    """By team, what the year came to before a month: what the month before closed with, if it is of the same year."""
    if month.month == 1:
        return {}
    closed = _closed(organization.id, date(month.year, month.month - 1, 1))
    if closed is None:
        return read_opening(organization.id, month)
    return {account.team_id: account.closing_nano_usd for account in _accounts_of(closed)}


def _closed(organization_id: UUID, month: date) -> ClosedStatement | None:
    return ClosedStatement.objects.filter(organization_id=organization_id, month=month).first()


def _teams_of(closed: ClosedStatement, teams: Teams) -> dict[UUID, UUID | None]:
    """The accounts that are wanted of a closed statement, with their teams."""
    pairs = ClosedAccount.objects.filter(statement=closed).values_list("id", "team_id")
    return {account_id: team_id for account_id, team_id in pairs if teams is None or team_id in teams}


def _corrections_of(team_of: Mapping[UUID, UUID | None]) -> tuple[CorrectionLine, ...]:
    return tuple(
        CorrectionLine(
            team_id=team_of[row.account_id],
            counted_on=row.counted_on,
            about_month=row.about_month,
            kind=row.kind,
            note=row.note,
            principal_id=row.principal_id,
            principal=row.principal,
            model=row.model,
            rows=row.rows,
            amount_nano_usd=row.amount_nano_usd,
        )
        for row in ClosedCorrection.objects.filter(account__in=team_of).order_by("id")
    )


def _accounts_of(closed: ClosedStatement) -> list[TeamAccount]:
    return [
        TeamAccount(
            team_id=row.team_id,
            team=row.team,
            cost_centre=row.cost_centre,
            opening_nano_usd=row.opening_nano_usd,
            used_nano_usd=row.used_nano_usd,
            corrected_nano_usd=row.corrected_nano_usd,
            shadow_nano_usd=row.shadow_nano_usd,
            requests=row.requests,
        )
        for row in ClosedAccount.objects.filter(statement=closed)
    ]
