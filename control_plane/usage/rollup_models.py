"""Rows that sum usage up. Every one is the sum of the ledger's rows it is about, at every commit.

Three shapes: *whole* rows know everything that can be grouped by; rows *by team* leave out people, keys and versions,
so that an organization's month is few of them; *labels* sum rules and tags of metadata. Latencies are counted in
buckets and lie apart, since buckets in every whole row would be most of it.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from control_plane.usage import histogram


def name_field(length: int = 200, **more: Any) -> "models.CharField[str, str]":
    return models.CharField(max_length=length, **more)


class MeasuredRow(models.Model):
    """Sums that roll-ups and sessions share; those of `control_plane.usage.rollups.Measures` in columns."""

    requests = models.BigIntegerField(default=0)
    attempts = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    refusals = models.BigIntegerField(default=0)
    estimates = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0, db_default=0)
    dearest = models.BigIntegerField(default=0, db_default=0)
    input_fresh = models.BigIntegerField(default=0)
    input_tool = models.BigIntegerField(default=0)
    cache_read = models.BigIntegerField(default=0)
    cache_write_5m = models.BigIntegerField(default=0)
    cache_write_1h = models.BigIntegerField(default=0)
    cache_write_30m = models.BigIntegerField(default=0)
    cache_write_12h = models.BigIntegerField(default=0)
    cache_write_other = models.BigIntegerField(default=0)
    output = models.BigIntegerField(default=0)
    reasoning = models.BigIntegerField(default=0)
    web_searches = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)
    subscription_cost_nano_usd = models.BigIntegerField(default=0)
    saved_cache_nano_usd = models.BigIntegerField(default=0, db_default=0)
    saved_downgrade_nano_usd = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


class TeamRow(MeasuredRow):
    """What a row by team is about, apart from its time; `control_plane.usage.rollups.TEAM_GRAIN`."""

    grain = models.UUIDField()
    """A digest of the columns that follow."""
    organization_id = models.UUIDField()
    team_id = models.UUIDField(null=True)
    principal_kind = name_field(16)
    provider_id = models.UUIDField(null=True)
    provider_name = name_field()
    model = name_field()
    client = name_field()
    protocol = name_field()
    region = name_field(db_default="")
    agent = name_field(16, db_default="")
    stage = name_field(16, db_default="")
    outcome = name_field(10)
    status_class = name_field(3)
    reason = name_field(db_default="")
    failure = name_field(20, db_default="")

    class Meta:
        abstract = True


class WholeRow(TeamRow):
    """What a whole row is about, apart from its time; `control_plane.usage.rollups.WHOLE_GRAIN`."""

    principal_id = models.UUIDField(null=True)
    key_id = name_field()
    requested_model = name_field()
    client_version = name_field(db_default="")

    class Meta:
        abstract = True


class LatencyRow(models.Model):
    """Latencies in buckets (`control_plane.usage.histogram`), by model; `rollups.LATENCY_GRAIN`."""

    grain = models.UUIDField()
    organization_id = models.UUIDField()
    provider_id = models.UUIDField(null=True)
    provider_name = name_field()
    model = name_field()
    client = name_field()
    protocol = name_field()
    region = name_field()
    gateway_counts = ArrayField(models.BigIntegerField(), default=histogram.empty)
    first_token_counts = ArrayField(models.BigIntegerField(), default=histogram.empty)
    inter_token_counts = ArrayField(models.BigIntegerField(), default=histogram.empty)
    duration_counts = ArrayField(models.BigIntegerField(), default=histogram.empty)

    class Meta:
        abstract = True


class LabelRow(MeasuredRow):
    """Sums of what carries a label: a rule that was about it, or a tag of its metadata, besides its team."""

    grain = models.UUIDField()
    organization_id = models.UUIDField()
    label = name_field(220)
    """`rule`, or `metadata.<key>`."""
    value = name_field()
    """A rule's id, or a tag's value; `(other)` for those beyond the bound."""
    team_id = models.UUIDField(null=True)

    class Meta:
        abstract = True


class UsageHour(WholeRow):
    """Whole sums of one UTC hour."""

    pk = models.CompositePrimaryKey("organization_id", "hour", "grain")
    hour = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "principal_id", "hour"], name="usage_hour_principal"),
            models.Index(fields=["organization_id", "key_id", "hour"], name="usage_hour_key"),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.model}"


class UsageDay(WholeRow):
    """Whole sums of one UTC day."""

    pk = models.CompositePrimaryKey("organization_id", "day", "grain")
    day = models.DateField()

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "principal_id", "day"], name="usage_day_principal"),
            models.Index(fields=["organization_id", "key_id", "day"], name="usage_day_key"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.model}"


class TeamMinute(TeamRow):
    """Sums by team of one minute; kept some days (`SWITCHYARD_MINUTES_DAYS`)."""

    pk = models.CompositePrimaryKey("organization_id", "minute", "grain")
    minute = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="usage_minute_age")]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.model}"


class TeamHour(TeamRow):
    """Sums by team of one UTC hour."""

    pk = models.CompositePrimaryKey("organization_id", "hour", "grain")
    hour = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.model}"


class TeamDay(TeamRow):
    """Sums by team of one UTC day."""

    pk = models.CompositePrimaryKey("organization_id", "day", "grain")
    day = models.DateField()

    def __str__(self) -> str:
        return f"{self.day} {self.model}"


class LatencyMinute(LatencyRow):
    """Latencies of one minute; kept as long as sums by the minute."""

    pk = models.CompositePrimaryKey("organization_id", "minute", "grain")
    minute = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="usage_latency_minute_age")]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.model}"


class LatencyHour(LatencyRow):
    """Latencies of one UTC hour."""

    pk = models.CompositePrimaryKey("organization_id", "hour", "grain")
    hour = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.model}"


class LatencyDay(LatencyRow):
    """Latencies of one UTC day."""

    pk = models.CompositePrimaryKey("organization_id", "day", "grain")
    day = models.DateField()

    def __str__(self) -> str:
        return f"{self.day} {self.model}"


class LabelHour(LabelRow):
    """Sums of one label in one UTC hour."""

    pk = models.CompositePrimaryKey("organization_id", "label", "hour", "grain")
    hour = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.label}={self.value}"


class LabelDay(LabelRow):
    """Sums of one label on one UTC day."""

    pk = models.CompositePrimaryKey("organization_id", "label", "day", "grain")
    day = models.DateField()

    def __str__(self) -> str:
        return f"{self.day} {self.label}={self.value}"


class LabelValue(models.Model):
    """A value of a label that has sums of its own. What comes when there is no room left is `(other)`."""

    pk = models.CompositePrimaryKey("organization_id", "label", "value")
    organization_id = models.UUIDField()
    label = name_field(220)
    value = name_field()
    first_seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.label}={self.value}"


class LabelOverflow(models.Model):
    """What of a label found no place under the bound, so that it is seen."""

    pk = models.CompositePrimaryKey("organization_id", "label")
    organization_id = models.UUIDField()
    label = name_field(220)
    rows = models.BigIntegerField()
    """Rows of the ledger that were counted as `(other)`."""
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.label}: {self.rows}"


class PeakHour(models.Model):
    """The most exchanges that ran at once in one UTC hour: of an organization, and of any one team, principal or key
    in it. Kept 14 days."""

    pk = models.CompositePrimaryKey("organization_id", "hour", "whose")
    organization_id = models.UUIDField()
    hour = models.DateTimeField()
    whose = models.CharField(max_length=12)
    """organization, team, principal, key."""
    peak = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["hour"], name="usage_peak_age")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.whose}: {self.peak}"
