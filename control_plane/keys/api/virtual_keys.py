"""REST: virtual keys. The key itself is in one answer only: that of its minting."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.keys.api.scopes import keys_for, service_accounts_for, teams_for, users_for
from control_plane.keys.models import VirtualKey
from control_plane.keys.reach import may_manage
from control_plane.keys.services import key_mint, key_revoke, key_rotate, key_update
from control_plane.organizations.roles import Permission
from control_plane.rest.fields import HexId, Reference, Tags
from control_plane.rest.views import ChangeMixin, ListMixin, RetrieveMixin, TenantView

WAIT = OpenApiParameter(
    "wait",
    str,
    OpenApiParameter.QUERY,
    enum=["applied"],
    description="applied: wait up to a second until the connected pods have acknowledged it, and say how many have.",
)


class KeyOwner(serializers.Serializer[Any]):
    user = serializers.EmailField(required=False)
    service_account = serializers.CharField(required=False)


class Applied(serializers.Serializer[Any]):
    pods = serializers.IntegerField(help_text="Connected pods.")
    acknowledged = serializers.IntegerField(help_text="Pods that hold the change.")
    share = serializers.FloatField(help_text="acknowledged / pods; 1 when no pod is connected.")
    waited_ms = serializers.IntegerField()


class KeyOut(serializers.Serializer[VirtualKey]):
    id = serializers.CharField(source="key_id", help_text="The public part of the key; what exchanges name.")
    name = serializers.CharField()
    prefix = serializers.CharField()
    kind = serializers.SerializerMethodField()
    owner = serializers.SerializerMethodField()
    team = serializers.CharField(source="team.name")
    team_id = HexId()
    models = serializers.ListField(
        child=serializers.CharField(), source="allowed_models", help_text="Globs over requested names; empty: all."
    )
    metadata = Tags(source="tags")
    state = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    created_by = serializers.SerializerMethodField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoke_reason = serializers.CharField()
    rotated_from = serializers.SerializerMethodField()
    last_used_at = serializers.SerializerMethodField()

    def get_kind(self, key: VirtualKey) -> str:
        return "personal" if key.user_id else "service"

    @extend_schema_field(KeyOwner)
    def get_owner(self, key: VirtualKey) -> dict[str, str]:
        return {"user": key.user.email} if key.user else {"service_account": str(key.service_account)}

    def get_state(self, key: VirtualKey) -> str:
        return key_state(key, timezone.now())

    def get_created_by(self, key: VirtualKey) -> str | None:
        return None if key.created_by is None else key.created_by.email

    def get_rotated_from(self, key: VirtualKey) -> str | None:
        return None if key.rotated_from is None else key.rotated_from.key_id

    def get_last_used_at(self, key: VirtualKey) -> datetime | None:
        uses: Mapping[str, datetime] = self.context["view"].last_uses_of(key)
        return uses.get(key.key_id)


class KeyMinted(KeyOut):
    key = serializers.CharField(help_text="The key. Shown only here.")
    applied = Applied(required=False)


class KeyChanged(KeyOut):
    applied = Applied(required=False)


class KeyOwnerIn(serializers.Serializer[Any]):
    user = Reference(users_for, names=("email",), required=False)
    service_account = Reference(service_accounts_for, names=("name",), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Exactly one of user and service_account.")
        return attrs


class KeyChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    models = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    metadata = Tags(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class KeyIn(KeyChange):
    name = serializers.CharField(max_length=100)
    owner = KeyOwnerIn(required=False, help_text="Left out: the caller.")
    team = Reference(teams_for, names=("name",), required=False)


class RotateIn(serializers.Serializer[Any]):
    grace_seconds = serializers.IntegerField(min_value=0, required=False, default=0)


class RevokeIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    cut_streams = serializers.BooleanField(required=False, default=True, help_text="End running answers too.")


class KeyFilter(django_filters.FilterSet):
    user = django_filters.CharFilter(field_name="user__email", lookup_expr="iexact")
    service_account = django_filters.CharFilter(field_name="service_account__name")
    team = django_filters.CharFilter(field_name="team__name")
    name = django_filters.CharFilter()
    state = django_filters.ChoiceFilter(
        choices=[("active", "active"), ("expired", "expired"), ("revoked", "revoked")], method="by_state"
    )
    search = django_filters.CharFilter(method="by_text")

    def by_state(self, rows: QuerySet[VirtualKey], name: str, value: str) -> QuerySet[VirtualKey]:
        now = timezone.now()
        match value:
            case "revoked":
                return rows.filter(revoked_at__isnull=False)
            case "expired":
                return rows.filter(revoked_at__isnull=True, expires_at__lte=now)
            case _:
                alive = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
                return rows.filter(alive, revoked_at__isnull=True)

    def by_text(self, rows: QuerySet[VirtualKey], name: str, value: str) -> QuerySet[VirtualKey]:
        return rows.filter(Q(name__icontains=value) | Q(prefix__istartswith=value))


class KeyViewSet(ListMixin, RetrieveMixin, ChangeMixin, TenantView):
    """Virtual keys. A member sees and mints the own ones."""

    queryset = VirtualKey.objects.all()
    serializer_class = KeyOut
    filterset_class = KeyFilter
    page_order = ("-created_at", "id")
    lookup_names = ("key_id",)
    rights = {
        "list": Permission.KEYS_READ,
        "retrieve": Permission.KEYS_READ,
        "create": Permission.KEYS_MANAGE,
        "partial_update": Permission.KEYS_MANAGE,
        "rotate": Permission.KEYS_MANAGE,
        "revoke": Permission.KEYS_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "head", "options"]
    field_names: ClassVar[dict[str, str]] = {"tags": "metadata", "allowed_models": "models"}

    def last_uses(self, keys: Sequence[VirtualKey]) -> Mapping[str, datetime]:
        """When keys were last used, by public id. Usage lies above keys: the composition overrides this."""
        return {}

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        self._page_uses = self.last_uses(page or [])
        return page

    def last_uses_of(self, key: VirtualKey) -> Mapping[str, datetime]:
        """The last uses of the page, or of this key alone."""
        return self.last_uses([key]) if self._page_uses is None else self._page_uses

    def wait_applied(self, key: VirtualKey) -> dict[str, Any] | None:
        """Wait until pods hold the newest change of a key, and say how many do.

        None: nobody here knows. Who holds what is the fleet's matter, which lies above keys: the composition overrides
        this.
        """
        return None

    _page_uses: Mapping[str, datetime] | None = None

    def scoped(self) -> QuerySet[VirtualKey]:
        return keys_for(self.caller).select_related("rotated_from")

    def is_allowed(self, right: str, key: VirtualKey) -> bool:
        return may_manage(self.caller.standing, key)

    @extend_schema(request=KeyIn, responses={201: KeyMinted}, parameters=[WAIT])
    def create(self, request: Request) -> Response:
        """Mint a key. The answer is the only one that shows it."""
        given = self.read_input(KeyIn)
        owner = given.get("owner") or {"user": self.caller.user}
        if "service_account" in owner:
            self.require(Permission.SERVICE_KEYS_MINT, team_ids=(owner["service_account"].team_id,))
            if "team" in given:
                self.require(Permission.SERVICE_KEYS_MINT, team_ids=(given["team"].id,))
        else:
            self.require(Permission.KEYS_MANAGE, owner_id=owner["user"].id)

        def act() -> Response:
            minted = key_mint(
                organization=self.caller.organization,
                name=given["name"],
                actor=self.caller.actor,
                user=owner.get("user"),
                service_account=owner.get("service_account"),
                team=given.get("team"),
                models=given.get("models", []),
                tags=given.get("metadata"),
                expires_at=given.get("expires_at"),
                created_by=self.caller.user,
            )
            return self.answer(minted.key, status=201, extra={"key": minted.token})

        return self._told(self.once(act))

    @extend_schema(request=KeyChange, responses=KeyOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, key: VirtualKey) -> Response:
        given = self.read_input(KeyChange, partial=True)
        changed = key_update(
            key=key,
            actor=self.caller.actor,
            name=given.get("name"),
            models=given.get("models"),
            tags=given.get("metadata"),
            expires_at=given.get("expires_at"),
            clears_expiry="expires_at" in given and given["expires_at"] is None,
        )
        return self.answer(changed)

    @extend_schema(request=RotateIn, responses={201: KeyMinted}, parameters=[WAIT])
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Mint a successor; the old key works on for the grace."""
        grace_seconds = self.read_input(RotateIn)["grace_seconds"]

        def act() -> Response:
            minted = key_rotate(
                key=self.object_for_change(),
                grace_seconds=grace_seconds,
                actor=self.caller.actor,
                created_by=self.caller.user,
            )
            return self.answer(minted.key, status=201, extra={"key": minted.token})

        return self._told(self.once(act))

    @extend_schema(request=RevokeIn, responses=KeyChanged, parameters=[WAIT])
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """End a key, everywhere, now."""
        given = self.read_input(RevokeIn)
        return self._told(
            self.once(lambda: self.answer(key_revoke(key=self.object_for_change(), actor=self.caller.actor, **given)))
        )

    def _told(self, response: Response) -> Response:
        """Add what pods have acknowledged, when the caller asked to wait for it: after the commit, never inside."""
        if self.request.query_params.get("wait") == "applied":
            key = VirtualKey.objects.get(organization_id=self.caller.organization_id, key_id=response.data["id"])
            if (applied := self.wait_applied(key)) is not None:
                response.data = {**response.data, "applied": applied}
        return response


def key_state(key: VirtualKey, now: datetime) -> str:
    if key.is_revoked:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"
