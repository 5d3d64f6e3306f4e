"""Rows that keep the books honest: closed months, corrections by people, what is missing, what pods may not report.

Ids of other apps are plain columns.
"""

from uuid import uuid4

from django.db import models
from django.db.models import Q


class ClosedMonth(models.Model):
    """A month of an organization whose sums no longer change; what is learned later counts in a later month."""

    id = models.BigAutoField(primary_key=True)
    organization_id = models.UUIDField()
    month = models.DateField()
    """Its first day; UTC."""
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=200)
    """Name of the actor, for people; the audit has the rest."""

    class Meta:
        ordering = ["organization_id", "month"]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "month"], name="usage_closed_month_once"),
            models.CheckConstraint(condition=Q(month__day=1), name="usage_closed_month_is_a_month"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class Adjustment(models.Model):
    """A correction of money by people; its row in the ledger has kind `adjustment` and the same exchange id."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    exchange_id = models.CharField(max_length=26, unique=True)
    """Names the ledger's row; no exchange stands behind it."""
    cost_nano_usd = models.BigIntegerField()
    """Negative: a credit."""
    team_id = models.UUIDField(null=True)
    principal_id = models.UUIDField(null=True)
    principal_kind = models.CharField(max_length=16)
    note = models.CharField(max_length=500)
    """Why; shown on statements."""
    counted_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    """Name of the actor, for people; the audit has the rest."""

    class Meta:
        ordering = ["-counted_at", "id"]
        indexes = [models.Index(fields=["organization_id", "-counted_at"], name="usage_adjustment_newest")]
        constraints = [models.CheckConstraint(condition=~Q(cost_nano_usd=0), name="usage_adjustment_is_some")]

    def __str__(self) -> str:
        return f"{self.counted_at:%Y-%m-%d} {self.cost_nano_usd}"


class PodSequence(models.Model):
    """How far the events of a pod's spool have come. A pod numbers its events 1, 2, 3 … as long as its spool lives."""

    id = models.BigAutoField(primary_key=True)
    pod_id = models.CharField(max_length=200)
    boot_id = models.BinaryField()
    """Names the spool, not the process: it outlives restarts."""
    highest = models.BigIntegerField(default=0)
    """The highest number that arrived; what is missing below it has rows of its own."""
    first_seen_at = models.DateTimeField()
    reported_at = models.DateTimeField()
    run = models.BigIntegerField(default=0, db_default=0)
    """The spool's run that spoke of those before it, all of whose events are stored; 0: none has."""
    whole_since = models.BigIntegerField(default=0, db_default=0)
    """The first run of which, and of all up to `run`, it said that nothing they wrote was lost."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pod_id", "boot_id"], name="usage_pod_sequence_once")]

    def __str__(self) -> str:
        return f"{self.pod_id} {self.highest}"


class MissingEvents(models.Model):
    """Numbers of a pod's spool that later ones overtook: events that are on their way, or lost."""

    id = models.BigAutoField(primary_key=True)
    pod_id = models.CharField(max_length=200)
    boot_id = models.BinaryField()
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    """None: still missing."""
    closed_by = models.CharField(max_length=200, blank=True, default="")
    """Empty: they arrived. Otherwise the name of whoever took note that they are lost."""
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-opened_at", "-id"]
        indexes = [
            models.Index(fields=["pod_id", "boot_id"], name="usage_missing_open", condition=Q(closed_at=None)),
            models.Index(fields=["-opened_at"], name="usage_missing_newest"),
        ]
        constraints = [models.CheckConstraint(condition=Q(first__lte=models.F("last")), name="usage_missing_some")]

    def __str__(self) -> str:
        return f"{self.pod_id} {self.first}-{self.last}"

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class RefusedReport(models.Model):
    """Reports of a pod that the intake did not take, by reason. The pod keeps the events and comes again."""

    id = models.BigAutoField(primary_key=True)
    pod_id = models.CharField(max_length=200)
    reason = models.CharField(max_length=40)
    detail = models.CharField(max_length=500)
    count = models.BigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["pod_id", "reason"], name="usage_refused_report_once")]

    def __str__(self) -> str:
        return f"{self.pod_id} {self.reason}: {self.count}"


class Orphan(models.Model):
    """An attempt of which only the counter store knows: its pod and the pod's disk are gone, or away for long."""

    id = models.BigAutoField(primary_key=True)
    organization_id = models.UUIDField()
    exchange_id = models.CharField(max_length=26)
    attempt = models.IntegerField()
    pod_id = models.CharField(max_length=200)
    spool = models.CharField(max_length=32, blank=True, default="", db_default="")
    """Of the pod that held it, as `switchyard_contract.holds.spool_name` has it; empty: the pod did not say."""
    run = models.BigIntegerField(default=0, db_default=0)
    """Of that spool."""
    cost_nano_usd = models.BigIntegerField()
    """What was expected, and booked."""
    estimated_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    """None: the truth has not come."""
    settled_by = models.CharField(max_length=200, blank=True, default="")
    """Empty: the truth came and took the estimate's place, or it was taken back because nothing was sent, as `note`
    says then. Otherwise who took note that it will not come."""
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["-estimated_at", "-id"]
        indexes = [
            models.Index(fields=["organization_id", "-estimated_at"], name="usage_orphan_newest"),
            models.Index(fields=["estimated_at"], name="usage_orphan_open", condition=Q(settled_at=None)),
        ]
        constraints = [models.UniqueConstraint(fields=["exchange_id", "attempt"], name="usage_orphan_once")]

    def __str__(self) -> str:
        return f"{self.exchange_id} {self.attempt}"
