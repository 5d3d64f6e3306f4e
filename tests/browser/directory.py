"""A directory that is connected: a token that was used and failed once, people and groups that came through it."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from control_plane.audit.services import Actor
from control_plane.identity.scim.models import ScimToken
from control_plane.identity.scim.patching import Operation
from control_plane.identity.scim.services import (
    Directory,
    group_create,
    group_role_set,
    person_create,
    person_locked,
    person_patch,
    scim_token_mint,
)
from control_plane.organizations.models import Organization, Role
from control_plane.organizations.services import INSTALLATION

NAMES = ("Barbara Liskov", "Donald Knuth", "Edsger Dijkstra", "Frances Allen", "Ken Thompson", "Radia Perlman")
LONG = "Adolph Blaine Charles David Earl Frederick Gerald Hubert Wolfeschlegelsteinhausenbergerdorff"


def a_directory(organization: Organization, actor: Actor) -> None:
    now = timezone.now()
    used = scim_token_mint(organization=organization, name="Entra", actor=actor, by=INSTALLATION).record
    ScimToken.objects.filter(id=used.id).update(
        last_used_at=now - timedelta(minutes=4),
        last_request="PATCH /scim/v2/Groups/5f0c8a34-7f4e-4f4c-9f5e-6a1b2c3d4e5f",
        last_error="POST /scim/v2/Users: 409 uniqueness The userName ken@directory.example belongs to another person.",
        last_error_at=now - timedelta(hours=3),
    )
    scim_token_mint(
        organization=organization,
        name="Okta preview",
        actor=actor,
        expires_at=now + timedelta(days=90),
        by=INSTALLATION,
    )
    by = Directory(Actor.system("SCIM token Entra"), reaches_owners=True)
    people = [
        person_create(
            organization=organization,
            body={
                "userName": f"{name.split()[-1].lower()}@directory.example",
                "displayName": name,
                "externalId": f"0a21f0f2-8d2a-4f8e-bf98-{number:012}",
                "active": number != 2,
            },
            by=by,
        )
        for number, name in enumerate((*NAMES, LONG))
    ]
    with transaction.atomic():
        gone = person_locked(organization, people[4].id)
        person_patch(person=gone, operations=[Operation("replace", "active", "False")], by=by)
    for name, members in (("Engineering (EMEA)", people), ("Switchyard admins", people[:2]), (LONG, people[:1])):
        listed = [{"value": str(person.id)} for person in members]
        group = group_create(organization=organization, body={"displayName": name, "members": listed}, actor=by.actor)
        if name == "Switchyard admins":
            group_role_set(group=group, role=Role.ADMIN, actor=actor, by=INSTALLATION)
