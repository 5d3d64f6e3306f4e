"""Rows of alerts. Money is nano-USD.

A crossing is written with the booking that crossed the line; deliveries are made from it afterwards. Ids of budgets are
plain columns: what was said outlives the rule.
"""

from uuid import uuid4

from django.db import models

from control_plane.organizations.models import Organization
from control_plane.rules.models import rule_name_is_plain


class Topic(models.TextChoices):
    """What people are told of that no budget speaks of."""

    UNUSUAL_SPEND = "unusual_spend", "Unusual spend of a person or service account"
    MISSING_USAGE = "missing_usage", "Usage that pods counted and that did not arrive"
    ORPHANED_USAGE = "orphaned_usage", "Requests whose pod is gone, booked as estimates"


class AlertChannel(models.Model):
    """A place that alerts go to, by name: a mailing list, a webhook."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="alert_channels")
    name = models.CharField(max_length=100, validators=[rule_name_is_plain])
    description = models.CharField(max_length=500, blank=True)
    type = models.CharField(max_length=20)
    """Names a file of `control_plane.alerts.channels`."""
    addresses = models.JSONField(default=list, blank=True)
    """E-mail addresses, where the type sends mail."""
    url = models.CharField(max_length=300, blank=True)
    """Where the type calls."""
    cost_centre = models.CharField(max_length=100, blank=True)
    """Alerts for the owner of this cost centre come here."""
    hears = models.JSONField(default=list, blank=True)
    """Topics that come here besides what budgets name it for."""
    sealed_key_version = models.IntegerField(default=0)
    """0: there is no secret."""
    sealed_nonce = models.BinaryField(default=bytes)
    sealed_ciphertext = models.BinaryField(default=bytes)
    secret_version = models.IntegerField(default=0)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="alerts_channel_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="alerts_channel_owner"),
            models.UniqueConstraint(
                fields=["organization", "cost_centre"],
                condition=~models.Q(cost_centre=""),
                name="alerts_channel_cost_centre",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_secret(self) -> bool:
        return self.sealed_key_version != 0


class StageCrossing(models.Model):
    """A counter of a budget reached a stage in a period: one row, whoever saw it first.

    All that is said of it is here and as it was then, so that a message says the same however often it is sent.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    budget_id = models.UUIDField()
    budget_name = models.CharField(max_length=100)
    spend_id = models.UUIDField()
    """Names budget, counter and period together (`usage.spending.Counter.id`)."""
    counter = models.TextField()
    counter_text = models.CharField(max_length=1000, blank=True)
    """The counter in words, written with its deliveries; empty: everybody's together."""
    per = models.JSONField(default=list)
    """What the values of the counter are."""
    period_ms = models.BigIntegerField()
    """When the period began, Unix milliseconds; 0: for ever."""
    period_unit = models.CharField(max_length=8)
    timezone = models.CharField(max_length=64)
    anchor = models.IntegerField()
    at_percent = models.IntegerField()
    action = models.CharField(max_length=10)
    """alert, downgrade or block; forecast: it is heading above its limit (`alerts.foreseen`); no_room: what was asked
    for does not fit, far below the line (`alerts.no_room`)."""
    next_percent = models.IntegerField(null=True)
    """The next stage above this one; None: there is none."""
    next_action = models.CharField(max_length=10, blank=True)
    notify = models.JSONField(default=list)
    """Recipients, as the stage named them."""
    posted_nano_usd = models.BigIntegerField()
    limit_nano_usd = models.BigIntegerField()
    """Raises included."""
    crossed_at = models.DateTimeField()
    dispatched_at = models.DateTimeField(null=True)
    """When its deliveries were made; None: not yet."""
    forecast = models.JSONField(null=True)
    """Where it was heading: `alerts.foreseen.Foreseen` as stored; None: a stage was reached, or work refused."""
    wanted_nano_usd = models.BigIntegerField(null=True)
    """What was asked for and did not fit, before the line was reached (`alerts.no_room`); None: it was reached."""
    reserved_nano_usd = models.BigIntegerField(null=True)
    """What ran then, beside which it did not fit."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["spend_id", "at_percent", "action"], name="alerts_crossing_once"),
        ]
        indexes = [
            models.Index(fields=["organization_id", "-crossed_at"], name="alerts_crossing_newest"),
            models.Index(fields=["budget_id", "period_ms"], name="alerts_crossing_budget"),
            models.Index(
                fields=["crossed_at"], condition=models.Q(dispatched_at__isnull=True), name="alerts_crossing_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.budget_name} {self.counter!r} {self.period_ms}: {self.at_percent} %"

    @property
    def is_forecast(self) -> bool:
        return self.forecast is not None

    @property
    def is_refusal(self) -> bool:
        """Work was refused before the line was reached."""
        return self.wanted_nano_usd is not None

    @property
    def line_words(self) -> str:
        """Which line it is about, for a table."""
        if self.is_forecast:
            return "heading above its limit"
        if self.is_refusal:
            return "work refused: it did not fit" if self.action == "block" else "one request refused: it did not fit"
        return f"{self.at_percent} %, {self.action}"

    @property
    def percent(self) -> int:
        """How much of the limit was spent, rounded down."""
        return self.posted_nano_usd * 100 // self.limit_nano_usd


class Finding(models.Model):
    """Something that people should hear of, without a budget's line: one row, whoever saw it first."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    topic = models.CharField(max_length=20)
    """A `Topic`."""
    about = models.CharField(max_length=64)
    """Names what was found within its topic."""
    principal_id = models.UUIDField(null=True)
    """Who it is about."""
    team_id = models.UUIDField(null=True)
    facts = models.JSONField()
    """What is said of it, as it was (`alerts.findings`)."""
    found_at = models.DateTimeField()
    dispatched_at = models.DateTimeField(null=True)
    """When its deliveries were made; None: not yet."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "topic", "about"], name="alerts_finding_once"),
        ]
        indexes = [
            models.Index(
                fields=["found_at"], condition=models.Q(dispatched_at__isnull=True), name="alerts_finding_open"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What it is about, without a name of a person."""
        if self.topic == Topic.UNUSUAL_SPEND:
            return f"Unusual spend on {self.facts['day']}"
        if self.topic == Topic.ORPHANED_USAGE:
            return f"Estimates for {self.facts['pod'] or 'a pod that is gone'}"
        return f"Missing usage of {self.facts['pod']}"


class DeliveryState(models.TextChoices):
    WAITING = "waiting"
    """For its first or its next try."""
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    """Every try failed, or it cannot be delivered at all."""


class Delivery(models.Model):
    """One message to one recipient: the outbox. The row's id is the message's, however often it is sent."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    crossing = models.ForeignKey(
        StageCrossing, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries"
    )
    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries")
    """Of crossing and finding at most one; neither: somebody tries a channel."""
    type = models.CharField(max_length=20)
    recipient = models.CharField(max_length=300)
    """An e-mail address, or "channel:<id>": a crossing or finding has one delivery for each."""
    channel = models.ForeignKey(AlertChannel, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    recipient_name = models.CharField(max_length=300)
    """For people: who it is, as it was."""
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField()
    """When it is tried next."""
    give_up_at = models.DateTimeField()
    """A try that would come later is not made."""
    failure = models.CharField(max_length=300, blank=True)
    """Why the last try failed."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["crossing", "recipient"], name="alerts_delivery_once"),
            models.UniqueConstraint(fields=["finding", "recipient"], name="alerts_delivery_of_finding_once"),
            models.CheckConstraint(condition=models.Q(state__in=DeliveryState.values), name="alerts_delivery_state"),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=models.Q(state="waiting"), name="alerts_delivery_due"),
            models.Index(fields=["organization", "-created_at"], name="alerts_delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.type} to {self.recipient_name}: {self.state}"
