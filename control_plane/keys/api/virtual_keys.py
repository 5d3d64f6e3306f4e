"""REST: virtual keys. The key itself is in one answer only: that of its minting."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.keys.api.key_fields import (
    KeyChange,
    KeyChanged,
    KeyIn,
    KeyMinted,
    KeyOut,
    KeysRevoked,
    RevokeIn,
    RevokeManyIn,
    RotateIn,
    rotation_in,
)
from control_plane.keys.api.scopes import keys_for
from control_plane.keys.models import VIRTUAL_KIND_CHOICES, VirtualKey
from control_plane.keys.reach import may_manage
from control_plane.keys.services import key_mint, key_revoke, key_rotate, key_update, keys_revoke
from control_plane.organizations.roles import Permission, can
from control_plane.rest.permissions import require_proof
from control_plane.rest.views import ChangeMixin, ListMixin, RetrieveMixin, TenantView

WAIT = OpenApiParameter(
    "wait",
    str,
    OpenApiParameter.QUERY,
    enum=["applied"],
    description="applied: wait up to a second until the connected pods have acknowledged it, and say how many have.",
)


class KeyFilter(django_filters.FilterSet):
    user = django_filters.CharFilter(field_name="user__email", lookup_expr="iexact")
    service_account = django_filters.CharFilter(field_name="service_account__name")
    team = django_filters.CharFilter(field_name="team__name")
    name = django_filters.CharFilter()
    state = django_filters.ChoiceFilter(
        choices=[("active", "active"), ("expired", "expired"), ("revoked", "revoked")], method="by_state"
    )
    kind = django_filters.ChoiceFilter(choices=[(name, name) for _, name in VIRTUAL_KIND_CHOICES], method="by_kind")
    ends_before = django_filters.IsoDateTimeFilter(field_name="expires_at", lookup_expr="lt")
    search = django_filters.CharFilter(method="by_text")

    def by_kind(self, rows: QuerySet[VirtualKey], name: str, value: str) -> QuerySet[VirtualKey]:
        return rows.filter(user__isnull=value != "personal")

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
        "revoke_many": Permission.KEYS_MANAGE,
    }
    asks_proof = ("rotate",)
    http_method_names = ["get", "post", "patch", "head", "options"]
    field_names: ClassVar[dict[str, str]] = {
        "tags": "metadata",
        "allowed_models": "models",
        "rotation_days": "rotation",
        "rotation_grace_seconds": "rotation",
    }

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
        if owner.get("user") != self.caller.user:
            require_proof(self.caller)
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
                routes=given.get("routes", []),
                source_networks=given.get("source_networks", []),
                tags=given.get("metadata"),
                expires_at=given.get("expires_at"),
                rotation=rotation_in(given),
                created_by=self.caller.user,
                heeds_rules=self.heeds_rules,
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
            routes=given.get("routes"),
            source_networks=given.get("source_networks"),
            tags=given.get("metadata"),
            expires_at=given.get("expires_at"),
            clears_expiry="expires_at" in given and given["expires_at"] is None,
            rotation=rotation_in(given),
            clears_rotation="rotation" in given and given["rotation"] is None,
            heeds_rules=self.heeds_rules,
        )
        return self.answer(changed)

    @extend_schema(request=RotateIn, responses={201: KeyMinted}, parameters=[WAIT])
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Mint a successor; the old key works on for the grace."""
        grace_seconds = self.read_input(RotateIn).get("grace_seconds")

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
        self.require_reason()
        return self._told(
            self.once(lambda: self.answer(key_revoke(key=self.object_for_change(), actor=self.caller.actor, **given)))
        )

    @extend_schema(operation_id="keys_revoke_many", request=RevokeManyIn, responses=KeysRevoked)
    @action(detail=False, methods=["post"], url_path="revoke", url_name="revoke-many")
    def revoke_many(self, request: Request) -> Response:
        """End several keys at once: all of them, or none."""
        given = self.read_input(RevokeManyIn)
        self.require_reason()
        wanted = list(dict.fromkeys(given.pop("keys")))

        def act() -> Response:
            found = {key.key_id: key for key in self.scoped().filter(key_id__in=wanted)}
            missing = [key_id for key_id in wanted if key_id not in found]
            if missing:
                raise ValidationError({"keys": [f"There is no key {key_id} here." for key_id in missing]})
            if any(not self.is_allowed(Permission.KEYS_MANAGE, key) for key in found.values()):
                raise PermissionDenied(self.caller.rights.refusal(Permission.KEYS_MANAGE))
            ended = keys_revoke(keys=list(found.values()), actor=self.caller.actor, **given)
            revoked = {key.key_id for key in ended}
            return Response(
                {
                    "revoked": [key_id for key_id in wanted if key_id in revoked],
                    "were_dead": [key_id for key_id in wanted if key_id not in revoked],
                }
            )

        return self.once(act)

    @property
    def heeds_rules(self) -> bool:
        """Whether the rules for personal keys bind the caller: whoever manages all keys made them."""
        return not can(self.caller.standing, Permission.KEYS_MANAGE)

    def _told(self, response: Response) -> Response:
        """Add what pods have acknowledged, when the caller asked to wait for it: after the commit, never inside."""
        if self.request.query_params.get("wait") == "applied":
            key = VirtualKey.objects.get(organization_id=self.caller.organization_id, key_id=response.data["id"])
            if (applied := self.wait_applied(key)) is not None:
                response.data = {**response.data, "applied": applied}
        return response
