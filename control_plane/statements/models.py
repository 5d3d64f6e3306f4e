"""Statements of closed months. Ids of other apps are plain columns; names stand as they were: what is closed stays."""

from uuid import uuid4

from django.db import models
from django.db.models import Q


class ClosedStatement(models.Model):
    """The statement of a month that was closed."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    month = models.DateField()
    """Its first day; UTC."""
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-month"]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "month"], name="statements_statement_once"),
            models.CheckConstraint(condition=Q(month__day=1), name="statements_statement_is_of_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class ClosedAccount(models.Model):
    """One team's part of a closed statement (`control_plane.statements.accounts.TeamAccount`)."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    statement = models.ForeignKey(ClosedStatement, on_delete=models.CASCADE, related_name="accounts")
    team_id = models.UUIDField(null=True)
    team = models.CharField(max_length=100, blank=True)
    cost_centre = models.CharField(max_length=100, blank=True)
    opening_nano_usd = models.BigIntegerField()
    used_nano_usd = models.BigIntegerField()
    corrected_nano_usd = models.BigIntegerField()
    shadow_nano_usd = models.BigIntegerField()
    requests = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["statement", "team_id"], nulls_distinct=False, name="statements_account_once"
            )
        ]

    def __str__(self) -> str:
        return self.team


class ClosedUsageLine(models.Model):
    """Usage behind an account (`accounts.UsageLine`)."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(ClosedAccount, on_delete=models.CASCADE, related_name="usage_lines")
    principal_id = models.UUIDField(null=True)
    principal_kind = models.CharField(max_length=16, blank=True)
    principal = models.CharField(max_length=254, blank=True)
    provider = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    requests = models.BigIntegerField()
    tokens_in = models.BigIntegerField()
    tokens_out = models.BigIntegerField()
    paid_nano_usd = models.BigIntegerField()
    shadow_nano_usd = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["principal_id"], name="statements_usage_principal")]

    def __str__(self) -> str:
        return f"{self.principal} {self.model}"


class ClosedCorrection(models.Model):
    """A dated line behind an account (`accounts.CorrectionLine`)."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(ClosedAccount, on_delete=models.CASCADE, related_name="corrections")
    counted_on = models.DateField()
    about_month = models.DateField(null=True)
    kind = models.CharField(max_length=16)
    note = models.CharField(max_length=500, blank=True)
    principal_id = models.UUIDField(null=True)
    principal = models.CharField(max_length=254, blank=True)
    model = models.CharField(max_length=200, blank=True)
    rows = models.BigIntegerField()
    amount_nano_usd = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["principal_id"], name="statements_correction_person")]

    def __str__(self) -> str:
        return f"{self.counted_on} {self.kind}"
