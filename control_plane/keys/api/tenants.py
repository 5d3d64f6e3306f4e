"""REST: organizations. A new one comes with its first admin and that admin's token."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.keys.api.people import ReasonIn
from control_plane.keys.services import admin_token_mint, token_expiry
from control_plane.organizations.models import BudgetStatus, Organization, OrganizationState, Role
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import is_first_organization
from control_plane.organizations.services import (
    INSTALLATION,
    membership_add,
    organization_create,
    organization_disable,
    organization_enable,
    organization_update,
)
from control_plane.rest.fields import HexId
from control_plane.rest.views import ChangeMixin, ListMixin, RetrieveMixin, TenantView


class OrganizationOut(serializers.Serializer[Organization]):
    id = HexId()
    slug = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(OrganizationState.choices)
    max_stale_ms = serializers.IntegerField(help_text="How old a pod's policy may grow; -1: never too old.")
    contact = serializers.CharField()
    gateway_public_url = serializers.CharField()
    leads_may_set_budgets = serializers.BooleanField(help_text="For their own teams, below the team's own budget.")
    leads_may_mint_service_keys = serializers.BooleanField(help_text="Accounts of their own teams, and keys for them.")
    leads_may_add_members = serializers.BooleanField(help_text="Put members into their own teams, and take them out.")
    budget_status = serializers.ChoiceField(
        BudgetStatus.choices, help_text="Of a spent budget. auto: what each tool understands; 429: always."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class OrganizationCreated(OrganizationOut):
    admin_token = serializers.CharField(help_text="An admin token for the new organization. Shown only here.")


class OrganizationIn(serializers.Serializer[Any]):
    slug = serializers.SlugField(max_length=60)
    name = serializers.CharField(max_length=200)
    contact = serializers.CharField(max_length=254, required=False, allow_blank=True)
    max_stale_ms = serializers.IntegerField(required=False)
    gateway_public_url = serializers.URLField(required=False, allow_blank=True)


class OrganizationChange(serializers.Serializer[Any]):
    leads_may_set_budgets = serializers.BooleanField(required=False)
    leads_may_mint_service_keys = serializers.BooleanField(required=False)
    leads_may_add_members = serializers.BooleanField(required=False)
    budget_status = serializers.ChoiceField(BudgetStatus.choices, required=False)
    name = serializers.CharField(max_length=200, required=False)
    contact = serializers.CharField(max_length=254, required=False, allow_blank=True)
    max_stale_ms = serializers.IntegerField(required=False)
    gateway_public_url = serializers.URLField(required=False, allow_blank=True)


class OrganizationFilter(django_filters.FilterSet):
    slug = django_filters.CharFilter()
    state = django_filters.ChoiceFilter(choices=OrganizationState.choices)


class OrganizationViewSet(ListMixin, RetrieveMixin, ChangeMixin, TenantView):
    """The organization a token acts in; there are others, but not for this caller."""

    queryset = Organization.objects.all()
    serializer_class = OrganizationOut
    filterset_class = OrganizationFilter
    page_order = ("name", "id")
    lookup_names = ("slug",)
    rights = {
        "list": Permission.ORGANIZATION_READ,
        "retrieve": Permission.ORGANIZATION_READ,
        "create": Permission.ORGANIZATION_MANAGE,
        "partial_update": Permission.ORGANIZATION_MANAGE,
        "disable": Permission.ORGANIZATION_MANAGE,
        "enable": Permission.ORGANIZATION_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "head", "options"]

    def scoped(self) -> QuerySet[Organization]:
        return Organization.objects.filter(id=self.caller.organization_id)

    @extend_schema(request=OrganizationIn, responses={201: OrganizationCreated})
    def create(self, request: Request) -> Response:
        """Add a tenant; the caller becomes its admin and gets a token for it. For the first organization's admins."""
        if not is_first_organization(self.caller.organization_id):
            raise PermissionDenied("Only admins of this installation's first organization add organizations.")
        given = self.read_input(OrganizationIn)

        def act() -> Response:
            caller = self.caller
            organization = organization_create(actor=caller.actor, **given)
            membership_add(
                organization=organization, user=caller.user, role=Role.OWNER, actor=caller.actor, by=INSTALLATION
            )
            minted = admin_token_mint(
                organization=organization,
                user=caller.user,
                name="first token",
                actor=caller.actor,
                expires_at=token_expiry(organization, None),
            )
            return self.answer(organization, status=201, extra={"admin_token": minted.token})

        return self.once(act)

    @extend_schema(request=OrganizationChange, responses=OrganizationOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, organization: Organization) -> Response:
        given = self.read_input(OrganizationChange, partial=True)
        return self.answer(organization_update(organization=organization, actor=self.caller.actor, **given))

    @extend_schema(request=ReasonIn, responses=OrganizationOut)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        """Switch the organization off: pods refuse all its keys by name."""
        reason = self.read_input(ReasonIn)["reason"]
        self.require_reason()
        return self.once(
            lambda: self.answer(
                organization_disable(organization=self.object_for_change(), reason=reason, actor=self.caller.actor)
            )
        )

    @extend_schema(request=ReasonIn, responses=OrganizationOut)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: str) -> Response:
        """Switch the organization on again."""
        reason = self.read_input(ReasonIn)["reason"]
        return self.once(
            lambda: self.answer(
                organization_enable(organization=self.object_for_change(), reason=reason, actor=self.caller.actor)
            )
        )
