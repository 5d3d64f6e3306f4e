"""Rows of budgets, their temporary raises, and requests for more. Money is nano-USD."""

from uuid import uuid4

from django.db import models

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization, Team
from control_plane.rules.models import GroupedRuleFields, Mode

ORDINARY_ALLOWANCE_PERCENT = 5


class Period(models.TextChoices):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    LIFETIME = "lifetime"


class Bound(models.TextChoices):
    """How an exchange's cost is bounded before it is known."""

    STRICT = "strict"
    """By the worst case: the line is never crossed."""
    CALIBRATED = "calibrated"
    """By what 999 of 1,000 such exchanges stayed below."""


class Outage(models.TextChoices):
    """What holds while the counters are out of reach."""

    DENY = "deny"
    BOUNDED = "bounded"
    """Pods go on within the allowance that they were issued."""
    ALLOW = "allow"


class Counts(models.TextChoices):
    """Whose money it is about."""

    PAID = "paid", "What the organization pays"
    SHADOW = "shadow", "What callers' own subscriptions would cost by the list"
    BOTH = "both", "Both"


class Grace(models.TextChoices):
    NONE = "none"
    TURN = "turn"
    """A tool loop that ran when the line was crossed may finish within `grace_nano_usd`."""


class Budget(GroupedRuleFields):
    """How much may be spent in a period, by each combination of `per`."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="budgets")
    """The team whose lead set it; None: set by whoever manages the organization's budgets."""
    per = models.JSONField(default=list, blank=True)
    """One counter per combination of these (switchyard_contract.counters.PER)."""
    limit_nano_usd = models.BigIntegerField()
    period = models.CharField(max_length=8, choices=Period.choices)
    timezone = models.CharField(max_length=64, default="UTC")
    anchor = models.IntegerField(default=1)
    """On which day a week (1: Monday) or a month begins; a month that is too short begins on its last day."""
    counts = models.CharField(max_length=8, choices=Counts.choices, default=Counts.PAID)
    stages = models.JSONField(default=list)
    """`stages.Stage` as it is stored, ascending."""
    bound = models.CharField(max_length=10, choices=Bound.choices, default=Bound.CALIBRATED)
    on_counter_outage = models.CharField(max_length=8, choices=Outage.choices, default=Outage.BOUNDED)
    outage_allowance_percent = models.IntegerField(default=ORDINARY_ALLOWANCE_PERCENT)
    """Of the limit, per counter and period, for all pods together."""
    grace = models.CharField(max_length=4, choices=Grace.choices, default=Grace.NONE)
    grace_nano_usd = models.BigIntegerField(default=0)

    class Meta(GroupedRuleFields.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="budgets_budget_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="budgets_budget_owner"),
            models.CheckConstraint(condition=models.Q(mode__in=Mode.values), name="budgets_budget_mode"),
            models.CheckConstraint(condition=models.Q(period__in=Period.values), name="budgets_budget_period"),
            models.CheckConstraint(condition=models.Q(counts__in=Counts.values), name="budgets_budget_counts"),
            models.CheckConstraint(condition=models.Q(bound__in=Bound.values), name="budgets_budget_bound"),
            models.CheckConstraint(
                condition=models.Q(on_counter_outage__in=Outage.values), name="budgets_budget_outage"
            ),
            models.CheckConstraint(condition=models.Q(limit_nano_usd__gte=1), name="budgets_budget_positive"),
            models.CheckConstraint(
                condition=models.Q(outage_allowance_percent__gte=0, outage_allowance_percent__lte=100),
                name="budgets_budget_allowance",
            ),
            models.CheckConstraint(
                condition=models.Q(grace="none", grace_nano_usd=0) | models.Q(grace="turn", grace_nano_usd__gte=1),
                name="budgets_budget_grace",
            ),
        ]


class BudgetRaise(models.Model):
    """More for one counter of a budget, or for all of them, from an instant to another."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="raises")
    counter = models.CharField(max_length=1000, blank=True)
    """As `switchyard_contract.counters` writes it; empty: of all."""
    amount_nano_usd = models.BigIntegerField()
    from_at = models.DateTimeField()
    until_at = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True)
    made_by = models.CharField(max_length=254, blank=True)
    """The name of whoever did it, as it was."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_nano_usd__gte=1), name="budgets_raise_positive"),
            models.CheckConstraint(condition=models.Q(until_at__gt=models.F("from_at")), name="budgets_raise_ends"),
            models.UniqueConstraint(fields=["organization", "id"], name="budgets_raise_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_nano_usd} more for {self.budget_id}"


class RequestState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class BudgetRequest(models.Model):
    """Somebody whom a budget stopped asks for more."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="budget_requests")
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="requests")
    counter = models.CharField(max_length=1000, blank=True)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="budget_requests")
    amount_nano_usd = models.BigIntegerField()
    reason = models.CharField(max_length=500)
    decision_id = models.CharField(max_length=40, blank=True)
    """The refusal it came from (an exchange's id)."""
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.PENDING)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    """What the person who decided said."""
    granted = models.OneToOneField(
        BudgetRaise, on_delete=models.SET_NULL, null=True, blank=True, related_name="request"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_nano_usd__gte=1), name="budgets_request_positive"),
            models.CheckConstraint(condition=models.Q(state__in=RequestState.values), name="budgets_request_state"),
            models.CheckConstraint(
                condition=models.Q(state="pending", decided_at__isnull=True)
                | ~models.Q(state="pending") & models.Q(decided_at__isnull=False),
                name="budgets_request_decided",
            ),
            models.UniqueConstraint(
                fields=["budget", "counter", "requester"],
                condition=models.Q(state="pending"),
                name="budgets_request_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requester_id} asks for {self.amount_nano_usd} of {self.budget_id}"
