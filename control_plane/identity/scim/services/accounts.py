"""Which account a provider's person is, and what its organization may do with it.

An organization always decides over its own memberships. The account itself (address, name, whether it may sign in at
all) is touched only while no other organization has the person as a member.
"""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.models import User
from control_plane.accounts.selectors import user_by_email
from control_plane.accounts.services import sessions_end, user_activity_set, user_create, user_identity_set
from control_plane.audit.services import Actor
from control_plane.identity.models import ConnectionDomain, IdentityConnection
from control_plane.identity.scim.documents import PersonFacts
from control_plane.identity.scim.errors import Clash, Unreadable, sentence
from control_plane.identity.scim.models import ScimUser
from control_plane.organizations.models import Membership, Organization, Role
from control_plane.organizations.selectors import membership_of

ELSEWHERE = (
    "{email} already has an account with another organization here, which this one has no say over. "
    "Ask whoever runs this installation to add the person."
)


OWNERS_ONLY = (
    "{email} is an owner here, and the SCIM token was made by somebody who is none. "
    "Let an owner make the token, or let an owner do this in the console."
)


@dataclass(frozen=True, slots=True)
class Directory:
    """The identity provider that acts. reaches_owners: whether an owner gave it its token."""

    actor: Actor
    reaches_owners: bool


@transaction.atomic
def account_for(*, organization: Organization, facts: PersonFacts, actor: Actor) -> User:
    """Find or make the account of a person whom a provider sends for the first time. Raises Clash and Unreadable.

    An account that exists is taken over when its person is a member here; or is nobody's member, and was here before
    or has an address in a domain that this organization signs in.
    """
    user = user_by_email(facts.email)
    if user is None:
        try:
            return user_create(email=facts.email, password=None, name=facts.name, actor=actor)
        except ValidationError as failure:
            raise Unreadable(sentence(failure.message_dict)) from failure
    if ScimUser.objects.filter(organization=organization, user=user, deleted_at__isnull=True).exists():
        raise Clash(f"The address {facts.email} belongs to another provisioned person.")
    if membership_of(user, organization) is not None:
        return user
    was_here = ScimUser.objects.filter(organization=organization, user=user).exists()
    if is_member_elsewhere(user, organization) or not (was_here or _signs_in(organization, facts.email)):
        raise Clash(ELSEWHERE.format(email=facts.email))
    return user


def account_set(*, user: User, organization: Organization, facts: PersonFacts, by: Directory) -> bool:
    """Bring address and name of an account up to date; says whether the address changed. Raises Clash."""
    if is_member_elsewhere(user, organization):
        return False
    has_moved = user.email != facts.email
    if has_moved and not by.reaches_owners and _is_owner(user, organization):
        raise Clash(OWNERS_ONLY.format(email=user.email), "mutability")
    if has_moved and user_by_email(facts.email) is not None:
        raise Clash(f"The address {facts.email} belongs to another account.")
    try:
        user_identity_set(user=user, email=facts.email, name=facts.name or None, actor=by.actor)
    except ValidationError as failure:
        raise Unreadable(sentence(failure.message_dict)) from failure
    return has_moved


def account_close(*, user: User, actor: Actor, reason: str) -> None:
    """End a leaver's console sessions; the whole account, once no organization has the person any more."""
    if not user.is_active or Membership.objects.filter(user=user).exists():
        sessions_end(user=user, actor=actor, reason=reason)
    else:
        user_activity_set(user=user, is_active=False, actor=actor, reason=reason)


def account_open(*, user: User, actor: Actor) -> None:
    """Let a person in again whom nobody but providers shut out. Raises Clash."""
    if user.is_active:
        return
    if Membership.objects.filter(user=user).exists():
        raise Clash(f"{user.email} was deactivated in the console. Let them in again there.", "mutability")
    user_activity_set(user=user, is_active=True, actor=actor, reason="reactivated by the identity provider")


def is_member_elsewhere(user: User, organization: Organization) -> bool:
    return Membership.objects.filter(user=user).exclude(organization=organization).exists()


def check_may_leave(membership: Membership, by: Directory) -> None:
    """Raise Clash for an owner out of reach, and for the one who keeps the door open when single sign-on fails."""
    user, organization = membership.user, membership.organization
    if membership.role == Role.OWNER and not by.reaches_owners:
        raise Clash(OWNERS_ONLY.format(email=user.email), "mutability")
    kept = IdentityConnection.objects.filter(organization=organization, is_enforced=True, break_glass_owner=user)
    if kept.exists():
        raise Clash(f"{user.email} is the break-glass owner. Name another one under Sign-in first.", "mutability")


def _is_owner(user: User, organization: Organization) -> bool:
    return Membership.objects.filter(organization=organization, user=user, role=Role.OWNER).exists()


def _signs_in(organization: Organization, email: str) -> bool:
    """Whether the address is in a domain whose people sign in through a connection of this organization."""
    domain = email.rpartition("@")[2]
    return ConnectionDomain.objects.filter(organization=organization, domain=domain).exists()
