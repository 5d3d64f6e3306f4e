"""Rows of the audit: changes chained by hash, the chains' heads, and the outbox that snapshots read."""

from datetime import UTC, datetime

from django.db import models


class ActorKind(models.TextChoices):
    USER = "user"
    SERVICE_ACCOUNT = "service_account"
    TOKEN = "token"  # noqa: S105  # a kind, not a secret
    SYSTEM = "system"


class ShardKind(models.TextChoices):
    """Which shards a change touches."""

    GLOBAL = "global"
    POLICY = "policy"
    KEYS = "keys"
    DENY = "deny"


class ChainHead(models.Model):
    """Where a chain stands. Locked while a change is added, so that sequences are dense."""

    scope = models.CharField(primary_key=True, max_length=40)
    """An organization's id as 32 hex digits, or "installation"."""
    sequence = models.BigIntegerField(default=0)
    hash = models.BinaryField(default=bytes)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(sequence__gte=0), name="audit_head_sequence")]

    def __str__(self) -> str:
        return f"{self.scope} at {self.sequence}"


class Change(models.Model):
    """One change: who did what to what, when and why. Written once; the database refuses to alter or delete it."""

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=40)
    organization_id = models.UUIDField(null=True)
    """None: the change concerns the installation. A plain column, because history outlives what it speaks of."""
    sequence = models.BigIntegerField()
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=20, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_name = models.CharField(max_length=254)
    source_address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=80)
    """noun.verb-in-the-past: key.revoked"""
    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    subject_name = models.CharField(max_length=254)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(blank=True)
    previous_hash = models.BinaryField()
    hash = models.BinaryField()

    class Meta:
        ordering = ["scope", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["scope", "sequence"], name="audit_change_once"),
            models.CheckConstraint(condition=models.Q(sequence__gte=1), name="audit_change_sequence"),
            models.CheckConstraint(condition=models.Q(actor_kind__in=ActorKind.values), name="audit_change_actor_kind"),
        ]
        indexes = [
            models.Index(fields=["organization_id", "-at"], name="audit_by_time"),
            models.Index(fields=["organization_id", "subject_kind", "subject_id"], name="audit_by_subject"),
            models.Index(fields=["scope", "action", "-sequence"], name="audit_by_action"),
            models.Index(fields=["scope", "subject_kind", "subject_id", "-sequence"], name="audit_by_subject_kind"),
            models.Index(fields=["scope", "source_address", "-sequence"], name="audit_by_source"),
            models.Index(fields=["scope", "at"], name="audit_by_scope_time"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.sequence} {self.action}"


class PublishedHead(models.Model):
    """Where a chain stood, signed. The newest of each chain travel in the global shard; all go to the heads' file."""

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=40)
    sequence = models.BigIntegerField()
    hash = models.BinaryField()
    at_ms = models.BigIntegerField()
    signing_key_id = models.CharField(max_length=60)
    signature = models.BinaryField()
    is_filed = models.BooleanField(default=False)
    """Whether it stands in the heads' file; always so where the installation keeps none."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["scope", "sequence"], name="audit_published_head_once"),
            models.CheckConstraint(condition=models.Q(sequence__gte=1), name="audit_published_head_sequence"),
        ]
        indexes = [
            models.Index(fields=["id"], name="audit_head_unfiled", condition=models.Q(is_filed=False)),
        ]

    def __str__(self) -> str:
        return f"{self.scope} at {self.sequence}, signed by {self.signing_key_id}"

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.at_ms / 1000, tz=UTC)

    @property
    def hash_hex(self) -> str:
        return bytes(self.hash).hex()


class Outbox(models.Model):
    """A change that a shard must reflect. Stamped with the version that does; unstamped rows are still to compile."""

    id = models.BigAutoField(primary_key=True)
    change = models.ForeignKey(Change, on_delete=models.PROTECT, related_name="outbox")
    organization_id = models.UUIDField(null=True)
    """None only for the global shard."""
    shard_kind = models.CharField(max_length=10, choices=ShardKind.choices)
    created_at = models.DateTimeField()
    compiled_epoch = models.BigIntegerField(null=True)
    compiled_version = models.BigIntegerField(null=True)
    compiled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(shard_kind__in=ShardKind.values), name="audit_outbox_kind"),
            models.CheckConstraint(
                condition=models.Q(shard_kind=ShardKind.GLOBAL, organization_id__isnull=True)
                | (~models.Q(shard_kind=ShardKind.GLOBAL) & models.Q(organization_id__isnull=False)),
                name="audit_outbox_organization",
            ),
            models.CheckConstraint(
                condition=models.Q(compiled_epoch__isnull=True, compiled_version__isnull=True)
                | models.Q(compiled_epoch__isnull=False, compiled_version__isnull=False),
                name="audit_outbox_stamp",
            ),
        ]
        indexes = [
            models.Index(
                fields=["shard_kind", "organization_id", "id"],
                name="audit_outbox_open",
                condition=models.Q(compiled_version__isnull=True),
            ),
            models.Index(fields=["organization_id", "shard_kind", "compiled_version"], name="audit_outbox_by_version"),
        ]

    def __str__(self) -> str:
        return f"{self.shard_kind} of {self.organization_id}"
