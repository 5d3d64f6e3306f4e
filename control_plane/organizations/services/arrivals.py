"""Bring a person into an organization: always with a new account, never with one that others rely on."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.selectors import user_by_email
from control_plane.accounts.services import user_create
from control_plane.audit.services import Actor
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
