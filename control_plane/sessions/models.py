"""What was worked out of each session, so that lists and totals need not look at its rows again."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from control_plane.organizations.models import Organization
from control_plane.usage.models import ConversationSession

LEAST_SHARE_PER_MILLE = 300
REPOSITORY_KEYS = ("repository", "repo")
NAME_LENGTH = 200


def repository_keys() -> list[str]:
    return list(REPOSITORY_KEYS)


class SessionSettings(models.Model):
    """What an organization holds to be a low cache share, and under which metadata keys its repositories are named."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="session_settings"
    )
    least_cache_share_per_mille = models.PositiveSmallIntegerField(default=LEAST_SHARE_PER_MILLE)
    """Sessions below it are flagged."""
    repository_keys = ArrayField(models.CharField(max_length=64), default=repository_keys)
    """The first one that a session's metadata has."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(least_cache_share_per_mille__lte=1000), name="conversations_share_is_a_share"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organization_id.hex}: {self.least_cache_share_per_mille} ‰"


class SummedTurns(models.Model):
    """`control_plane.sessions.analysis.session.Sums` in columns. Money is nano-USD, times are milliseconds."""

    turns = models.BigIntegerField(default=0)
    asides = models.BigIntegerField(default=0)
    typed = models.BigIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)
    saved_cache_nano_usd = models.BigIntegerField(default=0)
    tool_results = models.BigIntegerField(default=0)
    failed_tool_results = models.BigIntegerField(default=0)
    repeats = models.BigIntegerField(default=0)
    gateway_retries = models.BigIntegerField(default=0)
    aborts = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    compactions = models.BigIntegerField(default=0)
    model_changes = models.BigIntegerField(default=0)
    failovers = models.BigIntegerField(default=0)
    tool_ms = models.BigIntegerField(default=0)
    person_ms = models.BigIntegerField(default=0)
    model_ms = models.BigIntegerField(default=0)
    cold_nano_usd = models.BigIntegerField(default=0)
    broken_nano_usd = models.BigIntegerField(default=0)
    moved_nano_usd = models.BigIntegerField(default=0)
    uncached_nano_usd = models.BigIntegerField(default=0)
    loop_nano_usd = models.BigIntegerField(default=0)
    avoidable_nano_usd = models.BigIntegerField(default=0)
    unavoidable_nano_usd = models.BigIntegerField(default=0)
    stop_reasons = models.JSONField(default=dict)

    class Meta:
        abstract = True


class SessionSummary(SummedTurns):
    """One session as it was when its rows were last looked at."""

    session = models.OneToOneField(
        # A summary never outlives its session by a rule of the database: sessions are written by COPY and merges.
        ConversationSession,
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="summary",
    )
    organization_id = models.UUIDField()
    principal_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    client = models.CharField(max_length=NAME_LENGTH)
    repository = models.CharField(max_length=NAME_LENGTH, blank=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    agents = models.IntegerField(default=0)
    most_context = models.BigIntegerField(default=0)
    """Tokens of the longest prompt."""
    cache_share_per_mille = models.IntegerField(default=0)
    share_cause = models.CharField(max_length=32, blank=True)
    """What took most from that share; a Cause."""
    finding_kinds = ArrayField(models.CharField(max_length=32), default=list)
    is_partial = models.BooleanField(default=False)
    """The session has more rows than are looked at; the newest are."""
    moved_at = models.DateTimeField()
    """The session's `moved_at` that this speaks of."""
    analysed_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "-last_seen"], name="conversations_newest"),
            models.Index(fields=["organization_id", "-avoidable_nano_usd"], name="conversations_avoidable"),
        ]

    def __str__(self) -> str:
        return str(self.session_id)


class SessionDay(SummedTurns):
    """What a session did on one UTC day with one model at one target. Dashboards add these up."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(ConversationSession, on_delete=models.CASCADE, db_constraint=False, related_name="days")
    organization_id = models.UUIDField()
    principal_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    client = models.CharField(max_length=NAME_LENGTH)
    repository = models.CharField(max_length=NAME_LENGTH, blank=True)
    day = models.DateField()
    model = models.CharField(max_length=NAME_LENGTH)
    provider_id = models.UUIDField(null=True)
    provider_name = models.CharField(max_length=NAME_LENGTH)
    begun = models.SmallIntegerField(default=0)
    """1 in one row of each session, that of its first day: sessions are counted by adding up, as all else is."""
    joined = models.SmallIntegerField(default=0)
    """1 in the first row that the session has of this model and target."""

    class Meta:
        indexes = [
            models.Index(fields=["organization_id", "day"], name="conversations_day"),
            models.Index(fields=["organization_id", "principal_id", "day"], name="conversations_day_principal"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.day} {self.model}"


class SessionFinding(models.Model):
    """One finding of a session (`control_plane.sessions.analysis.findings.Finding`)."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(
        ConversationSession, on_delete=models.CASCADE, db_constraint=False, related_name="findings"
    )
    organization_id = models.UUIDField()
    principal_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    kind = models.CharField(max_length=32)
    cause = models.CharField(max_length=32)
    is_avoidable = models.BooleanField()
    agent_id = models.CharField(max_length=NAME_LENGTH, blank=True)
    turn = models.IntegerField()
    exchange_id = models.CharField(max_length=26)
    at = models.DateTimeField()
    money_nano_usd = models.BigIntegerField()
    lost_tokens = models.BigIntegerField()
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organization_id", "-at"], name="conversations_finding_newest")]

    def __str__(self) -> str:
        return f"{self.kind} ({self.cause}) at turn {self.turn}"


class SessionWatermark(models.Model):
    """Sessions that moved before it have been looked at. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    through = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="conversations_one_watermark")]

    def __str__(self) -> str:
        return self.through.isoformat()
