"""Rows of the fleet. They tell what pods last said of themselves; nothing is decided from them."""

from django.db import models


class Pod(models.Model):
    """A pod that has dialled in."""

    id = models.BigAutoField(primary_key=True)
    pod_id = models.CharField(max_length=200, unique=True)
    boot_id = models.CharField(max_length=64, blank=True)
    """As hex; new at each start."""
    software_version = models.CharField(max_length=60, blank=True)
    contract_revision = models.IntegerField(default=0)
    address = models.CharField(max_length=200, blank=True)
    """Its admin address, for people."""
    first_seen_at = models.DateTimeField(auto_now_add=True)
    connected_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    disconnected_at = models.DateTimeField(null=True)
    """None while a stream is open."""
    status_at = models.DateTimeField(null=True)
    in_flight = models.IntegerField(default=0)
    spool_records = models.BigIntegerField(default=0)
    spool_bytes = models.BigIntegerField(default=0)
    counters_reachable = models.BooleanField(default=True)
    draining = models.BooleanField(default=False)
    loop_lag_ms = models.IntegerField(default=0)
    degraded = models.JSONField(default=list)
    """The words the pod's /readyz shows."""

    class Meta:
        ordering = ["pod_id"]

    def __str__(self) -> str:
        return self.pod_id


class PodShard(models.Model):
    """What a pod holds of a shard, and what it last refused."""

    id = models.BigAutoField(primary_key=True)
    pod = models.ForeignKey(Pod, on_delete=models.CASCADE, related_name="shards")
    shard = models.CharField(max_length=120)
    acked_epoch = models.BigIntegerField(default=0)
    acked_version = models.BigIntegerField(default=0)
    acked_at = models.DateTimeField(null=True)
    nack_code = models.CharField(max_length=40, blank=True)
    """Empty: nothing refused since the last acknowledgement. Otherwise the NackCode without its prefix."""
    nack_detail = models.CharField(max_length=1000, blank=True)
    nack_epoch = models.BigIntegerField(default=0)
    nack_version = models.BigIntegerField(default=0)
    """The version that was offered."""
    nacked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pod", "shard"]
        constraints = [models.UniqueConstraint(fields=["pod", "shard"], name="fleet_pod_shard_once")]
        indexes = [models.Index(fields=["shard", "acked_epoch", "acked_version"], name="fleet_by_version")]

    def __str__(self) -> str:
        return f"{self.pod_id}: {self.shard} {self.acked_epoch}.{self.acked_version}"


class CounterLoss(models.Model):
    """Pods found the counters of an organization lost or gone back in time: the books are to be read in.

    A row, and not a thought of the process that heard it: pods may report usage to another one.
    """

    organization_id = models.UUIDField(primary_key=True)
    generation = models.BigIntegerField()
    """The policy's, when it was found; it is over once the policy names a later one."""
    reported_at = models.DateTimeField()
    """When a pod last said so."""
    laying_at = models.DateTimeField(null=True)
    """When the process that has its books laid in last said so; None: nobody does."""
    floors_of = models.BigIntegerField(default=0)
    """How many floors the books have."""
    floors_laid = models.BigIntegerField(default=0)
    """How many of them the counter store has, as it says itself."""
    told_at = models.DateTimeField(null=True)
    """When the counter store had them all; None: not yet."""

    class Meta:
        ordering = ["reported_at"]

    def __str__(self) -> str:
        return f"{self.organization_id}: generation {self.generation}"
