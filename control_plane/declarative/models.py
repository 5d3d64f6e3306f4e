"""Rows of policy as code: the revisions, what an organization's code says, and credentials that files cannot carry."""

from uuid import uuid4

from django.db import models

from control_plane.credentials.models import Provider
from control_plane.organizations.models import Organization


class RevisionSource(models.TextChoices):
    CONSOLE = "console"
    REST = "rest"
    APPLY = "apply"
    RESTORE = "restore"
    SYSTEM = "system"


class PolicyRevision(models.Model):
    """What an organization's policy was after a change: the whole text, without secrets."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="policy_revisions")
    number = models.IntegerField()
    through_sequence = models.BigIntegerField()
    """The newest change of the audit that this revision reflects."""
    text = models.TextField()
    source = models.CharField(max_length=10, choices=RevisionSource.choices)
    source_label = models.CharField(max_length=200, blank=True)
    """What whoever applied it calls it: a commit, a pipeline's run."""
    author = models.CharField(max_length=254)
    reason = models.TextField(blank=True)
    restored_number = models.IntegerField(null=True)
    changes = models.JSONField(default=list)
    """[{kind, name, action}] against the revision before; at most as many as are told."""
    change_count = models.IntegerField(default=0)
    object_count = models.IntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "number"], name="declarative_revision_number"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="declarative_revision_from_one"),
            models.CheckConstraint(
                condition=models.Q(source__in=RevisionSource.values), name="declarative_revision_source"
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.number}"


class PolicyCode(models.Model):
    """That an organization's policy comes from code: which objects the file holds, and how they were after it."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="policy_code"
    )
    label = models.CharField(max_length=200)
    revision_number = models.IntegerField()
    objects_named = models.JSONField()
    """[[kind, name]] of the file."""
    is_complete = models.BooleanField()
    """Whether everything that is not in the file was taken away: what comes later is drift too."""
    text = models.TextField()
    """The objects of the file as they were after it, in canonical form."""
    all_keys = models.JSONField()
    """[[kind, name]] of everything that was there after it."""
    applied_at = models.DateTimeField()
    applied_by = models.CharField(max_length=254)

    def __str__(self) -> str:
        return f"{self.label} at revision {self.revision_number}"


class AwaitedCredential(models.Model):
    """A provider whose file says that it has a credential, and whose value nobody has given yet."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    provider = models.OneToOneField(Provider, on_delete=models.CASCADE, related_name="awaited_credential")

    def __str__(self) -> str:
        return f"credential of {self.provider_id}"
