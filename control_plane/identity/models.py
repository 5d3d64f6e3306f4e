"""Rows of single sign-on. A connection belongs to one organization; nothing of it is shared with another tenant."""

from uuid import uuid4

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization, Role, Team

connection_name_is_plain = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,58}[A-Za-z0-9.]$|^[A-Za-z0-9]$",
    "Letters, digits, spaces, dots, dashes and underscores; at most 60; starts with a letter or digit.",
)
domain_is_plain = RegexValidator(
    r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$",
    "A domain such as example.com, in lower case and without an @.",
)


class ConnectionKind(models.TextChoices):
    OIDC = "oidc", "OpenID Connect"
    SAML = "saml", "SAML"


class IdentityConnection(models.Model):
    """An identity provider that one organization trusts to say who its people are."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="identity_connections")
    kind = models.CharField(max_length=8, choices=ConnectionKind.choices)
    name = models.CharField(max_length=60, validators=[connection_name_is_plain])
    """What the button says: Continue with ..."""
    vendor = models.CharField(max_length=20, blank=True)
    """Which product it is (okta, entra, google, keycloak, other): chooses hints, nothing else."""
    issuer = models.CharField(max_length=300)
    """OIDC: the issuer, below which its discovery document lies. SAML: the entity id of the identity provider."""
    client_id = models.CharField(max_length=300, blank=True)
    """OIDC only."""
    sealed_key_version = models.IntegerField(default=0)
    sealed_nonce = models.BinaryField(default=bytes)
    sealed_ciphertext = models.BinaryField(default=bytes)
    secret_version = models.IntegerField(default=0)
    """Raised at each replacement of the client secret, never used twice."""
    metadata_url = models.CharField(max_length=300, blank=True)
    """SAML: where the metadata was read; empty: it was pasted."""
    sso_url = models.CharField(max_length=500, blank=True)
    """SAML: where sign-in requests go."""
    certificates = models.JSONField(default=list, blank=True)
    """SAML: certificates that assertions may be signed with, base64 without PEM lines; two during a roll-over."""
    email_claim = models.CharField(max_length=200, blank=True)
    """Claim or attribute that holds the e-mail; empty: the usual ones."""
    group_claim = models.CharField(max_length=200, default="groups")
    default_role = models.CharField(max_length=20, choices=Role.choices, default=Role.MEMBER)
    allows_new_people = models.BooleanField(default=True)
    """Whether a person the organization does not know becomes a member on the first sign-in."""
    is_active = models.BooleanField(default=True)
    is_enforced = models.BooleanField(default=False)
    """Members may not use a password for this organization, besides the break-glass owner."""
    break_glass_owner = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    tested_at = models.DateTimeField(null=True, blank=True)
    """When a sign-in with the present settings was tried last; empty after every change of them."""
    tested_by = models.CharField(max_length=254, blank=True)
    test_problem = models.CharField(max_length=500, blank=True)
    """Why that test failed; empty: it succeeded."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="identity_connection_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="identity_connection_owner"),
            models.CheckConstraint(condition=models.Q(kind__in=ConnectionKind.values), name="identity_connection_kind"),
            models.CheckConstraint(
                condition=models.Q(default_role__in=Role.values), name="identity_connection_default_role"
            ),
            models.CheckConstraint(
                condition=models.Q(is_enforced=False)
                | models.Q(is_active=True, break_glass_owner__isnull=False, tested_at__isnull=False, test_problem=""),
                name="identity_enforced_only_when_safe",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_secret(self) -> bool:
        return self.sealed_key_version > 0

    @property
    def is_tested(self) -> bool:
        return self.tested_at is not None and not self.test_problem


class ConnectionDomain(models.Model):
    """An e-mail domain whose people a connection speaks for. One connection of one organization has it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(IdentityConnection, on_delete=models.CASCADE, related_name="domains")
    domain = models.CharField(max_length=253, unique=True, validators=[domain_is_plain])

    class Meta:
        ordering = ["domain"]
        constraints = [
            models.CheckConstraint(condition=models.Q(domain=Lower("domain")), name="identity_domain_lower_case"),
        ]

    def __str__(self) -> str:
        return self.domain


class GroupMapping(models.Model):
    """What being in a group of the identity provider gives: a team, or a role."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(IdentityConnection, on_delete=models.CASCADE, related_name="mappings")
    group = models.CharField(max_length=300)
    """As the identity provider sends it; compared letter by letter."""
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    role = models.CharField(max_length=20, choices=Role.choices, blank=True)

    class Meta:
        ordering = ["group", "role", "team__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "group", "team"],
                condition=models.Q(team__isnull=False),
                name="identity_mapping_team_once",
            ),
            models.UniqueConstraint(
                fields=["connection", "group"],
                condition=models.Q(team__isnull=True),
                name="identity_mapping_role_once",
            ),
            models.CheckConstraint(
                condition=models.Q(team__isnull=False, role="")
                | (models.Q(team__isnull=True) & models.Q(role__in=Role.values)),
                name="identity_mapping_team_or_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group} of {self.connection_id}"


class LinkedIdentity(models.Model):
    """A person as one connection knows them. The subject decides, never the e-mail."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(IdentityConnection, on_delete=models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=300)
    """OIDC `sub`, SAML NameID."""
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="linked_identities")
    email = models.EmailField()
    """What the provider said last; for people to read."""
    created_at = models.DateTimeField(auto_now_add=True)
    signed_in_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "subject"], name="identity_subject_once"),
            models.UniqueConstraint(fields=["connection", "user"], name="identity_user_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} by {self.connection_id}"


class SeenAssertion(models.Model):
    """A SAML assertion or an ID token that was accepted once; it is refused from then on."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    connection = models.ForeignKey(IdentityConnection, on_delete=models.CASCADE, related_name="+")
    assertion = models.CharField(max_length=64)
    """Digest of what makes it unique."""
    claims = models.JSONField(null=True)
    """What a SAML assertion said, until the browser that asked for it picks it up."""
    asked_by = models.CharField(max_length=100, blank=True)
    """Id of the SAML request it answers."""
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "assertion"], name="identity_assertion_once")]
        indexes = [models.Index(fields=["expires_at"], name="identity_assertion_expiry")]

    def __str__(self) -> str:
        return f"{self.assertion[:8]} of {self.connection_id}"
