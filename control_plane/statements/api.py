"""REST: monthly statements per cost centre, closing a month, and the month in FOCUS columns."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.rest.caller import caller_of
from control_plane.rest.fields import HexId, money
from control_plane.rest.idempotency import once
from control_plane.rest.reasons import require_reason
from control_plane.rest.renderers import CsvRenderer
from control_plane.statements.accounts import CorrectionLine, Statement, TeamAccount, UsageLine
from control_plane.statements.focus import COLUMNS, focus_rows
from control_plane.statements.selectors import lines_of, months_of, statement_of
from control_plane.statements.services import statement_close
from control_plane.usage.api.streams import csv_answer
from control_plane.usage.closing import ClosingFailure

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
CENTRE = OpenApiParameter("cost_centre", str, description="Only this cost centre; empty text: teams without one.")


class SumsOut(serializers.Serializer[Any]):
    opening_usd = serializers.CharField(help_text="What the calendar year came to before the month.")
    used_usd = serializers.CharField()
    corrected_usd = serializers.CharField(
        help_text="Late usage of closed months, corrected prices, corrections by people."
    )
    closing_usd = serializers.CharField()
    subscription_usd = serializers.CharField(
        help_text="What callers' own accounts paid, at list price; in no other sum."
    )
    requests = serializers.IntegerField()


class TeamAccountOut(SumsOut):
    team_id = HexId(allow_null=True)
    team = serializers.CharField()


class CostCentreOut(SumsOut):
    cost_centre = serializers.CharField(help_text="Empty: teams without one.")
    teams = TeamAccountOut(many=True)


class UsageLineOut(serializers.Serializer[Any]):
    team_id = HexId(allow_null=True)
    principal_id = HexId(allow_null=True)
    principal_kind = serializers.CharField()
    principal = serializers.CharField()
    provider = serializers.CharField()
    model = serializers.CharField()
    requests = serializers.IntegerField()
    tokens_in = serializers.IntegerField()
    tokens_out = serializers.IntegerField()
    paid_usd = serializers.CharField()
    subscription_usd = serializers.CharField()


class CorrectionOut(serializers.Serializer[Any]):
    team_id = HexId(allow_null=True)
    counted_on = serializers.DateField()
    about_month = serializers.CharField(allow_null=True)
    kind = serializers.CharField(help_text="late, by hand")
    note = serializers.CharField()
    principal = serializers.CharField()
    model = serializers.CharField()
    rows = serializers.IntegerField()
    amount_usd = serializers.CharField()


class StatementOut(SumsOut):
    month = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="null: the month is open and its sums still move.")
    closed_by = serializers.CharField()
    cost_centres = CostCentreOut(many=True)


class StatementLinesOut(StatementOut):
    usage = UsageLineOut(many=True)
    corrections = CorrectionOut(many=True)


class MonthOut(serializers.Serializer[Any]):
    month = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.CharField()


class MonthsOut(serializers.Serializer[Any]):
    results = MonthOut(many=True)


class StatementView(APIView):
    """What all of these have alike: the month of the address, and whose part of it may be seen."""

    rights = {"get": Permission.USAGE_READ, "post": Permission.PRICES_MANAGE}

    def month(self) -> date:
        found = _MONTH.fullmatch(str(self.kwargs["month"]))
        if found is None:
            raise ValidationError({"month": "This is no month. Right: 2026-10."})
        return date(int(found[1]), int(found[2]), 1)

    def teams(self, request: Request) -> frozenset[UUID] | None:
        """None: all. A lead sees the teams they lead; whoever sees only their own usage sees no statement."""
        standing = caller_of(request).standing
        reach = reach_of(standing, Permission.USAGE_READ)
        if reach is Reach.ALL:
            return None
        return standing.led_team_ids if reach is Reach.TEAM else frozenset()


class StatementsView(StatementView):
    """Months that have a statement."""

    @extend_schema(operation_id="statements_list", responses=MonthsOut)
    def get(self, request: Request) -> Response:
        """The newest first; the present month is open."""
        found = months_of(caller_of(request).organization, now=timezone.now())
        return Response(
            {
                "results": [
                    {
                        "month": f"{month:%Y-%m}",
                        "closed_at": closed.closed_at if closed else None,
                        "closed_by": closed.closed_by if closed else "",
                    }
                    for month, closed in found
                ]
            }
        )


class StatementOfMonthView(StatementView):
    """One month per cost centre: opening, usage by person and model, corrections, closing."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        operation_id="statements_retrieve",
        parameters=[CENTRE],
        responses={(200, "application/json"): StatementLinesOut, (200, "text/csv"): str},
    )
    def get(self, request: Request, month: str) -> HttpResponseBase:
        """`Accept: text/csv` streams the lines."""
        organization = caller_of(request).organization
        statement = statement_of(organization, self.month(), self.teams(request))
        if (wanted := request.query_params.get("cost_centre")) is not None:
            centre = statement.cost_centre(wanted)
            if centre is None:
                raise ValidationError({"cost_centre": "No team of this cost centre spent anything up to this month."})
            statement = Statement(statement.month, (centre,), statement.closed_at, statement.closed_by)
        accounts = {account.team_id: account for account in statement.whole.teams}
        lines = lines_of(organization, statement.month, accounts.keys())
        if getattr(request.accepted_renderer, "format", "") == "csv":
            return csv_answer(
                f"statement-{month}", CSV_COLUMNS, csv_rows(statement, accounts, lines.usage, lines.corrections)
            )
        return Response(
            {
                "month": month,
                "closed_at": statement.closed_at,
                "closed_by": statement.closed_by,
                **_sums(statement.whole),
                "cost_centres": [
                    {"cost_centre": centre.name, **_sums(centre), "teams": [_account(team) for team in centre.teams]}
                    for centre in statement.cost_centres
                ],
                "usage": [_usage(line) for line in lines.usage],
                "corrections": [_correction(line) for line in lines.corrections],
            }
        )


class StatementCloseView(StatementView):
    """Close a month: its sums never change again."""

    @extend_schema(operation_id="statements_close", request=None, responses=MonthOut)
    def post(self, request: Request, month: str) -> Response:
        """What is learned later counts in a later month, as dated lines. It cannot be opened again."""
        caller = caller_of(request)
        if reach_of(caller.standing, Permission.PRICES_MANAGE) is not Reach.ALL:
            raise Http404
        require_reason(caller)

        def act() -> Response:
            try:
                kept = statement_close(organization=caller.organization, month=self.month(), actor=caller.actor)
            except ClosingFailure as failure:
                raise ValidationError({"month": str(failure)}) from failure
            return Response({"month": month, "closed_at": kept.closed_at, "closed_by": kept.closed_by})

        return once(request, act)


class StatementFocusView(StatementView):
    """One month in FOCUS columns."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(operation_id="statements_focus", responses={(200, "text/csv"): str})
    def get(self, request: Request, month: str) -> HttpResponseBase:
        """Rows by day, team, person, provider account and model (FOCUS 1.2), as CSV."""
        rows = focus_rows(caller_of(request).organization, self.month(), self.teams(request))
        return csv_answer(f"focus-{month}", COLUMNS, rows)


CSV_COLUMNS = (
    "month",
    "line",
    "cost_centre",
    "team",
    "date",
    "about_month",
    "principal",
    "provider",
    "model",
    "requests",
    "tokens_in",
    "tokens_out",
    "paid_usd",
    "subscription_usd",
    "note",
)


def csv_rows(
    statement: Statement,
    accounts: dict[UUID | None, TeamAccount],
    usage: Iterable[UsageLine],
    corrections: Iterable[CorrectionLine],
) -> Iterator[tuple[object, ...]]:
    """A statement line by line: each team's opening, its usage, its corrections, its closing."""
    month = f"{statement.month:%Y-%m}"
    used: dict[UUID | None, list[UsageLine]] = {}
    corrected: dict[UUID | None, list[CorrectionLine]] = {}
    for line in usage:
        used.setdefault(line.team_id, []).append(line)
    for correction in corrections:
        corrected.setdefault(correction.team_id, []).append(correction)
    for account in accounts.values():
        head = (account.cost_centre, account.team)
        yield (month, "opening", *head, *[""] * 8, money(account.opening_nano_usd), "", "")
        for line in used.get(account.team_id, ()):
            yield (
                month, "usage", *head, "", "", line.principal, line.provider, line.model, line.requests,
                line.tokens_in, line.tokens_out, money(line.paid_nano_usd), money(line.shadow_nano_usd), "",
            )  # fmt: skip
        for each in corrected.get(account.team_id, ()):
            about = f"{each.about_month:%Y-%m}" if each.about_month else ""
            yield (
                month, each.kind, *head, each.counted_on, about, each.principal, "", each.model, "",
                "", "", money(each.amount_nano_usd), "", each.note,
            )  # fmt: skip
        yield (month, "closing", *head, *[""] * 8, money(account.closing_nano_usd), money(account.shadow_nano_usd), "")


def _sums(of: Any) -> dict[str, object]:
    return {
        "opening_usd": money(of.opening_nano_usd),
        "used_usd": money(of.used_nano_usd),
        "corrected_usd": money(of.corrected_nano_usd),
        "closing_usd": money(of.closing_nano_usd),
        "subscription_usd": money(of.shadow_nano_usd),
        "requests": of.requests,
    }


def _account(account: TeamAccount) -> dict[str, object]:
    return {"team_id": account.team_id.hex if account.team_id else None, "team": account.team, **_sums(account)}


def _usage(line: UsageLine) -> dict[str, object]:
    return {
        "team_id": line.team_id.hex if line.team_id else None,
        "principal_id": line.principal_id.hex if line.principal_id else None,
        "principal_kind": line.principal_kind,
        "principal": line.principal,
        "provider": line.provider,
        "model": line.model,
        "requests": line.requests,
        "tokens_in": line.tokens_in,
        "tokens_out": line.tokens_out,
        "paid_usd": money(line.paid_nano_usd),
        "subscription_usd": money(line.shadow_nano_usd),
    }


def _correction(line: CorrectionLine) -> dict[str, object]:
    return {
        "team_id": line.team_id.hex if line.team_id else None,
        "counted_on": line.counted_on,
        "about_month": f"{line.about_month:%Y-%m}" if line.about_month else None,
        "kind": line.kind,
        "note": line.note,
        "principal": line.principal,
        "model": line.model,
        "rows": line.rows,
        "amount_usd": money(line.amount_nano_usd),
    }
