"""Rows of usage. Ids of other apps are plain columns: an event outlives what it speaks of."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from control_plane.usage import entries
from control_plane.usage.book_models import Adjustment as Adjustment
from control_plane.usage.book_models import ClosedMonth as ClosedMonth
from control_plane.usage.book_models import MissingEvents as MissingEvents
from control_plane.usage.book_models import Orphan as Orphan
from control_plane.usage.book_models import PodSequence as PodSequence
from control_plane.usage.book_models import RefusedReport as RefusedReport
from control_plane.usage.pseudonym_models import Pseudonym as Pseudonym
from control_plane.usage.repricing_models import Repricing as Repricing
from control_plane.usage.rollup_models import LabelDay as LabelDay
from control_plane.usage.rollup_models import LabelHour as LabelHour
from control_plane.usage.rollup_models import LabelOverflow as LabelOverflow
from control_plane.usage.rollup_models import LabelValue as LabelValue
from control_plane.usage.rollup_models import LatencyDay as LatencyDay
from control_plane.usage.rollup_models import LatencyHour as LatencyHour
from control_plane.usage.rollup_models import LatencyMinute as LatencyMinute
from control_plane.usage.rollup_models import MeasuredRow
from control_plane.usage.rollup_models import PeakHour as PeakHour
from control_plane.usage.rollup_models import TeamDay as TeamDay
from control_plane.usage.rollup_models import TeamHour as TeamHour
from control_plane.usage.rollup_models import TeamMinute as TeamMinute
from control_plane.usage.rollup_models import UsageDay as UsageDay
from control_plane.usage.rollup_models import UsageHour as UsageHour


class InboxBatch(models.Model):
    """A reported batch that is durable but not yet in the ledger. Deleted in the transaction that books it."""

    id = models.BigAutoField(primary_key=True)
    pod_id = models.CharField(max_length=200)
    boot_id = models.BinaryField()
    first_sequence = models.BigIntegerField()
    last_sequence = models.BigIntegerField()
    event_count = models.IntegerField()
    payload = models.BinaryField()
    """A serialised UsageBatch without its failed authentications."""
    payload_digest = models.UUIDField()
    """Only a byte-identical batch is a repeat: one that begins alike but holds more must not be lost."""
    received_at = models.DateTimeField()
    parked_reason = models.CharField(max_length=500, blank=True, default="")
    """Why this batch cannot be booked; empty: it waits its turn. A parked batch is kept for an operator."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["pod_id", "boot_id", "first_sequence", "payload_digest"], name="usage_inbox_batch_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.pod_id} {self.first_sequence}-{self.last_sequence}"


class LedgerEntry(models.Model):
    """One attempt of an exchange, or the reversal of such a row. Append-only; partitioned by admission day.

    The table is made by SQL in the first migration, because Django cannot declare partitions.
    """

    pk = models.CompositePrimaryKey("day", "exchange_id", "attempt", "kind", "revision")
    day = models.DateField()
    exchange_id = models.CharField(max_length=26)
    attempt = models.IntegerField()
    kind = models.CharField(max_length=16, choices=[(k, k) for k in (*entries.CERTAINTY, entries.REVERSAL)])
    revision = models.IntegerField()
    outcome = models.CharField(max_length=10, choices=[(o, o) for o in entries.OUTCOMES])
    reason = models.CharField(max_length=200)
    organization_id = models.UUIDField()
    key_id = models.CharField(max_length=200)
    principal_id = models.UUIDField(null=True)
    principal_kind = models.CharField(max_length=16)
    team_id = models.UUIDField(null=True)
    tags = models.JSONField()
    request_tags = models.JSONField()
    protocol = models.CharField(max_length=200)
    operation = models.CharField(max_length=200)
    requested_model = models.CharField(max_length=200)
    model = models.CharField(max_length=200)
    provider_id = models.UUIDField(null=True)
    provider_name = models.CharField(max_length=200)
    vendor = models.CharField(max_length=200)
    account = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    region = models.CharField(max_length=200)
    client = models.CharField(max_length=200)
    client_version = models.CharField(max_length=200)
    session_id = models.CharField(max_length=200)
    agent_id = models.CharField(max_length=200)
    parent_session_id = models.CharField(max_length=200)
    session_is_derived = models.BooleanField()
    started_at = models.DateTimeField()
    gateway_us = models.BigIntegerField()
    first_byte_us = models.BigIntegerField()
    first_token_us = models.BigIntegerField()
    duration_us = models.BigIntegerField()
    streamed = models.BooleanField()
    client_status = models.IntegerField()
    upstream_status = models.IntegerField()
    request_bytes = models.BigIntegerField()
    response_bytes = models.BigIntegerField()
    stop_reason = models.CharField(max_length=200)
    error_type = models.CharField(max_length=200)
    error_text = models.CharField(max_length=2000)
    upstream_request_id = models.CharField(max_length=200)
    chunks = models.BigIntegerField()
    input_fresh = models.BigIntegerField()
    input_tool = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    cache_write_5m = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    cache_write_30m = models.BigIntegerField()
    cache_write_12h = models.BigIntegerField()
    cache_write_other = models.BigIntegerField()
    output = models.BigIntegerField()
    reasoning = models.BigIntegerField()
    web_searches = models.BigIntegerField()
    service_tier = models.CharField(max_length=200)
    inference_geo = models.CharField(max_length=200)
    cost_nano_usd = models.BigIntegerField()
    price_version = models.CharField(max_length=200)
    usage_is_inconsistent = models.BooleanField()
    is_subscription = models.BooleanField()
    policy_epoch = models.BigIntegerField()
    policy_version = models.BigIntegerField()
    pod_id = models.CharField(max_length=200)
    path = models.CharField(max_length=2000)
    traceparent = models.CharField(max_length=200)
    decision = models.BinaryField(null=True)
    rules_digest = models.UUIDField(null=True)
    counted_at = models.DateTimeField()
    stage = models.CharField(max_length=16)
    agent = models.CharField(max_length=16)
    saved_cache_nano_usd = models.BigIntegerField()
    saved_downgrade_nano_usd = models.BigIntegerField()
    extras = models.JSONField()
    facts = models.BinaryField(null=True)
    price_note = models.CharField(max_length=16)
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "usage_ledger"

    def __str__(self) -> str:
        return f"{self.exchange_id} {self.attempt} {self.kind} {self.revision}"


class QuarantinedEvent(models.Model):
    """An event that was acknowledged but not believed."""

    id = models.BigAutoField(primary_key=True)
    digest = models.UUIDField(unique=True)
    """Of pod, boot, sequence and payload: a repeat is kept once."""
    reason = models.CharField(max_length=40)
    detail = models.CharField(max_length=500)
    pod_id = models.CharField(max_length=200)
    boot_id = models.BinaryField()
    sequence = models.DecimalField(max_digits=20, decimal_places=0)
    payload = models.BinaryField()
    """The serialised UsageEvent."""
    quarantined_at = models.DateTimeField()
    organization_id = models.UUIDField(null=True)
    """As the event names it, whether there is such a one or not; None: it names none."""
    settled_at = models.DateTimeField(null=True)
    """None: it waits for somebody to look at it."""
    settlement = models.CharField(max_length=20, blank=True, default="", db_default="")
    """booked, dismissed."""
    settled_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    note = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["-quarantined_at"], name="usage_quarantine_newest"),
            models.Index(
                fields=["organization_id", "-quarantined_at"],
                name="usage_quarantine_open",
                condition=models.Q(settled_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class FailedAuthenticationMinute(models.Model):
    """How many failed authentications pods saw in a minute, by reason and source. Never one row per attempt."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    reason = models.CharField(max_length=40)
    source = models.CharField(max_length=100)
    pod_id = models.CharField(max_length=200)
    count = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["minute", "reason", "source", "pod_id"], name="usage_failed_authentication_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.reason} {self.source}: {self.count}"


def _part_of(name: str, length: str) -> models.GeneratedField:
    """The stretch of time that another column's instant lies in, by its beginning."""
    template = f"date_bin('{length}', %(expressions)s, '2000-01-01 00:00:00+00')"
    return models.GeneratedField(
        expression=models.Func(models.F(name), function="date_bin", template=template),
        output_field=models.DateTimeField(),
        db_persist=True,
    )


class ConversationSession(MeasuredRow):
    """One run of a coding tool on one key, as the tool named it."""

    id = models.UUIDField(primary_key=True)
    organization_id = models.UUIDField()
    key_id = models.CharField(max_length=200)
    session_id = models.CharField(max_length=200)
    """The tool's own word."""
    team_id = models.UUIDField(null=True)
    principal_id = models.UUIDField(null=True)
    principal_kind = models.CharField(max_length=16)
    client = models.CharField(max_length=200)
    client_version = models.CharField(max_length=200)
    parent_session_id = models.CharField(max_length=200)
    is_derived = models.BooleanField()
    """The tool named no session; this one was found from other traits."""
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    model_names = ArrayField(models.CharField(max_length=200))
    agent_ids = ArrayField(models.CharField(max_length=200))
    moved_at = models.DateTimeField(db_default=Now())
    """When its sums last moved, by the database's clock; the transaction that moved them may commit a little later."""
    # What indexes know of both instants: sessions move with every booking, and an update that changes nothing that is
    # indexed touches no index.
    seen_hour = _part_of("last_seen", "1 hour")
    moved_part = _part_of("moved_at", "10 minutes")

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "-seen_hour"], name="usage_session_newest"),
            models.Index(fields=["moved_part"], name="usage_session_moved"),
            models.Index(fields=["organization_id", "principal_id", "-seen_hour"], name="usage_session_principal"),
            models.Index(fields=["organization_id", "session_id"], name="usage_session_name"),
        ]

    def __str__(self) -> str:
        return self.session_id


class KeyLastUse(models.Model):
    """When a key was last used, so that a key page reads one row."""

    key_id = models.CharField(max_length=200, primary_key=True)
    organization_id = models.UUIDField()
    used_at = models.DateTimeField()
    exchange_id = models.CharField(max_length=26)
    client = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.key_id} {self.used_at}"


class RulesSeen(models.Model):
    """The rules that were looked at for some exchanges: once for all of them, named by a digest of their text."""

    digest = models.UUIDField(primary_key=True)
    payload = models.BinaryField()
    """A compressed RulesSeen message."""
    last_day = models.DateField()
    """The newest day whose rows name it; it goes with that day's partition."""
    rule_ids = ArrayField(models.CharField(max_length=200), db_default=[])
    """Those of them that were about the exchange, so that rows can be grouped by rule."""

    class Meta:
        indexes = [models.Index(fields=["last_day"], name="usage_rules_seen_age")]

    def __str__(self) -> str:
        return self.digest.hex


class BudgetSpend(models.Model):
    """What was posted to one counter of one budget in one period: the sum of the ledger's rows that name it."""

    id = models.UUIDField(primary_key=True)
    """Of the four fields that follow (`control_plane.usage.spending.Counter`)."""
    organization_id = models.UUIDField()
    budget_id = models.UUIDField()
    """A budget, or a session cap's: what was charged outlives the rule."""
    counter = models.TextField()
    """Values of the rule's `per`, as `switchyard_contract.counters` writes them."""
    period_ms = models.BigIntegerField()
    """When the period began, Unix milliseconds; 0: for ever."""
    posted_nano_usd = models.BigIntegerField()
    count = models.BigIntegerField()
    """Attempts that stand."""
    last_at = models.DateTimeField()
    """When the newest of them began."""
    changed_at = models.DateTimeField(db_default=Now())
    """When the sum last moved, by the database's clock."""

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "budget_id", "period_ms"], name="usage_budget_spend_period"),
            models.Index(fields=["changed_at"], name="usage_budget_spend_changed"),
            models.Index(fields=["last_at"], name="usage_budget_spend_age"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id.hex} {self.counter!r} {self.period_ms}: {self.posted_nano_usd}"


class RuleDay(models.Model):
    """What one rule did on one UTC day, by the admissions of that day."""

    pk = models.CompositePrimaryKey("organization_id", "day", "rule_id")
    organization_id = models.UUIDField()
    day = models.DateField()
    rule_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    """access, rate, budget, cap, provider_limit, metadata."""
    matched = models.BigIntegerField(default=0)
    """Exchanges that the rule was about."""
    refused = models.BigIntegerField(default=0)
    """Exchanges that it refused."""
    shadow_refused = models.BigIntegerField(default=0)
    """Exchanges that it would have refused had it been enforced."""
    downgraded = models.BigIntegerField(default=0)
    """Exchanges that went to a cheaper model because of it."""

    class Meta:
        indexes = [models.Index(fields=["day"], name="usage_rule_day_age")]

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.rule_id}: {self.matched}"


class ModelDay(models.Model):
    """What one UTC day's exchanges say of a public model, of all organizations together; see `usage.ratios`."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    vendor = models.CharField(max_length=200)
    model = models.CharField(max_length=200)
    """Without the date that a vendor writes behind it."""
    ratio_counts = ArrayField(models.BigIntegerField())
    """Exchanges by what they cost of their worst case."""
    above_worst = models.BigIntegerField()
    prompts = models.BigIntegerField()
    least_bytes_per_token_milli = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "vendor", "model"], name="usage_model_day_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.vendor}/{self.model}"


class ModelMeasure(models.Model):
    """What pods are told of a public model because it was measured; 0: nothing is known."""

    id = models.BigAutoField(primary_key=True)
    vendor = models.CharField(max_length=200)
    model = models.CharField(max_length=200)
    exchanges = models.BigIntegerField()
    """Whose costs were compared."""
    above_worst = models.BigIntegerField()
    """Of them, those that cost more than the worst case that was told."""
    prompts = models.BigIntegerField()
    found_expected_per_mille = models.IntegerField()
    found_calibrated_per_mille = models.IntegerField()
    found_bytes_per_token_milli = models.IntegerField()
    expected_per_mille = models.IntegerField()
    """Told, as are the next two: what was found when it last moved by more than 5 %."""
    calibrated_per_mille = models.IntegerField()
    bytes_per_token_milli = models.IntegerField()
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["vendor", "model"], name="usage_model_measure_once")]

    def __str__(self) -> str:
        return f"{self.vendor}/{self.model}"
