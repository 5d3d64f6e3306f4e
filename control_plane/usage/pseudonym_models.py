"""Who stands in the books under another name."""

from django.db import models


class Pseudonym(models.Model):
    """What stands in the place of a person whose records were made anonymous. Nothing here leads back to the person
    once it is finished."""

    id = models.UUIDField(primary_key=True)
    """Stands where the person's id stood."""
    organization_id = models.UUIDField()
    name = models.CharField(max_length=60)
    """What pages call it."""
    principal_id = models.UUIDField(null=True)
    """Whose records are being changed; None: it is done."""
    key_names = models.JSONField()
    """What stands in the place of each of the person's keys; empty: it is done."""
    next_day = models.DateField(null=True)
    """The oldest day of the ledger that was not changed yet."""
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["organization_id", "-asked_at"], name="usage_pseudonym_newest")]
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "principal_id"], name="usage_pseudonym_one_at_a_time"),
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True)
                | models.Q(principal_id__isnull=True, key_names={}, next_day__isnull=True),
                name="usage_pseudonym_leads_nowhere",
            ),
        ]

    def __str__(self) -> str:
        return self.name
