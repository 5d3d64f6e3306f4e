"""Rows of device logins that are under way. They live for minutes; the token they lead to lives with the keys."""

from uuid import uuid4

from django.db import models

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization


class DeviceState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    REDEEMED = "redeemed"


class DeviceAuthorization(models.Model):
    """One request of a machine to act for somebody. Belongs to nobody until a person approves it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    device_code_digest = models.BinaryField(unique=True)
    user_code = models.CharField(max_length=8, unique=True)
    machine = models.CharField(max_length=100)
    """What the machine calls itself; a stranger's word, shown as such."""
    source_address = models.CharField(max_length=64, blank=True)
    """Where the request came from."""
    requested_scopes = models.JSONField(default=list, blank=True)
    requested_lifetime_s = models.IntegerField()
    state = models.CharField(max_length=10, choices=DeviceState.choices, default=DeviceState.PENDING)
    interval_s = models.IntegerField()
    """How often the machine may ask; it grows when the machine asks more often."""
    asked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    """Who decided, and for which organization."""
    granted_scopes = models.JSONField(default=list, blank=True)
    granted_lifetime_s = models.IntegerField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=DeviceState.values), name="device_state"),
            models.CheckConstraint(
                condition=models.Q(state__in=(DeviceState.PENDING, DeviceState.DENIED))
                | models.Q(organization__isnull=False, user__isnull=False, granted_lifetime_s__isnull=False),
                name="device_approved_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="device_expiry"),
            models.Index(fields=["source_address", "created_at"], name="device_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.machine} ({self.state})"
