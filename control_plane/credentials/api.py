"""REST: providers. A credential goes in and never comes out."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.credentials.models import CredentialSource, Provider
from control_plane.credentials.selectors import providers_of
from control_plane.credentials.services import (
    HIGHEST_PROVIDER_LIMIT,
    NO_CREDENTIAL,
    CredentialChoice,
    ProviderLimits,
    Timeouts,
    credential_replace,
    provider_create,
    provider_delete,
    provider_update,
)
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView

TIMEOUTS = {"connect_timeout_ms": "connect_ms", "first_byte_timeout_ms": "first_byte_ms", "idle_timeout_ms": "idle_ms"}


class CredentialIn(serializers.Serializer[Any]):
    """Exactly one of these. env and file are read by the control plane, only where the deployment allows the name."""

    value = serializers.CharField(required=False, write_only=True, max_length=8000, trim_whitespace=False)
    env = serializers.CharField(required=False, max_length=300)
    file = serializers.CharField(required=False, max_length=300)
    passthrough = serializers.ChoiceField(
        choices=["caller"], required=False, help_text="caller: the caller's own credential travels on."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Exactly one of value, env, file and passthrough.")
        return attrs


class CredentialOut(serializers.Serializer[Provider]):
    source = serializers.ChoiceField(CredentialSource.choices, source="credential_source")  # type: ignore[assignment]  # a field named so
    reference = serializers.CharField(
        source="credential_reference", help_text="Name of the environment variable or path of the file."
    )
    version = serializers.IntegerField(source="credential_version")
    replaced_at = serializers.DateTimeField(source="credential_replaced_at", allow_null=True)


class LimitsOut(serializers.Serializer[Provider]):
    concurrent_requests = serializers.IntegerField(source="max_concurrent_requests", help_text="0: no limit.")
    requests_per_minute = serializers.IntegerField(source="max_requests_per_minute", help_text="0: no limit.")
    tokens_per_minute = serializers.IntegerField(source="max_tokens_per_minute", help_text="0: no limit.")


class LimitsIn(serializers.Serializer[Any]):
    """What protects the account or the machine, all callers together. What is left out is not limited."""

    concurrent_requests = serializers.IntegerField(min_value=0, max_value=HIGHEST_PROVIDER_LIMIT, required=False)
    requests_per_minute = serializers.IntegerField(min_value=0, max_value=HIGHEST_PROVIDER_LIMIT, required=False)
    tokens_per_minute = serializers.IntegerField(min_value=0, max_value=HIGHEST_PROVIDER_LIMIT, required=False)


class ProviderOut(serializers.Serializer[Provider]):
    id = HexId()
    name = serializers.CharField()
    vendor = serializers.CharField()
    base_url = serializers.CharField()
    region = serializers.CharField()
    account = serializers.CharField()
    protocols = serializers.ListField(child=serializers.CharField(), help_text="Empty: the vendor's own.")
    models = serializers.ListField(child=serializers.CharField(), source="served_models")
    credential = CredentialOut(source="*")
    limits = LimitsOut(source="*")
    external = serializers.BooleanField(
        source="is_external", help_text="Outside the organization's own networks: its prompts leave the house."
    )
    connect_timeout_ms = serializers.IntegerField()
    first_byte_timeout_ms = serializers.IntegerField()
    idle_timeout_ms = serializers.IntegerField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProviderChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60, required=False)
    base_url = serializers.CharField(max_length=300, required=False, allow_blank=True)
    credential = CredentialIn(required=False)
    models = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    region = serializers.CharField(max_length=60, required=False, allow_blank=True)
    account = serializers.CharField(max_length=100, required=False, allow_blank=True)
    protocols = serializers.ListField(child=serializers.CharField(max_length=40), required=False)
    connect_timeout_ms = serializers.IntegerField(min_value=100, max_value=600_000, required=False)
    first_byte_timeout_ms = serializers.IntegerField(min_value=1_000, max_value=3_600_000, required=False)
    idle_timeout_ms = serializers.IntegerField(min_value=1_000, max_value=3_600_000, required=False)
    limits = LimitsIn(required=False)
    external = serializers.BooleanField(required=False, help_text="Left out: unless the address is a private one.")
    is_active = serializers.BooleanField(required=False)


class ProviderIn(ProviderChange):
    name = serializers.CharField(max_length=60)
    vendor = serializers.CharField(max_length=40)


class ProviderFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    vendor = django_filters.CharFilter()
    is_active = django_filters.BooleanFilter()


class ProviderViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Upstream accounts."""

    queryset = Provider.objects.all()
    serializer_class = ProviderOut
    filterset_class = ProviderFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    field_names = {"served_models": "models"}
    rights = {
        "list": Permission.PROVIDERS_READ,
        "retrieve": Permission.PROVIDERS_READ,
        "create": Permission.PROVIDERS_MANAGE,
        "partial_update": Permission.PROVIDERS_MANAGE,
        "destroy": Permission.PROVIDERS_MANAGE,
    }
    asks_proof = ("create", "partial_update")
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[Provider]:
        return providers_of(self.caller.organization)

    @extend_schema(request=ProviderIn, responses={201: ProviderOut})
    def create(self, request: Request) -> Response:
        given = self.read_input(ProviderIn)
        credential = _choice_of(given.pop("credential", None))
        timeouts = _timeouts_of(given, Timeouts()) or Timeouts()
        given["limits"] = ProviderLimits(**given.get("limits", {}))
        return self.once(
            lambda: self.answer(
                provider_create(
                    organization=self.caller.organization,
                    credential=credential,
                    timeouts=timeouts,
                    actor=self.caller.actor,
                    **given,
                ),
                status=201,
            )
        )

    @extend_schema(request=ProviderChange, responses=ProviderOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change a provider. A new address of a provider with a credential needs the credential again."""
        return super().partial_update(request, *args, **kwargs)

    def change(self, provider: Provider) -> Response:
        given = self.read_input(ProviderChange, partial=True)
        actor = self.caller.actor
        if "credential" in given:
            self.require_reason()
            credential = _choice_of(given.pop("credential"))
            provider = credential_replace(
                provider=provider, credential=credential, base_url=given.pop("base_url", None), actor=actor
            )
        in_force = Timeouts(provider.connect_timeout_ms, provider.first_byte_timeout_ms, provider.idle_timeout_ms)
        timeouts = _timeouts_of(given, in_force)
        if "limits" in given:
            given["limits"] = ProviderLimits(**given["limits"])
        return self.answer(provider_update(provider=provider, timeouts=timeouts, actor=actor, **given))

    def remove(self, provider: Provider) -> None:
        provider_delete(provider=provider, actor=self.caller.actor)


def _choice_of(given: dict[str, Any] | None) -> CredentialChoice:
    if not given:
        return NO_CREDENTIAL
    ((source, text),) = given.items()
    if source == "passthrough":
        return CredentialChoice(CredentialSource.PASSTHROUGH)
    return CredentialChoice(CredentialSource(source), text)


def _timeouts_of(given: dict[str, Any], before: Timeouts) -> Timeouts | None:
    """Take the time-outs out of the input; None: none was given."""
    named = {ours: given.pop(name) for name, ours in TIMEOUTS.items() if name in given}
    if not named:
        return None
    return Timeouts(
        connect_ms=named.get("connect_ms", before.connect_ms),
        first_byte_ms=named.get("first_byte_ms", before.first_byte_ms),
        idle_ms=named.get("idle_ms", before.idle_ms),
    )
