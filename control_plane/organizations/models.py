"""Rows of tenants. Every row below an organization carries its id, and looks it up together with its own."""

from uuid import uuid4

from django.core.validators import RegexValidator
from django.db import models

from control_plane.accounts.models import User
from control_plane.organizations.roles import Delegation, Role

__all__ = ["Membership", "Organization", "OrganizationState", "Role", "ServiceAccount", "Team", "TeamMembership"]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,98}[A-Za-z0-9.]$|^[A-Za-z0-9]$"
name_is_plain = RegexValidator(
    NAME_PATTERN, "Letters, digits, spaces, dots, dashes and underscores; at most 100; starts with a letter or digit."
)

FIRST_COUNTER_GENERATION = 0
"""Nothing was ever spent: a counter store that knows nothing has lost nothing. It is left with the first booking."""
DAY_MS = 24 * 3600 * 1000
DEFAULT_MAX_STALE_MS = 7 * DAY_MS
NEVER_TOO_STALE = -1


class OrganizationState(models.TextChoices):
    KNOWN = "known"
    DISABLED = "disabled"


class BudgetStatus(models.TextChoices):
    """Which HTTP status a spent budget is told with."""

    AUTO = "auto"
    """What each protocol and tool understands best."""
    ALWAYS_429 = "429", "429"
    """For automation that counts 429s already."""


class Organization(models.Model):
    """A tenant."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=OrganizationState.choices, default=OrganizationState.KNOWN)
    max_stale_ms = models.BigIntegerField(default=DEFAULT_MAX_STALE_MS)
    """How old a pod's word may grow without the control plane, ms; -1: never too old."""
    contact = models.CharField(max_length=254, blank=True)
    """Whom a refused person may ask."""
    gateway_public_url = models.URLField(blank=True)
    """What tools are pointed at; empty: the deployment's."""
    leads_may_set_budgets = models.BooleanField(default=False)
    """Team leads may set budgets for their own teams, below the team's own."""
    leads_may_mint_service_keys = models.BooleanField(default=False)
    """Team leads may make service accounts of their teams, and keys for them."""
    leads_may_add_members = models.BooleanField(default=False)
    """Team leads may put members of the organization into their teams, and take them out."""
    budget_status = models.CharField(max_length=4, choices=BudgetStatus.choices, default=BudgetStatus.AUTO)
    """How pods tell that a budget is spent."""
    counter_generation = models.BigIntegerField(default=FIRST_COUNTER_GENERATION)
    """Of the counter store's contents; raised when they were lost or went back in time."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(budget_status__in=BudgetStatus.values), name="organizations_budget_status"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=OrganizationState.values), name="organizations_organization_state"
            ),
            models.CheckConstraint(
                condition=models.Q(max_stale_ms=NEVER_TOO_STALE) | models.Q(max_stale_ms__gte=3_600_000),
                name="organizations_max_stale_at_least_an_hour",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_disabled(self) -> bool:
        return self.state == OrganizationState.DISABLED

    @property
    def delegations(self) -> frozenset[Delegation]:
        """What its team leads may do for their own teams."""
        chosen = {
            Delegation.SET_BUDGETS: self.leads_may_set_budgets,
            Delegation.MINT_SERVICE_KEYS: self.leads_may_mint_service_keys,
            Delegation.ADD_MEMBERS: self.leads_may_add_members,
        }
        return frozenset(each for each, is_chosen in chosen.items() if is_chosen)


class Membership(models.Model):
    """A person in an organization."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.MEMBER)
    tags = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["user__email"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="organizations_membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="organizations_membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.organization_id}"


class Team(models.Model):
    """A group of people with a lead and a cost centre; keys are charged to it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="teams")
    name = models.CharField(max_length=100, validators=[name_is_plain])
    cost_centre = models.CharField(max_length=100, blank=True)
    lead = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="led_teams")
    tags = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="organizations_team_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="organizations_team_owner"),
        ]

    def __str__(self) -> str:
        return self.name


class TeamMembership(models.Model):
    """A person in a team of the same organization."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="team_memberships")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="organizations_team_membership_once")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id}"


class ServiceAccount(models.Model):
    """A tool, CI job or application that holds keys of its own."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="service_accounts")
    name = models.CharField(max_length=100, validators=[name_is_plain])
    description = models.CharField(max_length=500, blank=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="service_accounts")
    tags = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="organizations_service_account_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="organizations_service_account_owner"),
        ]

    def __str__(self) -> str:
        return self.name
