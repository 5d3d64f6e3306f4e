"""Rows of credentials that Switchyard itself issues. Only digests are stored: a token is shown once."""

from datetime import datetime
from fnmatch import fnmatchcase
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models

from control_plane.accounts.models import User
from control_plane.keys.buckets import BucketField
from control_plane.organizations.models import Organization, ServiceAccount, Team
from switchyard_contract.virtual_key import KeyKind

VIRTUAL_KIND_CHOICES = [(KeyKind.PERSONAL.value, "personal"), (KeyKind.SERVICE.value, "service")]


class VirtualKey(models.Model):
    """What a client presents. Belongs to one person or one service account, is charged to one team."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="virtual_keys")
    key_id = models.CharField(max_length=12, unique=True)
    """The public part of the token; what pods and events name."""
    bucket = BucketField()
    """Which of many key shards it is in."""
    kind = models.CharField(max_length=6, choices=VIRTUAL_KIND_CHOICES)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)
    digest = models.BinaryField()
    pepper_version = models.IntegerField()
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="virtual_keys")
    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.PROTECT, null=True, blank=True, related_name="virtual_keys"
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="virtual_keys")
    allowed_models = models.JSONField(default=list, blank=True)
    """Globs over requested names; empty: all."""
    allowed_routes = models.JSONField(default=list, blank=True)
    """Protocols the key may be used with (switchyard_contract.routes); empty: all."""
    source_networks = models.JSONField(default=list, blank=True)
    """CIDRs the key may be used from; empty: anywhere."""
    tags = models.JSONField(default=dict, blank=True)
    """Win over what request headers say."""
    expires_at = models.DateTimeField(null=True, blank=True)
    rotation_days = models.PositiveIntegerField(null=True, blank=True)
    """How long a key of this line lives before a successor is due; None: no schedule."""
    rotation_grace_s = models.PositiveIntegerField(default=0)
    """How long an overdue key works on, s; then it expires by itself."""
    rotate_by = models.DateTimeField(null=True, blank=True)
    """When a successor is due, by the schedule."""
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=300, blank=True)
    revoked_by = models.CharField(max_length=254, blank=True)
    """The name of whoever did it, as it was."""
    cut_streams = models.BooleanField(default=False)
    """Whether the revocation ends running streams too."""
    rotated_from = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="rotated_to")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind=KeyKind.PERSONAL.value, user__isnull=False, service_account__isnull=True)
                | models.Q(kind=KeyKind.SERVICE.value, user__isnull=True, service_account__isnull=False),
                name="keys_virtual_key_one_owner",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "revoked_at"], name="keys_by_revocation"),
            models.Index(fields=["organization", "user"], name="keys_by_user"),
            models.Index(fields=["organization", "bucket"], name="keys_by_bucket"),
            models.Index(fields=["organization", "-created_at", "id"], name="keys_by_age"),
            models.Index(fields=["expires_at"], name="keys_by_end", condition=models.Q(revoked_at__isnull=True)),
            models.Index(fields=["rotate_by"], name="keys_by_rotation", condition=models.Q(revoked_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None


class KeyRules(models.Model):
    """Within what members mint keys of their own; an organization without a row has no limits."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="key_rules"
    )
    members_may_mint = models.BooleanField(default=True)
    max_personal_keys = models.PositiveIntegerField(null=True, blank=True)
    """How many live keys a person may hold; None: any number."""
    max_personal_days = models.PositiveIntegerField(null=True, blank=True)
    """How long a personal key lives at most; None: as long as its maker says, or for ever."""
    personal_models = models.JSONField(default=list, blank=True)
    """Globs that personal keys stay within; empty: all models."""
    max_token_days = models.PositiveIntegerField(null=True, blank=True)
    """How long a token of the admin API lives at most; None: a year."""
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"key rules of {self.organization_id}"


class NoticeKind(models.TextChoices):
    EXPIRES = "expires"
    ROTATION_DUE = "rotation_due", "rotation due"


class KeyNotice(models.Model):
    """Somebody was told that a key is about to end; the row keeps it from being told twice."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(VirtualKey, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=12, choices=NoticeKind.choices)
    due_at = models.DateTimeField()
    """When the key ends, or its successor is due: a moved date is told anew."""
    days_before = models.PositiveIntegerField()
    recipients = models.JSONField(default=list)
    """E-mail addresses, as they were."""
    mailed_to = models.JSONField(default=list)
    """Those of them that the mail went to."""
    created_at = models.DateTimeField(auto_now_add=True)
    mailed_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=300, blank=True)
    """Why the mail could not be sent; empty: it was, or is waiting."""

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["key", "kind", "due_at", "days_before"], name="keys_notice_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.key_id}"


class AdminToken(models.Model):
    """A person's token for the admin REST API of one organization. It may what its person may at the time of each use,
    and of that only what its scopes say."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="admin_tokens")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="admin_tokens")
    token_id = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)
    digest = models.BinaryField()
    pepper_version = models.IntegerField()
    scopes = models.JSONField(null=True, blank=True)
    """Values of organizations.roles.Permission; None: everything its person may."""
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def updated_at(self) -> datetime:
        """When it last changed; being used changes nothing of it."""
        return self.revoked_at or self.created_at


class PodToken(models.Model):
    """The fleet's join token; two may be valid at once, for rotation."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    token_id = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)
    digest = models.BinaryField()
    pepper_version = models.IntegerField()
    pods = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    """Globs of the pod ids that its bearers may call themselves by; empty: any."""
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def may_be(self, pod_id: str) -> bool:
        """Whether a bearer may call itself by this pod id."""
        return not self.pods or any(fnmatchcase(pod_id, glob) for glob in self.pods)
