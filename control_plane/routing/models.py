"""Rows of routing: a name clients may use, and where it leads."""

from uuid import uuid4

from django.core.validators import RegexValidator
from django.db import models

from control_plane.credentials.models import Provider
from control_plane.organizations.models import Organization

virtual_model_name_is_plain = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,149}$", "Letters, digits and . _ : / @ -; at most 150."
)


class VirtualModel(models.Model):
    """A name clients may ask for."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="virtual_models")
    name = models.CharField(max_length=150, validators=[virtual_model_name_is_plain])
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="routing_virtual_model_name"),
            models.UniqueConstraint(fields=["organization", "id"], name="routing_virtual_model_owner"),
        ]

    def __str__(self) -> str:
        return self.name


class Target(models.Model):
    """Where a virtual model leads: a provider of the same organization and a model as its vendor names it."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    virtual_model = models.OneToOneField(VirtualModel, on_delete=models.CASCADE, related_name="target")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="targets")
    model = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.provider_id}/{self.model}"
