"""REST: teams and who is in them."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.accounts.models import User
from control_plane.organizations.models import Team
from control_plane.organizations.reach import teams_within
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import members_of_team, memberships_of
from control_plane.organizations.services import team_create, team_member_add, team_member_remove, team_update
from control_plane.rest.caller import Caller
from control_plane.rest.fields import HexId, Reference, Tags
from control_plane.rest.views import ChangeMixin, ListMixin, RetrieveMixin, TenantView


def members_addable_by(caller: Caller) -> QuerySet[User]:
    """Everybody in the organization: whoever may fill a team may name people who are in none of theirs yet."""
    return User.objects.filter(id__in=memberships_of(caller.organization).values("user_id"))


class TeamOut(serializers.Serializer[Team]):
    id = HexId()
    name = serializers.CharField()
    cost_centre = serializers.CharField()
    lead = serializers.SerializerMethodField(help_text="E-mail of the lead.")
    tags = Tags()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_lead(self, team: Team) -> str | None:
        return None if team.lead is None else team.lead.email


class TeamIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    cost_centre = serializers.CharField(max_length=100, required=False, allow_blank=True)
    lead = Reference(members_addable_by, names=("email",), required=False, allow_null=True)
    tags = Tags(required=False)


class TeamMemberIn(serializers.Serializer[Any]):
    user = Reference(members_addable_by, names=("email",))


class TeamMemberOut(serializers.Serializer[User]):
    id = HexId()
    email = serializers.EmailField()
    name = serializers.CharField()
    is_active = serializers.BooleanField()


class TeamFilter(django_filters.FilterSet):
    name = django_filters.CharFilter()
    cost_centre = django_filters.CharFilter()
    lead = django_filters.CharFilter(field_name="lead__email", lookup_expr="iexact")
    member = django_filters.CharFilter(field_name="memberships__user__email", lookup_expr="iexact")
    search = django_filters.CharFilter(method="by_text")

    def by_text(self, rows: QuerySet[Team], name: str, value: str) -> QuerySet[Team]:
        return rows.filter(Q(name__icontains=value) | Q(cost_centre__icontains=value))


class TeamViewSet(ListMixin, RetrieveMixin, ChangeMixin, TenantView):
    """Groups of people; keys are charged to one."""

    queryset = Team.objects.all()
    serializer_class = TeamOut
    filterset_class = TeamFilter
    page_order = ("name", "id")
    lookup_names = ("name",)
    rights = {
        "list": Permission.TEAMS_READ,
        "retrieve": Permission.TEAMS_READ,
        "create": Permission.TEAMS_MANAGE,
        "partial_update": Permission.TEAMS_MANAGE,
        "members": Permission.TEAMS_READ,
        "add_member": Permission.TEAM_MEMBERS_MANAGE,
        "remove_member": Permission.TEAM_MEMBERS_MANAGE,
    }
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def scoped(self) -> QuerySet[Team]:
        return teams_within(self.caller.standing)

    def whose(self, team: Team) -> tuple[None, tuple[UUID, ...]]:
        return None, (team.id,)

    @extend_schema(request=TeamIn, responses={201: TeamOut})
    def create(self, request: Request) -> Response:
        given = self.read_input(TeamIn)
        return self.once(
            lambda: self.answer(
                team_create(organization=self.caller.organization, actor=self.caller.actor, **given), status=201
            )
        )

    @extend_schema(request=TeamIn, responses=TeamOut)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def change(self, team: Team) -> Response:
        given = self.read_input(TeamIn, partial=True)
        clears_lead = "lead" in given and given["lead"] is None
        return self.answer(team_update(team=team, actor=self.caller.actor, clears_lead=clears_lead, **given))

    @extend_schema(responses=TeamMemberOut(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def members(self, request: Request, pk: str) -> Response:
        """Who is in the team."""
        team = self.get_object()
        return Response([TeamMemberOut(user).data for user in members_of_team(team)[:1000]])

    @extend_schema(request=TeamMemberIn, responses={201: TeamMemberOut})
    @members.mapping.post
    def add_member(self, request: Request, pk: str) -> Response:
        """Put a member of the organization into the team."""
        user = self.read_input(TeamMemberIn)["user"]

        def act() -> Response:
            team_member_add(team=self.object_for_change(), user=user, actor=self.caller.actor)
            return Response(TeamMemberOut(user).data, status=201)

        return self.once(act)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["delete"], url_path="members/(?P<user>[^/]+)")
    def remove_member(self, request: Request, pk: str, user: str) -> Response:
        """Take a person out of the team."""
        team = self.get_object()
        person = Reference(members_addable_by, names=("email",))
        person.bind("user", TeamMemberIn(context=self.get_serializer_context()))
        team_member_remove(team=team, user=person.run_validation(user), actor=self.caller.actor)
        return Response(status=204)
