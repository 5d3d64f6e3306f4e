"""Rows of providers. A credential is stored only sealed; its plain text is in no column."""

from uuid import uuid4

from django.core.validators import RegexValidator
from django.db import models

from control_plane.organizations.models import Organization

provider_name_is_plain = RegexValidator(
    r"^[a-z0-9][a-z0-9._-]{0,59}$", "Lower-case letters, digits, dots, dashes and underscores; at most 60."
)


class CredentialSource(models.TextChoices):
    NONE = "none"
    VALUE = "value"
    ENV = "env"
    FILE = "file"
    PASSTHROUGH = "passthrough"
    """The caller's own credential travels on (subscriptions)."""


class Provider(models.Model):
    """An upstream account: vendor, address and credential."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="providers")
    name = models.CharField(max_length=60, validators=[provider_name_is_plain])
    vendor = models.CharField(max_length=40)
    base_url = models.CharField(max_length=300)
    region = models.CharField(max_length=60, blank=True)
    account = models.CharField(max_length=100, blank=True)
    """The upstream account as people call it."""
    protocols = models.JSONField(default=list, blank=True)
    """Empty: the vendor's own."""
    served_models = models.JSONField(default=list)
    """Model ids or globs the account serves; "*": all."""
    credential_source = models.CharField(max_length=12, choices=CredentialSource.choices, default=CredentialSource.NONE)
    credential_reference = models.CharField(max_length=300, blank=True)
    """Name of the environment variable or path of the file the credential is read from."""
    sealed_key_version = models.IntegerField(default=0)
    sealed_nonce = models.BinaryField(default=bytes)
    sealed_ciphertext = models.BinaryField(default=bytes)
    credential_version = models.IntegerField(default=0)
    """Raised at each replacement, never used twice."""
    credential_replaced_at = models.DateTimeField(null=True)
    allows_private_address = models.BooleanField(default=False)
    """Whether the address was found inside the deployment's private networks when it was saved."""
    is_external = models.BooleanField(default=True)
    """Outside the organization's own networks: its prompts leave the house. Access rules speak of it."""
    max_concurrent_requests = models.BigIntegerField(default=0)
    """What protects the account or the machine, counted for all callers together; 0: no limit."""
    max_requests_per_minute = models.BigIntegerField(default=0)
    max_tokens_per_minute = models.BigIntegerField(default=0)
    connect_timeout_ms = models.IntegerField(default=5_000)
    first_byte_timeout_ms = models.IntegerField(default=600_000)
    idle_timeout_ms = models.IntegerField(default=300_000)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="credentials_provider_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="credentials_provider_owner"),
            models.CheckConstraint(
                condition=models.Q(credential_source__in=CredentialSource.values), name="credentials_source"
            ),
            models.CheckConstraint(
                condition=models.Q(connect_timeout_ms__gte=100)
                & models.Q(first_byte_timeout_ms__gte=1_000)
                & models.Q(idle_timeout_ms__gte=1_000),
                name="credentials_timeouts",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    max_concurrent_requests__gte=0, max_requests_per_minute__gte=0, max_tokens_per_minute__gte=0
                ),
                name="credentials_limits",
            ),
            models.CheckConstraint(
                condition=models.Q(credential_source__in=["none", "passthrough"], sealed_key_version=0)
                | models.Q(credential_source__in=["value", "env", "file"], sealed_key_version__gte=1),
                name="credentials_sealed_when_there_is_one",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_credential(self) -> bool:
        return self.sealed_key_version > 0

    @property
    def passes_caller_credential(self) -> bool:
        return self.credential_source == CredentialSource.PASSTHROUGH
