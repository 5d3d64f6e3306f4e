"""Rows of snapshots: each version of each shard as it was sealed, and the version in force."""

from uuid import uuid4

from django.db import models


class Snapshot(models.Model):
    """One version of a shard, byte for byte as pods get it; or one that failed its checks and was not published."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    shard = models.CharField(max_length=120)
    organization_id = models.UUIDField(null=True)
    epoch = models.BigIntegerField()
    version = models.BigIntegerField()
    header = models.BinaryField(default=bytes)
    signature = models.BinaryField(default=bytes)
    payload = models.BinaryField(default=bytes)
    """As shipped (compressed); emptied when the version is old."""
    payload_sha256 = models.BinaryField(default=bytes)
    raw_sha256 = models.BinaryField(default=bytes)
    """Of the message before compression: equal content makes no new version."""
    raw_size = models.BigIntegerField(default=0)
    signing_key_id = models.CharField(max_length=60, blank=True)
    findings = models.JSONField(default=list)
    """[{"path": …, "problem": …}] of the consistency check."""
    is_published = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["shard", "-epoch", "-version", "-created_at"]
        constraints = [
            # Two compilers can never fork a chain.
            models.UniqueConstraint(
                fields=["shard", "epoch", "version"],
                condition=models.Q(is_published=True),
                name="snapshots_version_once",
            ),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="snapshots_version_positive"),
        ]
        indexes = [models.Index(fields=["organization_id", "-created_at"], name="snapshots_by_organization")]

    def __str__(self) -> str:
        return f"{self.shard} {self.epoch}.{self.version}"


class ShardHead(models.Model):
    """The version of a shard in force. Updated under the organization's lock only."""

    shard = models.CharField(primary_key=True, max_length=120)
    organization_id = models.UUIDField(null=True)
    epoch = models.BigIntegerField(default=1)
    version = models.BigIntegerField(default=0)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, null=True, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)
    """When the content was last compiled, also where it came out the same."""

    class Meta:
        ordering = ["shard"]
        indexes = [models.Index(fields=["organization_id"], name="snapshots_head_organization")]

    def __str__(self) -> str:
        return f"{self.shard} {self.epoch}.{self.version}"
