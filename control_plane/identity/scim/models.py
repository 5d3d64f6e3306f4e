"""Rows of provisioning: the tokens identity providers present, and the people and groups as those providers see them.

What a person or a team *is* stands in accounts and organizations; here stands what the identity provider said of it,
under the ids that it was given, and what is needed to bring somebody back.
"""

from uuid import uuid4

from django.db import models
from django.db.models.functions import Lower

from control_plane.accounts.models import User
from control_plane.organizations.models import Organization, Role, Team

GRANTABLE_ROLES = (Role.ADMIN, Role.FINANCE, Role.AUDITOR, Role.TEAM_LEAD, Role.MEMBER)
"""What a group may give. Owners are made by owners only."""


class ScimToken(models.Model):
    """What an identity provider presents. It may manage the people and groups of one organization, nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="scim_tokens")
    token_id = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)
    digest = models.BinaryField()
    pepper_version = models.IntegerField()
    created_by = models.CharField(max_length=254, blank=True)
    """The name of whoever made it, as it was."""
    reaches_owners = models.BooleanField(default=False)
    """Whether an owner made it: nobody hands out more than they may, so that of an admin leaves owners alone."""
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_request = models.CharField(max_length=200, blank=True)
    """Method and path of the newest request noted, without its query."""
    last_error = models.CharField(max_length=500, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ScimUser(models.Model):
    """A person as an identity provider sees them; `id` is the id it knows them by.

    Whoever is no member any more is deactivated. The row outlives the membership and says what they were before.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    user_name = models.CharField(max_length=254)
    external_id = models.CharField(max_length=254, blank=True)
    document = models.JSONField(default=dict)
    """The attributes the provider sent, as documents.py keeps them."""
    emails = models.TextField(blank=True)
    """One line `type|address` per address in lower case: what filters on e-mails look at."""
    left_role = models.CharField(max_length=20, blank=True)
    """The role at deactivation; given back with the membership."""
    left_team_ids = models.JSONField(default=list, blank=True)
    """Teams at deactivation, as 32 hex digits; given back with the membership."""
    left_led_team_ids = models.JSONField(default=list, blank=True)
    """Teams they led at deactivation; they lead them again unless somebody else does by then."""
    left_tags = models.JSONField(default=dict, blank=True)
    """The membership's tags at deactivation; given back with it."""
    has_role_from_group = models.BooleanField(default=False)
    """Whether a group gave the present role, so that leaving the group takes it away."""
    revision = models.BigIntegerField(default=1)
    """Raised at each change; the ETag."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    """When the provider deleted the person: from then on this id is unknown to it."""

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                models.F("organization"),
                Lower("user_name"),
                condition=models.Q(deleted_at__isnull=True),
                name="scim_user_name_once",
            ),
            models.UniqueConstraint(
                fields=["organization", "user"],
                condition=models.Q(deleted_at__isnull=True),
                name="scim_user_person_once",
            ),
            models.UniqueConstraint(fields=["organization", "id"], name="scim_user_owner"),
        ]
        indexes = [
            models.Index(fields=["organization", "external_id"], name="scim_user_by_external_id"),
            models.Index(fields=["organization", "created_at", "id"], name="scim_user_pages"),
        ]

    def __str__(self) -> str:
        return f"{self.id} of {self.organization_id}"


class ScimGroup(models.Model):
    """A group of the identity provider; its people are kept in one team of the organization."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="+")
    display_name = models.CharField(max_length=254)
    """As the provider writes it; the team's name is the same where our rules for names allow it."""
    external_id = models.CharField(max_length=254, blank=True)
    role = models.CharField(max_length=20, blank=True)
    """What being in the group gives besides the team; empty: nothing."""
    revision = models.BigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(models.F("organization"), Lower("display_name"), name="scim_group_name_once"),
            models.UniqueConstraint(fields=["organization", "id"], name="scim_group_owner"),
            models.CheckConstraint(
                condition=models.Q(role="") | models.Q(role__in=[role.value for role in GRANTABLE_ROLES]),
                name="scim_group_role",
            ),
        ]
        indexes = [models.Index(fields=["organization", "external_id"], name="scim_group_by_external_id")]

    def __str__(self) -> str:
        return f"{self.id} of {self.organization_id}"

    @property
    def role_label(self) -> str:
        return Role(self.role).label if self.role else ""


class ScimGroupMember(models.Model):
    """A person in a group, also while they are deactivated: providers do not say it again when somebody returns."""

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(ScimGroup, on_delete=models.CASCADE, related_name="members")
    person = models.ForeignKey(ScimUser, on_delete=models.CASCADE, related_name="groups")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "person"], name="scim_group_member_once")]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.group_id}"
