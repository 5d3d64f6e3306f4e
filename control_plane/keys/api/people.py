"""REST: users, memberships, service accounts."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.accounts.models import User
from control_plane.keys.api.scopes import memberships_for, service_accounts_for, teams_for, users_for
from control_plane.keys.services import (
    membership_remove,
    service_account_activity_set,
    user_deactivate,
    user_reactivate,
)
from control_plane.organizations.models import Membership, Role, ServiceAccount
from control_plane.organizations.roles import Permission
from control_plane.organizations.services import (
    BelongsElsewhere,
    membership_add,
    membership_update,
    person_add,
    person_rename,
    service_account_create,
    service_account_update,
)
from control_plane.rest.fields import HexId, Reference, Tags
from control_plane.rest.problems import Conflict, FieldConflict
from control_plane.rest.views import ChangeMixin, ListMixin, RemoveMixin, RetrieveMixin, TenantView

POWERFUL = frozenset({Role.OWNER, Role.ADMIN})
"""Who becomes one of these, or ceases to be, is told with a reason."""


class ReasonIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class UserOut(serializers.Serializer[User]):
    id = HexId()
    email = serializers.EmailField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class UserIn(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    password = serializers.CharField(required=False, write_only=True, max_length=256)
    role = serializers.ChoiceField(Role.choices, required=False, default=Role.MEMBER)
    teams = serializers.ListField(child=Reference(teams_for, names=("name",)), required=False, default=list)


class UserChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    is_active = serializers.BooleanField(
        required=False, help_text="false: no sign-in, every key denied, running streams cut; can be undone."
    )


class UserFilter(django_filters.FilterSet):
    email = django_filters.CharFilter(lookup_expr="iexact")
    is_active = django_filters.BooleanFilter()
    team = django_filters.CharFilter(method="by_team")
    search = django_filters.CharFilter(method="by_text")

    def by_team(self, rows: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        return rows.filter(team_memberships__team__in=teams_for(self.request.auth).filter(name=value))

    def by_text(self, rows: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        return rows.filter(Q(email__icontains=value) | Q(name__icontains=value))


class UserViewSet(ListMixin, RetrieveMixin, ChangeMixin, TenantView):
    """People of the organization. A member sees only themselves."""

    queryset = User.objects.all()
    serializer_class = UserOut
    filterset_class = UserFilter
    page_order = ("email", "id")
    lookup_names = ("email",)
    rights = {
        "list": Permission.MEMBERS_READ,
        "retrieve": Permission.MEMBERS_READ,
        "create": Permission.MEMBERS_MANAGE,
        "partial_update": Permission.MEMBERS_MANAGE,
        "deactivate": Permission.MEMBERS_MANAGE,
        "reactivate": Permission.MEMBERS_MANAGE,
    }
    asks_proof = ("create", "partial_update")
    http_method_names = ["get", "post", "patch", "head", "options"]

    def scoped(self) -> QuerySet[User]:
        return users_for(self.caller)

    @extend_schema(request=UserIn, responses={201: UserOut})
    def create(self, request: Request) -> Response:
        """Make an account and a member. 409: the e-mail has an account already, with another organization."""
        given = self.read_input(UserIn)

        def act() -> Response:
            try:
                membership = person_add(
                    organization=self.caller.organization,
                    email=given["email"],
                    password=given.get("password"),
                    name=given.get("name", ""),
                    role=given["role"],
                    teams=given["teams"],
                    actor=self.caller.actor,
                    by=self.caller.standing,
                )
            except BelongsElsewhere as failure:
                raise FieldConflict(failure.message_dict) from failure
            return self.answer(membership.user, status=201)

        return self.once(act)

    @extend_schema(request=UserChange, responses=UserOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Call somebody otherwise, shut them out or let them in. 409: they are in other organizations too."""
        return super().partial_update(request, *args, **kwargs)

    def change(self, user: User) -> Response:
        given = self.read_input(UserChange, partial=True)
        is_active = given.get("is_active", user.is_active)
        if user.is_active and not is_active:
            self.require_reason()
        user = self._only_ours(user)
        caller = self.caller
        if "name" in given:
            user = person_rename(organization=caller.organization, user=user, name=given["name"], actor=caller.actor)
        if is_active != user.is_active:
            switch = user_reactivate if is_active else user_deactivate
            user = switch(user=user, actor=caller.actor, by=caller.standing)
        return self.answer(user)

    @extend_schema(request=ReasonIn, responses=UserOut)
    @action(detail=True, methods=["post"])
    def deactivate(self, request: Request, pk: str) -> Response:
        """Shut a person out and deny all their keys, running streams cut. Can be undone."""
        reason = self.read_input(ReasonIn)["reason"]
        self.require_reason()
        return self.once(
            lambda: self.answer(
                user_deactivate(
                    user=self._only_ours(self.object_for_change()),
                    reason=reason,
                    actor=self.caller.actor,
                    by=self.caller.standing,
                )
            )
        )

    @extend_schema(request=ReasonIn, responses=UserOut)
    @action(detail=True, methods=["post"])
    def reactivate(self, request: Request, pk: str) -> Response:
        """Let a person in again; keys that were not revoked work again."""
        reason = self.read_input(ReasonIn)["reason"]
        return self.once(
            lambda: self.answer(
                user_reactivate(
                    user=self._only_ours(self.object_for_change()),
                    reason=reason,
                    actor=self.caller.actor,
                    by=self.caller.standing,
                )
            )
        )

    def _only_ours(self, user: User) -> User:
        """The person, when no other organization would feel it: an account is switched off everywhere at once."""
        if Membership.objects.filter(user=user).exclude(organization=self.caller.organization).exists():
            raise Conflict("This person is in other organizations too. Remove the membership in yours instead.")
        return user


class MembershipOut(serializers.Serializer[Membership]):
    id = HexId()
    user = serializers.EmailField(source="user.email")
    user_id = HexId()
    role = serializers.ChoiceField(Role.choices)
    tags = Tags()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class MembershipIn(serializers.Serializer[Any]):
    user = serializers.EmailField(help_text="E-mail of somebody in this organization.")
    role = serializers.ChoiceField(Role.choices, required=False)
    tags = Tags(required=False)


class MembershipChange(serializers.Serializer[Any]):
    role = serializers.ChoiceField(Role.choices, required=False)
    tags = Tags(required=False)


class MembershipFilter(django_filters.FilterSet):
    role = django_filters.ChoiceFilter(choices=Role.choices)
    user = django_filters.CharFilter(field_name="user__email", lookup_expr="iexact")


class MembershipViewSet(ListMixin, RetrieveMixin, ChangeMixin, RemoveMixin, TenantView):
    """Who is in the organization, and as what."""

    queryset = Membership.objects.all()
    serializer_class = MembershipOut
    filterset_class = MembershipFilter
    page_order = ("created_at", "id")
    lookup_names = ("user__email",)
    rights = {
        "list": Permission.MEMBERS_READ,
        "retrieve": Permission.MEMBERS_READ,
        "create": Permission.MEMBERS_MANAGE,
        "partial_update": Permission.MEMBERS_MANAGE,
        "destroy": Permission.MEMBERS_MANAGE,
    }
    asks_proof = ("create", "partial_update", "destroy")
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[Membership]:
        return memberships_for(self.caller)

    @extend_schema(request=MembershipIn, responses={201: MembershipOut})
    def create(self, request: Request) -> Response:
        """Only for people of this organization, so a repeat is refused; POST /users brings in somebody new."""
        given = self.read_input(MembershipIn)

        def act() -> Response:
            user = users_for(self.caller).filter(email=given.pop("user").strip().lower()).first()
            if user is None:
                # Said of strangers and of other organizations' people alike: nobody learns who has an account here.
                raise Http404
            membership = membership_add(
                organization=self.caller.organization,
                user=user,
                actor=self.caller.actor,
                by=self.caller.standing,
                **given,
            )
            return self.answer(membership, status=201)

        return self.once(act)

    @extend_schema(request=MembershipChange, responses=MembershipOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, membership: Membership) -> Response:
        given = self.read_input(MembershipChange, partial=True)
        if given.get("role", membership.role) != membership.role and {given["role"], membership.role} & POWERFUL:
            self.require_reason()
        return self.answer(
            membership_update(membership=membership, actor=self.caller.actor, by=self.caller.standing, **given)
        )

    def is_allowed(self, right: str, row: Membership) -> bool:
        # To leave is everybody's own decision; only a token that was given fewer rights does not decide it.
        is_leaving = self.action == "destroy" and row.user_id == self.caller.user.id
        return super().is_allowed(right, row) or (is_leaving and self.caller.standing.scopes is None)

    def remove(self, membership: Membership) -> None:
        """Their keys and tokens in this organization end with it. Anybody may leave; the last owner stays."""
        membership_remove(membership=membership, actor=self.caller.actor, by=self.caller.standing)


class ServiceAccountOut(serializers.Serializer[ServiceAccount]):
    id = HexId()
    name = serializers.CharField()
    description = serializers.CharField()
    team = serializers.CharField(source="team.name")
    team_id = HexId()
    tags = Tags()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ServiceAccountIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    team = Reference(teams_for, names=("name",))
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    tags = Tags(required=False)


class ServiceAccountChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    team = Reference(teams_for, names=("name",), required=False)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    tags = Tags(required=False)
    is_active = serializers.BooleanField(required=False)


class ServiceAccountFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    team = django_filters.CharFilter(field_name="team__name")
    is_active = django_filters.BooleanFilter()


class ServiceAccountViewSet(ListMixin, RetrieveMixin, ChangeMixin, TenantView):
    """Tools, CI jobs and applications with keys of their own."""

    queryset = ServiceAccount.objects.all()
    serializer_class = ServiceAccountOut
    filterset_class = ServiceAccountFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    rights = {
        "list": Permission.SERVICE_ACCOUNTS_READ,
        "retrieve": Permission.SERVICE_ACCOUNTS_READ,
        "create": Permission.SERVICE_ACCOUNTS_MANAGE,
        "partial_update": Permission.SERVICE_ACCOUNTS_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "head", "options"]

    def scoped(self) -> QuerySet[ServiceAccount]:
        return service_accounts_for(self.caller)

    def whose(self, account: ServiceAccount) -> tuple[None, tuple[UUID, ...]]:
        return None, (account.team_id,)

    @extend_schema(request=ServiceAccountIn, responses={201: ServiceAccountOut})
    def create(self, request: Request) -> Response:
        given = self.read_input(ServiceAccountIn)
        self.require(Permission.SERVICE_ACCOUNTS_MANAGE, team_ids=(given["team"].id,))
        return self.once(
            lambda: self.answer(
                service_account_create(organization=self.caller.organization, actor=self.caller.actor, **given),
                status=201,
            )
        )

    @extend_schema(request=ServiceAccountChange, responses=ServiceAccountOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Switching an account off denies all its keys."""
        return super().partial_update(request, *args, **kwargs)

    def change(self, account: ServiceAccount) -> Response:
        given = self.read_input(ServiceAccountChange, partial=True)
        if "team" in given:
            self.require(Permission.SERVICE_ACCOUNTS_MANAGE, team_ids=(given["team"].id,))
        is_active = given.pop("is_active", None)
        account = service_account_update(service_account=account, actor=self.caller.actor, **given)
        if is_active is not None:
            account = service_account_activity_set(
                service_account=account, is_active=is_active, actor=self.caller.actor
            )
        return self.answer(account)
