"""REST: trusts in CI systems, and the exchange of their tokens for keys (RFC 8693)."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import permissions, serializers
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.identity.workload.models import LONGEST_LIFETIME_S, WorkloadTrust
from control_plane.identity.workload.selectors import trusts_of
from control_plane.identity.workload.services import (
    ExchangeRefused,
    TrustFacts,
    trust_add,
    trust_remove,
    trust_update,
    workload_key_exchange,
)
from control_plane.keys.api.scopes import service_accounts_for
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId, Reference
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPES = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")


class TrustOut(serializers.Serializer[WorkloadTrust]):
    id = HexId()
    name = serializers.CharField()
    service_account = serializers.CharField(source="service_account.name")
    service_account_id = HexId()
    issuer = serializers.CharField()
    audience = serializers.CharField()
    conditions = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    pinned_keys = serializers.JSONField(allow_null=True, help_text="A JWKS; null: read from the issuer.")
    models = serializers.ListField(child=serializers.CharField(), source="allowed_models")
    lifetime_seconds = serializers.IntegerField(source="lifetime_s")
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TrustChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    issuer = serializers.CharField(max_length=300, help_text="As the token's `iss` says it.")
    audience = serializers.CharField(max_length=300, help_text="As the token's `aud` must say it.")
    conditions = serializers.DictField(
        help_text="Claim to a text or pattern, or a list of them: `*` stops at a slash, `**` does not."
    )
    pinned_keys = serializers.JSONField(required=False, allow_null=True, default=None)
    models = serializers.ListField(child=serializers.CharField(max_length=200), required=False, default=list)
    lifetime_seconds = serializers.IntegerField(required=False, default=LONGEST_LIFETIME_S)
    is_active = serializers.BooleanField(required=False, default=True)


class TrustIn(TrustChange):
    service_account = Reference(service_accounts_for, names=("name",))


class TrustFilter(django_filters.FilterSet):
    service_account = django_filters.CharFilter(field_name="service_account__name")
    issuer = django_filters.CharFilter()
    is_active = django_filters.BooleanFilter()


class WorkloadTrustViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Which jobs of which CI system may act as a service account."""

    queryset = WorkloadTrust.objects.all()
    serializer_class = TrustOut
    filterset_class = TrustFilter
    page_order = ("name", "id")
    rights = {
        "list": Permission.SERVICE_ACCOUNTS_READ,
        "retrieve": Permission.SERVICE_ACCOUNTS_READ,
        "create": Permission.SERVICE_KEYS_MINT,
        "partial_update": Permission.SERVICE_KEYS_MINT,
        "destroy": Permission.SERVICE_KEYS_MINT,
    }
    asks_proof = ("create", "partial_update")
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    field_names = {"lifetime_s": "lifetime_seconds"}

    def scoped(self) -> QuerySet[WorkloadTrust]:
        return trusts_of(self.caller.organization).filter(service_account__in=service_accounts_for(self.caller))

    def whose(self, trust: WorkloadTrust) -> tuple[None, tuple[UUID, ...]]:
        return None, (trust.service_account.team_id,)

    @extend_schema(request=TrustIn, responses={201: TrustOut})
    def create(self, request: Request) -> Response:
        """Trust an issuer's jobs to act as a service account."""
        given = self.read_input(TrustIn)
        account = given.pop("service_account")
        self.require(Permission.SERVICE_KEYS_MINT, team_ids=(account.team_id,))
        return self.once(
            lambda: self.answer(
                trust_add(service_account=account, facts=_facts(given), actor=self.caller.actor), status=201
            )
        )

    @extend_schema(request=TrustChange, responses=TrustOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, trust: WorkloadTrust) -> Response:
        given = self.read_input(TrustChange, partial=True)
        held = TrustOut(trust).data
        kept = {str(name): held[str(name)] for name in TrustChange().fields}
        return self.answer(trust_update(trust=trust, facts=_facts({**kept, **given}), actor=self.caller.actor))

    def remove(self, trust: WorkloadTrust) -> None:
        trust_remove(trust=trust, actor=self.caller.actor)


class ExchangeIn(serializers.Serializer[Any]):
    grant_type = serializers.ChoiceField(choices=[GRANT])
    subject_token = serializers.CharField(
        max_length=20_000, help_text="The OIDC token that the CI system gave the job."
    )
    subject_token_type = serializers.ChoiceField(choices=TOKEN_TYPES)
    service_account = serializers.CharField(max_length=300, help_text="organization/name, or the account's id.")
    lifetime_seconds = serializers.IntegerField(min_value=60, max_value=LONGEST_LIFETIME_S, required=False)


class WorkloadKeyOut(serializers.Serializer[Any]):
    access_token = serializers.CharField(help_text="A service key. Shown only here.")
    issued_token_type = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    key_id = serializers.CharField()
    service_account = serializers.CharField()


class ExchangeError(serializers.Serializer[Any]):
    error = serializers.CharField()
    error_description = serializers.CharField()


class WorkloadKeysView(APIView):
    """Where a job gets its key. The token it brings is all that is asked for."""

    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)
    parser_classes = (FormParser, JSONParser)

    @extend_schema(
        request=ExchangeIn,
        responses={201: WorkloadKeyOut, 400: ExchangeError, 503: ExchangeError},
        auth=[],
        operation_id="workload_keys_exchange",
    )
    def post(self, request: Request) -> Response:
        """Exchange a CI job's OIDC token for a key of at most an hour (RFC 8693). Each token works once."""
        given = ExchangeIn(data=request.data)
        if not given.is_valid():
            told = "; ".join(f"{name}: {' '.join(map(str, texts))}" for name, texts in given.errors.items())
            error = "unsupported_grant_type" if "grant_type" in given.errors else "invalid_request"
            return Response({"error": error, "error_description": told}, status=400)
        try:
            minted = workload_key_exchange(
                service_account=given.validated_data["service_account"],
                token=given.validated_data["subject_token"].strip(),
                lifetime_s=given.validated_data.get("lifetime_seconds"),
                source_address=str(request.META.get("REMOTE_ADDR", "")),
            )
        except ExchangeRefused as refusal:
            error, status = ("temporarily_unavailable", 503) if refusal.is_out_of_reach else ("invalid_grant", 400)
            return Response({"error": error, "error_description": str(refusal)}, status=status)
        assert minted.key.expires_at is not None
        return Response(
            {
                "access_token": minted.token,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "token_type": "Bearer",
                "expires_in": int((minted.key.expires_at - timezone.now()).total_seconds()),
                "key_id": minted.key.key_id,
                "service_account": str(minted.key.service_account),
            },
            status=201,
            headers={"Cache-Control": "no-store"},
        )


def _facts(given: dict[str, Any]) -> TrustFacts:
    return TrustFacts(
        name=given["name"],
        issuer=given["issuer"],
        audience=given["audience"],
        conditions=given["conditions"],
        pinned_keys=given["pinned_keys"],
        models=given["models"],
        lifetime_s=given["lifetime_seconds"],
        is_active=given["is_active"],
    )
