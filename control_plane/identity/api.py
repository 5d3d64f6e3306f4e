"""REST: connections to identity providers. A client secret goes in and never comes out."""

from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.accounts.models import User
from control_plane.identity.addresses import acs_url, callback_url, metadata_url
from control_plane.identity.failures import ProviderUnreachable
from control_plane.identity.models import ConnectionKind, GroupMapping, IdentityConnection
from control_plane.identity.saml import fetched_metadata, read_metadata
from control_plane.identity.selectors import connections_of
from control_plane.identity.services import (
    Mapping,
    OidcFacts,
    SamlFacts,
    connection_create,
    connection_delete,
    connection_enforce,
    connection_relax,
    connection_update,
    mappings_set,
)
from control_plane.identity.services.connections import VENDORS
from control_plane.organizations.models import Role, Team
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import memberships_of
from control_plane.rest.caller import Caller
from control_plane.rest.fields import HexId, Reference
from control_plane.rest.views import (
    ChangeMixin,
    ListMixin,
    RemoveMixin,
    RetrieveMixin,
    TenantView,
    check_unchanged,
)


def teams_of_caller(caller: Caller) -> QuerySet[Team]:
    return Team.objects.filter(organization_id=caller.organization_id)


def people_of_caller(caller: Caller) -> QuerySet[User]:
    return User.objects.filter(id__in=memberships_of(caller.organization).values("user_id"))


class MappingIn(serializers.Serializer[Any]):
    """What a group gives: exactly one of team and role."""

    group = serializers.CharField(max_length=300)
    team = Reference(teams_of_caller, names=("name",), required=False)
    role = serializers.ChoiceField(choices=Role.choices, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("team" in attrs) == ("role" in attrs):
            raise serializers.ValidationError("Exactly one of team and role.")
        return attrs


class MappingOut(serializers.Serializer[GroupMapping]):
    group = serializers.CharField()
    team = serializers.SerializerMethodField(help_text="Name of the team; null where it gives a role.")
    role = serializers.SerializerMethodField(help_text="The role; null where it gives a team.")

    def get_team(self, row: GroupMapping) -> str | None:
        return None if row.team is None else row.team.name

    def get_role(self, row: GroupMapping) -> str | None:
        return row.role or None


class AddressesOut(serializers.Serializer[Any]):
    """What the identity provider must be told."""

    callback_url = serializers.URLField(help_text="OpenID Connect: redirect URI.")
    acs_url = serializers.URLField(help_text="SAML: assertion consumer service.")
    entity_id = serializers.URLField(help_text="SAML: our entity id, where our metadata lies.")


class IdentityConnectionOut(serializers.Serializer[IdentityConnection]):
    id = HexId()
    kind = serializers.ChoiceField(choices=ConnectionKind.choices)
    name = serializers.CharField()
    vendor = serializers.CharField()
    issuer = serializers.CharField(help_text="OIDC: the issuer. SAML: the provider's entity id.")
    client_id = serializers.CharField()
    has_secret = serializers.BooleanField()
    metadata_url = serializers.CharField()
    sso_url = serializers.CharField()
    domains = serializers.SerializerMethodField(help_text="E-mail domains whose people come through it.")
    email_claim = serializers.CharField()
    group_claim = serializers.CharField()
    mappings = serializers.SerializerMethodField()
    default_role = serializers.ChoiceField(choices=Role.choices)
    allows_new_people = serializers.BooleanField()
    is_active = serializers.BooleanField()
    is_enforced = serializers.BooleanField()
    break_glass_owner = serializers.SerializerMethodField(help_text="E-mail of the owner whose password still counts.")
    tested_at = serializers.DateTimeField(allow_null=True)
    test_problem = serializers.CharField(help_text="Why the last test failed; empty: it did not.")
    addresses = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_domains(self, row: IdentityConnection) -> list[str]:
        return [domain.domain for domain in row.domains.all()]

    @extend_schema_field(MappingOut(many=True))
    def get_mappings(self, row: IdentityConnection) -> list[Any]:
        return [MappingOut(mapping).data for mapping in row.mappings.all()]

    def get_break_glass_owner(self, row: IdentityConnection) -> str | None:
        return None if row.break_glass_owner is None else row.break_glass_owner.email

    @extend_schema_field(AddressesOut)
    def get_addresses(self, row: IdentityConnection) -> dict[str, str]:
        return {
            "callback_url": callback_url(row.id),
            "acs_url": acs_url(row.id),
            "entity_id": metadata_url(row.id),
        }


class IdentityConnectionChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60, required=False)
    vendor = serializers.ChoiceField(choices=VENDORS, required=False)
    issuer = serializers.CharField(max_length=300, required=False, help_text="OIDC only.")
    client_id = serializers.CharField(max_length=300, required=False, help_text="OIDC only.")
    secret = serializers.CharField(
        max_length=2000, required=False, write_only=True, allow_blank=True, help_text="OIDC only."
    )
    metadata = serializers.CharField(
        max_length=1024 * 1024, required=False, write_only=True, help_text="SAML only: the provider's metadata."
    )
    metadata_url = serializers.CharField(
        max_length=300, required=False, help_text="SAML only: where it is read, now and once."
    )
    domains = serializers.ListField(child=serializers.CharField(max_length=253), required=False)
    email_claim = serializers.CharField(max_length=200, required=False, allow_blank=True)
    group_claim = serializers.CharField(max_length=200, required=False, allow_blank=True)
    mappings = MappingIn(many=True, required=False)
    default_role = serializers.ChoiceField(choices=Role.choices, required=False)
    allows_new_people = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)


class IdentityConnectionIn(IdentityConnectionChange):
    kind = serializers.ChoiceField(choices=ConnectionKind.choices)
    name = serializers.CharField(max_length=60)
    domains = serializers.ListField(child=serializers.CharField(max_length=253))


class EnforceIn(serializers.Serializer[Any]):
    break_glass_owner = Reference(people_of_caller, names=("email",))


class RelaxIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True)


class IdentityConnectionFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    kind = django_filters.ChoiceFilter(choices=ConnectionKind.choices)
    is_enforced = django_filters.BooleanFilter()


class IdentityConnectionViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Identity providers that say who an organization's people are."""

    queryset = IdentityConnection.objects.all()
    serializer_class = IdentityConnectionOut
    filterset_class = IdentityConnectionFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    rights = {
        "list": Permission.SIGN_IN_READ,
        "retrieve": Permission.SIGN_IN_READ,
        "create": Permission.SIGN_IN_MANAGE,
        "partial_update": Permission.SIGN_IN_MANAGE,
        "destroy": Permission.SIGN_IN_MANAGE,
        "enforce": Permission.SIGN_IN_MANAGE,
        "relax": Permission.SIGN_IN_MANAGE,
    }
    asks_proof = ("create", "partial_update", "destroy", "enforce", "relax")
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[IdentityConnection]:
        return connections_of(self.caller.organization_id)

    def object_for_change(self) -> IdentityConnection:
        """Locked apart from the counts and joins of the list, which PostgreSQL cannot lock."""
        rows = IdentityConnection.objects.filter(organization_id=self.caller.organization_id)
        row = self.found(rows.select_for_update(of=("self",)))
        check_unchanged(self.request, row)
        return row

    @extend_schema(request=IdentityConnectionIn, responses={201: IdentityConnectionOut})
    def create(self, request: Request) -> Response:
        given = self.read_input(IdentityConnectionIn)
        kind, mappings = given.pop("kind"), _mappings(given)
        facts = _facts_of(kind, given, None)
        if facts is None:
            raise ValidationError({"metadata": "Give metadata or metadata_url."})
        is_active = given.pop("is_active", True)

        def act() -> Response:
            caller = self.caller
            made = connection_create(
                organization=caller.organization,
                actor=caller.actor,
                grantor=caller.standing.role,
                facts=facts,
                **_roles(given),
            )
            if mappings:
                mappings_set(connection=made, mappings=mappings, actor=caller.actor, grantor=caller.standing.role)
            if not is_active:
                connection_update(connection=made, actor=caller.actor, grantor=caller.standing.role, is_active=False)
            return self.answer(self.scoped().get(id=made.id), status=201)

        return self.once(act)

    @extend_schema(request=IdentityConnectionChange, responses=IdentityConnectionOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, connection: IdentityConnection) -> Response:
        given = self.read_input(IdentityConnectionChange, partial=True)
        has_mappings, mappings = "mappings" in given, _mappings(given)
        caller = self.caller
        facts = _facts_of(connection.kind, given, connection)
        connection_update(
            connection=connection, actor=caller.actor, grantor=caller.standing.role, facts=facts, **_roles(given)
        )
        if has_mappings:
            mappings_set(connection=connection, mappings=mappings, actor=caller.actor, grantor=caller.standing.role)
        return self.answer(self.scoped().get(id=connection.id))

    def remove(self, connection: IdentityConnection) -> None:
        connection_delete(connection=connection, actor=self.caller.actor)

    @extend_schema(request=EnforceIn, responses=IdentityConnectionOut)
    @action(detail=True, methods=["post"])
    def enforce(self, request: Request, pk: str) -> Response:
        """Refuse passwords, besides the break-glass owner's. Needs a sign-in tested in the console."""
        owner = self.read_input(EnforceIn)["break_glass_owner"]
        self.require_reason()

        def act() -> Response:
            row = connection_enforce(
                connection=self.object_for_change(), break_glass_owner=owner, actor=self.caller.actor
            )
            return self.answer(self.scoped().get(id=row.id))

        return self.once(act)

    @extend_schema(request=RelaxIn, responses=IdentityConnectionOut)
    @action(detail=True, methods=["post"])
    def relax(self, request: Request, pk: str) -> Response:
        """Let passwords count again."""
        reason = self.read_input(RelaxIn).get("reason", "")

        def act() -> Response:
            row = connection_relax(connection=self.object_for_change(), actor=self.caller.actor, reason=reason)
            return self.answer(self.scoped().get(id=row.id))

        return self.once(act)


def _mappings(given: dict[str, Any]) -> list[Mapping]:
    rows = given.pop("mappings", None) or []
    return [
        Mapping(row["group"], team=row.get("team"), role=Role(row["role"]) if "role" in row else None) for row in rows
    ]


def _roles(given: dict[str, Any]) -> dict[str, Any]:
    if "default_role" in given:
        given["default_role"] = Role(given["default_role"])
    return given


def _facts_of(kind: str, given: dict[str, Any], present: IdentityConnection | None) -> OidcFacts | SamlFacts | None:
    """Take what a protocol needs out of the body; None: nothing of it is there."""
    oidc = {name: given.pop(name) for name in ("issuer", "client_id", "secret") if name in given}
    saml = {name: given.pop(name) for name in ("metadata", "metadata_url") if name in given}
    foreign = saml if kind == ConnectionKind.OIDC else oidc
    if foreign:
        raise ValidationError(dict.fromkeys(foreign, "Not of this kind of connection."))
    if kind == ConnectionKind.OIDC:
        if present is not None and not oidc:
            return None
        issuer = oidc.get("issuer", present.issuer if present else "")
        client_id = oidc.get("client_id", present.client_id if present else "")
        return OidcFacts(issuer, client_id, oidc.get("secret"))
    try:
        if "metadata" in saml:
            return SamlFacts(read_metadata(saml["metadata"]))
        if "metadata_url" in saml:
            return SamlFacts(fetched_metadata(saml["metadata_url"]), saml["metadata_url"])
    except ProviderUnreachable as failure:
        raise ValidationError({"metadata_url": str(failure)}) from failure
    except ValueError as failure:
        raise ValidationError({"metadata": str(failure)}) from failure
    return None
