"""Rows of models and prices. A price row is never changed: a new one takes its place, the old one is superseded."""

from datetime import datetime
from uuid import uuid4

from django.db import models

from control_plane.organizations.models import Organization
from switchyard_contract.price_choice import UNKNOWN_MODELS


class PriceFields(models.Model):
    """What list prices and an organization's own prices have alike. Rates are nano-USD per million tokens."""

    version = models.CharField(max_length=120, unique=True)
    """Stands on each event as price_version; the same numbers always have the same one."""
    vendor = models.CharField(max_length=40, blank=True)
    """Empty: any vendor."""
    model = models.CharField(max_length=200)
    rates = models.JSONField()
    """{"input": …, "cache_read": …, …}: field names of the contract's Rates; absent: unknown."""
    bands = models.JSONField(default=list, blank=True)
    """[{"from_prompt_tokens": …, "rates": {…}}], ascending"""
    tiers = models.JSONField(default=list, blank=True)
    """[{"tier": …, "per_mille": …, "rates": {…} or absent}]"""
    per_web_search_nano_usd = models.BigIntegerField(default=0)
    unit_nano_usd = models.JSONField(default=dict, blank=True)
    """{"file_search": …}: fees for what is billed by the piece, by the contract's PIECE_UNITS."""
    us_geo_per_mille = models.IntegerField(default=0)
    """0: no uplift for inference in the US; 1100: +10 %."""
    valid_from = models.DateTimeField(null=True, blank=True)
    """None: always."""
    valid_to = models.DateTimeField(null=True, blank=True)
    """None: open."""
    source = models.CharField(max_length=300, blank=True)
    checked_on = models.DateField(null=True, blank=True)
    """When the source was last looked at. None: nobody said."""
    set_by = models.CharField(max_length=200, blank=True)
    """Who brought it in; of list prices, the release."""
    created_at = models.DateTimeField(auto_now_add=True)
    superseded_at = models.DateTimeField(null=True, blank=True)
    """Since when a corrected row stands in its place; kept, because events name it."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.version


class ListPrice(PriceFields):
    """What a vendor asks of everybody."""

    class Meta:
        ordering = ["vendor", "model", "valid_from"]
        indexes = [models.Index(fields=["vendor", "model"], name="catalog_list_price_model")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(valid_to__isnull=True)
                | models.Q(valid_from__isnull=True)
                | models.Q(valid_to__gt=models.F("valid_from")),
                name="catalog_list_price_period",
            ),
        ]


class OrganizationPrice(PriceFields):
    """What an organization pays by contract; wins over the list."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="prices")

    class Meta:
        ordering = ["vendor", "model", "valid_from"]
        indexes = [models.Index(fields=["organization", "vendor", "model"], name="catalog_own_price_model")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(valid_to__isnull=True)
                | models.Q(valid_from__isnull=True)
                | models.Q(valid_to__gt=models.F("valid_from")),
                name="catalog_own_price_period",
            ),
        ]

    @property
    def updated_at(self) -> datetime:
        """What it says never changes: another price takes its place."""
        return self.created_at


class Discount(models.Model):
    """What a contract takes off list prices; an own price is taken as it stands."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="discounts")
    version = models.CharField(max_length=60, unique=True)
    """Stands on each event behind the version of the list price."""
    vendor = models.CharField(max_length=40, blank=True)
    """Empty: any vendor."""
    model_glob = models.CharField(max_length=200, default="*")
    per_mille = models.IntegerField()
    """Of the list price that is paid: 850 is 15 % off."""
    valid_from = models.DateTimeField(null=True, blank=True)
    """None: always."""
    valid_to = models.DateTimeField(null=True, blank=True)
    """None: open."""
    source = models.CharField(max_length=300, blank=True)
    set_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    superseded_at = models.DateTimeField(null=True, blank=True)
    """Since when it counts for nothing, not even for the past; kept, because events name it."""

    class Meta:
        ordering = ["vendor", "model_glob", "valid_from"]
        indexes = [models.Index(fields=["organization", "vendor"], name="catalog_discount_vendor")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(per_mille__gte=0, per_mille__lte=10_000), name="catalog_discount_share"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_to__isnull=True)
                | models.Q(valid_from__isnull=True)
                | models.Q(valid_to__gt=models.F("valid_from")),
                name="catalog_discount_period",
            ),
        ]

    def __str__(self) -> str:
        return self.version

    @property
    def updated_at(self) -> datetime:
        return self.created_at


class PricingPolicy(models.Model):
    """What an organization decided about prices. No row: nothing, so the defaults hold."""

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.CASCADE, related_name="pricing_policy"
    )
    unknown_models = models.CharField(max_length=16, choices=[(each, each) for each in UNKNOWN_MODELS])
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.unknown_models}"


class PriceListLoad(models.Model):
    """A load of the shipped price list that changed something."""

    id = models.BigAutoField(primary_key=True)
    loaded_at = models.DateTimeField()
    loaded_by = models.CharField(max_length=200, blank=True)
    added = models.JSONField(default=list)
    """Versions that hold since."""
    superseded = models.JSONField(default=list)
    """Versions that hold no longer."""
    total = models.IntegerField()

    class Meta:
        ordering = ["-loaded_at", "-id"]

    def __str__(self) -> str:
        return f"{self.loaded_at:%Y-%m-%d}: {len(self.added)} added"


class KnownModel(models.Model):
    """What is known of a vendor's model besides its price."""

    id = models.BigAutoField(primary_key=True)
    vendor = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    display_name = models.CharField(max_length=200, blank=True)
    context_tokens = models.BigIntegerField(default=0)
    """0: unknown; so for the output."""
    max_output_tokens = models.BigIntegerField(default=0)
    is_offered = models.BooleanField(default=False)
    """Whether adding a provider of the vendor offers a short name for it."""

    class Meta:
        ordering = ["vendor", "model"]
        constraints = [models.UniqueConstraint(fields=["vendor", "model"], name="catalog_known_model_once")]

    def __str__(self) -> str:
        return f"{self.vendor}/{self.model}"
