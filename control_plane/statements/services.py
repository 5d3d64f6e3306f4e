"""Close a month: its statement is written down with the names and cost centres of this moment, and stays."""

from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from control_plane.audit.services import Actor
from control_plane.organizations.models import Organization
from control_plane.statements.accounts import Lines, TeamAccount
from control_plane.statements.models import ClosedAccount, ClosedCorrection, ClosedStatement, ClosedUsageLine
from control_plane.statements.reading import Window, read_accounts, read_lines
from control_plane.statements.selectors import opening_of
from control_plane.usage.closing import month_close, month_of

_AT_ONCE = 2000


@transaction.atomic
def statement_close(
    *, organization: Organization, month: date, actor: Actor, now: datetime | None = None
) -> ClosedStatement:
    """Close a month and keep its statement; one that is closed stays as it was. month: any day of it.

    Raises usage.closing's MonthNotOver and EarlierMonthOpen.
    """
    now = now or timezone.now()
    month = month_of(month)
    # From here on nobody books for this month: the ledger's lock is held until the statement is written.
    closed = month_close(organization=organization, month=month, actor=actor, now=now)
    kept = ClosedStatement.objects.filter(organization_id=organization.id, month=month).first()
    if kept is not None:
        return kept
    accounts = read_accounts(organization, month, opening_of(organization, month))
    kept = ClosedStatement.objects.create(
        organization_id=organization.id, month=month, closed_at=closed.closed_at, closed_by=closed.closed_by
    )
    _keep(kept, accounts, read_lines(organization, Window.of_month(organization.id, month)))
    return kept


def _keep(kept: ClosedStatement, accounts: list[TeamAccount], lines: Lines) -> None:
    rows = ClosedAccount.objects.bulk_create(
        [
            ClosedAccount(
                statement=kept,
                team_id=account.team_id,
                team=account.team,
                cost_centre=account.cost_centre,
                opening_nano_usd=account.opening_nano_usd,
                used_nano_usd=account.used_nano_usd,
                corrected_nano_usd=account.corrected_nano_usd,
                shadow_nano_usd=account.shadow_nano_usd,
                requests=account.requests,
            )
            for account in accounts
        ]
    )
    account_of = {row.team_id: row for row in rows}
    ClosedUsageLine.objects.bulk_create(
        (
            ClosedUsageLine(
                account=account_of[line.team_id],
                principal_id=line.principal_id,
                principal_kind=line.principal_kind,
                principal=line.principal[:254],
                provider=line.provider,
                model=line.model,
                requests=line.requests,
                tokens_in=line.tokens_in,
                tokens_out=line.tokens_out,
                paid_nano_usd=line.paid_nano_usd,
                shadow_nano_usd=line.shadow_nano_usd,
            )
            for line in lines.usage
        ),
        batch_size=_AT_ONCE,
    )
    ClosedCorrection.objects.bulk_create(
        (
            ClosedCorrection(
                account=account_of[line.team_id],
                counted_on=line.counted_on,
                about_month=line.about_month,
                kind=line.kind,
                note=line.note,
                principal_id=line.principal_id,
                principal=line.principal[:254],
                model=line.model,
                rows=line.rows,
                amount_nano_usd=line.amount_nano_usd,
            )
            for line in lines.corrections
        ),
        batch_size=_AT_ONCE,
    )
