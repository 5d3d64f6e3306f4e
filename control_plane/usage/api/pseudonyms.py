"""REST: people who stand in the books under another name."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.accounts.models import User
from control_plane.keys.models import VirtualKey
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import Caller
from control_plane.rest.fields import HexId, Reference
from control_plane.rest.views import ListMixin, TenantView
from control_plane.usage.models import Pseudonym
from control_plane.usage.pseudonyms import NothingToRename, PersonStillHere, person_pseudonymise


def _people(caller: Caller) -> QuerySet[User]:
    """Who had a key here, or still is a member."""
    keys = VirtualKey.objects.filter(organization=caller.organization, user=OuterRef("pk"))
    return User.objects.filter(Exists(keys)) | User.objects.filter(memberships__organization=caller.organization)


class PseudonymIn(serializers.Serializer[Any]):
    user = Reference(_people, names=("email",), help_text="Who has left: e-mail or id.")
    confirm = serializers.CharField(max_length=300, help_text="The person's e-mail once more. It cannot be undone.")


class PseudonymOut(serializers.Serializer[Pseudonym]):
    id = HexId(help_text="Stands where the person's id stood.")
    name = serializers.CharField()
    day = serializers.DateTimeField(source="asked_at", help_text="The day it was done; the hour is not kept.")


class PseudonymViewSet(ListMixin, TenantView):
    """People who have left and whose records were renamed. Sums stay as they were; who it was is written nowhere."""

    queryset = Pseudonym.objects.all()
    serializer_class = PseudonymOut
    page_order = ("-asked_at", "id")
    rights = {
        "list": Permission.ORGANIZATION_MANAGE,
        "retrieve": Permission.ORGANIZATION_MANAGE,
        "create": Permission.ORGANIZATION_MANAGE,
    }
    http_method_names = ["get", "post", "head", "options"]

    def scoped(self) -> QuerySet[Pseudonym]:
        return Pseudonym.objects.filter(organization_id=self.caller.organization.id)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One of them."""
        return Response(PseudonymOut(self.get_object()).data)

    @extend_schema(request=PseudonymIn, responses={201: PseudonymOut})
    def create(self, request: Request) -> Response:
        """Rename a person who has left, in rows, sums and sessions alike. Their membership and keys must be gone."""
        given = self.read_input(PseudonymIn)
        self.require_reason()
        user: User = given["user"]
        if given["confirm"].strip().lower() != user.email.lower():
            raise ValidationError({"confirm": f"Write {user.email} to confirm."})

        def act() -> Response:
            try:
                made = person_pseudonymise(organization=self.caller.organization, user=user, actor=self.caller.actor)
            except PersonStillHere as failure:
                raise ValidationError(
                    {"user": "Still a member, or has a key that works. Remove the person and revoke the keys first."}
                ) from failure
            except NothingToRename as failure:
                raise ValidationError({"user": "Nothing in the books names this person."}) from failure
            return Response(PseudonymOut(made).data, status=201)

        return self.once(act)
