"""Rows of trust in the issuers of CI systems, their public keys, and the tokens that were used."""

from uuid import uuid4

from django.db import models

from control_plane.organizations.models import Organization, ServiceAccount, name_is_plain

LONGEST_LIFETIME_S = 3600


class WorkloadTrust(models.Model):
    """Jobs whose tokens an issuer signs, and that say certain things, may act as one service account."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    service_account = models.ForeignKey(ServiceAccount, on_delete=models.CASCADE, related_name="workload_trusts")
    name = models.CharField(max_length=100, validators=[name_is_plain])
    issuer = models.CharField(max_length=300)
    """As the token's `iss` says it, letter by letter."""
    audience = models.CharField(max_length=300)
    conditions = models.JSONField(default=dict)
    """Claim to a list of patterns, one of which must fit; all claims must. `*` stops at a slash, `**` does not."""
    pinned_keys = models.JSONField(null=True, blank=True)
    """A JWKS given by hand; None: read from the issuer."""
    allowed_models = models.JSONField(default=list, blank=True)
    """Globs over requested names that its keys are for; empty: all."""
    lifetime_s = models.IntegerField(default=LONGEST_LIFETIME_S)
    """The longest a key of it lives."""
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["service_account", "name"], name="workload_trust_name"),
            models.CheckConstraint(
                condition=models.Q(lifetime_s__gte=60, lifetime_s__lte=LONGEST_LIFETIME_S),
                name="workload_trust_at_most_an_hour",
            ),
        ]
        indexes = [models.Index(fields=["organization", "service_account"], name="workload_by_account")]

    def __str__(self) -> str:
        return self.name


class IssuerKeys(models.Model):
    """An issuer's public keys as they were read last. Each organization has its own: nothing is shared."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    issuer = models.CharField(max_length=300)
    keys = models.JSONField(null=True)
    """The JWKS; None: it has never been read."""
    read_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True)
    """Why the last try failed; empty: it did not."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "issuer"], name="workload_issuer_once")]

    def __str__(self) -> str:
        return self.issuer


class UsedToken(models.Model):
    """A token that was exchanged; it is refused from then on."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    digest = models.BinaryField()
    """Of the issuer and the token's own id, or of the whole token."""
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "digest"], name="workload_token_once")]
        indexes = [models.Index(fields=["expires_at"], name="workload_token_expiry")]

    def __str__(self) -> str:
        return f"token until {self.expires_at}"
