"""Bring a person into an organization: always with a new account, never with one that others rely on."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.models import User
from control_plane.accounts.selectors import user_by_email
from control_plane.accounts.services import user_create, user_preferences_set, user_subject
from control_plane.audit.services import Actor, record_change
from control_plane.organizations.models import Membership, Organization, Role, Team
from control_plane.organizations.selectors import membership_of
from control_plane.organizations.services.grants import Grantor
from control_plane.organizations.services.memberships import membership_add
from control_plane.organizations.services.teams import team_member_add

BELONGS_ELSEWHERE = (
    "This person already has an account with another organization here. Ask whoever runs this installation to add them."
)


class BelongsElsewhere(ValidationError):
    """The e-mail has an account that this organization's admins have no say over."""

    def __init__(self) -> None:
        super().__init__({"email": BELONGS_ELSEWHERE})


@transaction.atomic
def person_add(
    *,
    organization: Organization,
    email: str,
    password: str | None,
    actor: Actor,
    name: str = "",
    role: Role = Role.MEMBER,
    teams: Sequence[Team] = (),
    by: Grantor,
) -> Membership:
    """Make an account, its membership and its places in teams. Raises BelongsElsewhere and ValidationError.

    by: whose rights bound the role (check_role_change).

    An account that exists is not attached: whoever typed the e-mail would gain a say over a person who never agreed,
    and a person would sign in with a password that somebody else chose.
    """
    found = user_by_email(email)
    if found is not None:
        if membership_of(found, organization) is None:
            raise BelongsElsewhere
        raise ValidationError({"email": "This person is a member already."})
    user = user_create(email=email, password=password, name=name, actor=actor)
    membership = membership_add(organization=organization, user=user, role=role, actor=actor, by=by)
    for team in teams:
        team_member_add(team=team, user=user, actor=actor)
    return membership


@transaction.atomic
def person_rename(*, organization: Organization, user: User, name: str, actor: Actor) -> User:
    """Call a person of the organization otherwise; said in its audit too. Raises ValidationError."""
    before = user.name
    user = user_preferences_set(user=user, actor=actor, name=name)
    if user.name != before:
        record_change(
            organization_id=organization.id,
            actor=actor,
            action="user.renamed",
            subject=user_subject(user),
            before={"name": before},
            after={"name": user.name},
        )
    return user
