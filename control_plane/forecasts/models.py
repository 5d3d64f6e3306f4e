"""Rows of forecasts and of unusual spend. Money is nano-USD.

Ids of other apps are plain columns: what was said of a budget outlives the budget, and is scored all the same.
"""

from uuid import uuid4

from django.db import models


class WhyNone(models.TextChoices):
    """Why there is no band. Empty: there is one."""

    FEW_DAYS = "few_days"
    """Not enough days are known yet; `days_needed` says how many more."""
    MOSTLY_QUIET = "mostly_quiet"
    """On most days nothing is spent: what comes next is chance."""
    NOTHING_SPENT = "nothing_spent"
    """Nothing was spent lately."""
    NOT_BY_DAY = "not_by_day"
    """It counts by something that is not kept by day: several tags of metadata, one besides anything but the team, or a
    value beyond the bound of those that have sums."""
    ENDLESS = "endless"
    """The budget never begins anew, so there is no end to forecast; when it is spent is."""


class Forecast(models.Model):
    """Where one counter of a budget, or a whole organization, was heading, as seen on one day: the last look of it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    subject_id = models.UUIDField()
    """Of organization, budget and counter: the same in every period (`subjects.Subject.id`)."""
    budget_id = models.UUIDField(null=True)
    """None: the organization as a whole, by months of UTC."""
    budget_name = models.CharField(max_length=100, blank=True)
    """As it was."""
    counter = models.TextField(blank=True)
    per = models.JSONField(default=list)
    """What the values of the counter are."""
    period_unit = models.CharField(max_length=8)
    timezone = models.CharField(max_length=64)
    anchor = models.IntegerField(default=1)
    period_ms = models.BigIntegerField()
    """When the period began, Unix milliseconds; 0: for ever."""
    ends_at = models.DateTimeField(null=True)
    """None: never."""
    day = models.DateField()
    """On which day of the zone it was made."""
    as_of = models.DateTimeField()
    spent_nano_usd = models.BigIntegerField()
    """In the period, up to `as_of`."""
    previous_nano_usd = models.BigIntegerField(null=True)
    """The whole period before; None: it is not known whole."""
    limit_nano_usd = models.BigIntegerField(null=True)
    """Raises included; None: no limit."""
    why_none = models.CharField(max_length=20, choices=WhyNone.choices, blank=True)
    days_needed = models.IntegerField(default=0)
    p10_nano_usd = models.BigIntegerField(null=True)
    p50_nano_usd = models.BigIntegerField(null=True)
    p90_nano_usd = models.BigIntegerField(null=True)
    """Of the period's end. All None: there is no band."""
    over_percent = models.IntegerField(null=True)
    """How many of a hundred courses end above the limit."""
    spent_p10_at = models.DateTimeField(null=True)
    spent_p50_at = models.DateTimeField(null=True)
    spent_p90_at = models.DateTimeField(null=True)
    """When the limit is reached in 10, 50 and 90 of a hundred courses; None: not within the period."""
    drivers = models.JSONField(default=list)
    """`drivers.Driver` as stored."""
    curve = models.JSONField(null=True)
    """`burn_down.Curve` as stored; None once a later day's forecast was made: only its end is scored."""
    actual_nano_usd = models.BigIntegerField(null=True)
    """What the period came to; None: it is not over, or was not looked at yet."""
    scored_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject_id", "period_ms", "day"], name="forecasts_forecast_once"),
        ]
        indexes = [
            models.Index(fields=["organization_id", "-as_of", "id"], name="forecasts_newest"),
            models.Index(fields=["organization_id", "subject_id", "-as_of"], name="forecasts_subject"),
            models.Index(fields=["organization_id", "budget_id", "-as_of"], name="forecasts_budget"),
            models.Index(fields=["ends_at"], condition=models.Q(scored_at__isnull=True), name="forecasts_unscored"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_name or 'organization'} {self.counter!r} {self.day}"

    @property
    def has_band(self) -> bool:
        return self.p50_nano_usd is not None

    @property
    def is_over(self) -> bool:
        """Whether it is more likely than not that the period ends above the limit."""
        return (
            self.p50_nano_usd is not None
            and self.limit_nano_usd is not None
            and self.p50_nano_usd > self.limit_nano_usd
        )

    @property
    def is_inside(self) -> bool | None:
        """Whether the period ended inside the band; None: it is not known yet, or there was none."""
        if self.actual_nano_usd is None or self.p10_nano_usd is None or self.p90_nano_usd is None:
            return None
        return self.p10_nano_usd <= self.actual_nano_usd <= self.p90_nano_usd


class FindingState(models.TextChoices):
    OPEN = "open"
    SEEN = "seen"
    """Somebody looked, and keeps it."""
    DISMISSED = "dismissed"
    """Somebody looked, and it was nothing."""


class UnusualSpend(models.Model):
    """One day on which a person or service account spent far more than on such days before."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    principal_id = models.UUIDField()
    principal_kind = models.CharField(max_length=16)
    team_id = models.UUIDField(null=True)
    """The team that most of it was charged to."""
    day = models.DateField()
    """Of UTC."""
    spent_nano_usd = models.BigIntegerField()
    usual_nano_usd = models.BigIntegerField()
    """The middle of the days it is compared with."""
    line_nano_usd = models.BigIntegerField()
    """From here on it was unusual."""
    compared = models.CharField(max_length=12)
    """What it is compared with: the same weekday, days of work, or all days."""
    compared_days = models.IntegerField()
    model = models.CharField(max_length=200, blank=True)
    """Which cost most of it, and how much."""
    model_nano_usd = models.BigIntegerField(default=0)
    session_id = models.CharField(max_length=200, blank=True)
    """The conversation session that cost most of it, by the tool's own word, and how much; empty: none."""
    session_nano_usd = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=FindingState.choices, default=FindingState.OPEN)
    decided_by = models.CharField(max_length=254, blank=True)
    """The name of whoever looked, as it was."""
    decided_at = models.DateTimeField(null=True, blank=True)
    muted_at = models.DateTimeField(null=True, blank=True)
    """Since when nobody is told of it, because who spent it is muted; None: it is told."""
    found_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-day", "-spent_nano_usd", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "principal_id", "day"], name="forecasts_unusual_once"),
            models.CheckConstraint(condition=models.Q(state__in=FindingState.values), name="forecasts_unusual_state"),
        ]
        indexes = [models.Index(fields=["organization_id", "-day"], name="forecasts_unusual_newest")]

    def __str__(self) -> str:
        return f"{self.principal_id.hex} {self.day}: {self.spent_nano_usd}"

    @property
    def times(self) -> float:
        """How many times the usual; 0: nothing was usual."""
        return self.spent_nano_usd / self.usual_nano_usd if self.usual_nano_usd > 0 else 0.0


class UnusualMute(models.Model):
    """For a time nobody is told of unusual days of one person or service account. They are found and shown as ever."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization_id = models.UUIDField()
    principal_id = models.UUIDField()
    principal_kind = models.CharField(max_length=16)
    last_day = models.DateField()
    """The last day, of UTC, of which nobody is told."""
    reason = models.CharField(max_length=1000)
    muted_by = models.CharField(max_length=254)
    """The name of whoever muted, as it was."""
    muted_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["last_day", "id"]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "principal_id"], name="forecasts_mute_once"),
        ]

    def __str__(self) -> str:
        return f"{self.principal_id.hex} until {self.last_day}"
