"""How virtual keys are written and read over REST."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from control_plane.keys.api.scopes import service_accounts_for, teams_for, users_for
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import Rotation
from control_plane.rest.fields import HexId, Reference, Tags
from switchyard_contract.routes import ROUTES

MAX_BULK = 1000


class KeyOwner(serializers.Serializer[Any]):
    user = serializers.EmailField(required=False)
    service_account = serializers.CharField(required=False)


class Applied(serializers.Serializer[Any]):
    pods = serializers.IntegerField(help_text="Connected pods.")
    acknowledged = serializers.IntegerField(help_text="Pods that hold the change.")
    share = serializers.FloatField(help_text="acknowledged / pods; 1 when no pod is connected.")
    waited_ms = serializers.IntegerField()


class RotationOut(serializers.Serializer[Any]):
    every_days = serializers.IntegerField(min_value=1)
    grace_seconds = serializers.IntegerField(min_value=0)


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
    routes = serializers.ListField(
        child=serializers.ChoiceField(ROUTES), source="allowed_routes", help_text="Protocols; empty: all."
    )
    source_networks = serializers.ListField(
        child=serializers.CharField(), help_text="CIDRs that requests may come from; empty: anywhere."
    )
    rotation = serializers.SerializerMethodField()
    rotate_by = serializers.DateTimeField(allow_null=True, help_text="When a successor is due, by the schedule.")
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

    @extend_schema_field(RotationOut(allow_null=True))
    def get_rotation(self, key: VirtualKey) -> dict[str, int] | None:
        if key.rotation_days is None:
            return None
        return {"every_days": key.rotation_days, "grace_seconds": key.rotation_grace_s}

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


class RotationIn(serializers.Serializer[Any]):
    every_days = serializers.IntegerField(min_value=1, max_value=3660)
    grace_seconds = serializers.IntegerField(min_value=0, max_value=30 * 24 * 3600, required=False, default=0)


class KeyChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    models = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    routes = serializers.ListField(child=serializers.ChoiceField(ROUTES), required=False)
    source_networks = serializers.ListField(child=serializers.CharField(max_length=60), required=False)
    metadata = Tags(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    rotation = RotationIn(required=False, allow_null=True, help_text="Keys of service accounts only; null: none.")


class KeyIn(KeyChange):
    name = serializers.CharField(max_length=100)
    owner = KeyOwnerIn(required=False, help_text="Left out: the caller.")
    team = Reference(teams_for, names=("name",), required=False)


class RotateIn(serializers.Serializer[Any]):
    grace_seconds = serializers.IntegerField(
        min_value=0, required=False, help_text="Left out: the grace of the key's schedule, else 0."
    )


class RevokeIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    cut_streams = serializers.BooleanField(required=False, default=True, help_text="End running answers too.")


class RevokeManyIn(RevokeIn):
    keys = serializers.ListField(
        child=serializers.CharField(max_length=12), min_length=1, max_length=MAX_BULK, help_text="Ids of keys."
    )


class KeysRevoked(serializers.Serializer[Any]):
    revoked = serializers.ListField(child=serializers.CharField(), help_text="Ids of keys that lived until now.")
    were_dead = serializers.ListField(child=serializers.CharField(), help_text="Ids that had been revoked before.")


def rotation_in(given: Mapping[str, Any]) -> Rotation | None:
    """The schedule that was asked for."""
    wish = given.get("rotation")
    return None if wish is None else Rotation(wish["every_days"], wish["grace_seconds"])


def key_state(key: VirtualKey, now: datetime) -> str:
    if key.is_revoked:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"
