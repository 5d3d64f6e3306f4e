"""Whom a rule is about, now: how many people, service accounts and keys, and some of them by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization, ServiceAccount
from control_plane.rules.conditions import Condition, Subject
from control_plane.rules.selectors import successors_of

EXAMPLES = 5
NOBODY = Q(pk__in=[])
EVERYBODY = Q(pk__isnull=False)
"""Also beside other conditions: an empty one would vanish among alternatives."""


@dataclass(frozen=True, slots=True)
class Some:
    """How many there are, and the first of them by name."""

    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Affected:
    """notes: what is easily taken otherwise, in sentences."""

    people: Some
    service_accounts: Some
    keys: Some
    notes: tuple[str, ...] = ()


def affected_by(
    organization: Organization,
    when: Condition,
    when_not: Sequence[Condition] = (),
    *,
    per: Collection[str] = (),
    now: datetime | None = None,
) -> Affected:
    """Who may be touched by a rule: by who they are; what they ask for is looked at with each exchange.

    People count who could act so, with a key or without one; keys count that are alive.
    """
    now = now or timezone.now()
    excluded = [each for each in when_not if each.is_about_subjects_alone]
    successors = _successors(organization, [when, *excluded])
    people, accounts, keys = _matching(organization, when, successors, now)
    for each in excluded:
        without = _queries(each, organization, successors)
        people, accounts, keys = people.exclude(without[0]), accounts.exclude(without[1]), keys.exclude(without[2])
    notes = []
    if "user" in per:
        if accounts.exists():
            notes.append("It counts by user, so it does not match what service accounts do.")
        accounts, keys = accounts.none(), keys.filter(user__isnull=False)
    if "service_account" in per:
        if people.exists():
            notes.append("It counts by service account, so it does not match what people do.")
        people, keys = people.none(), keys.filter(service_account__isnull=False)
    found = Affected(
        _some(people.order_by("user__email"), "user__email"),
        _some(accounts.order_by("name"), "name"),
        _some(keys.order_by("name", "key_id"), "name"),
    )
    if not (found.people.count or found.service_accounts.count or found.keys.count):
        notes.append("Nobody is touched by it now.")
    return Affected(found.people, found.service_accounts, found.keys, tuple(notes))


def _matching(
    organization: Organization, when: Condition, successors: dict[str, list[str]], now: datetime
) -> tuple[QuerySet[Membership], QuerySet[ServiceAccount], QuerySet[VirtualKey]]:
    people, accounts, keys = _queries(when, organization, successors)
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return (
        Membership.objects.filter(people, organization=organization, user__is_active=True),
        ServiceAccount.objects.filter(accounts, organization=organization, is_active=True),
        VirtualKey.objects.filter(keys, alive, organization=organization, revoked_at__isnull=True),
    )


def _queries(condition: Condition, organization: Organization, successors: dict[str, list[str]]) -> tuple[Q, Q, Q]:
    """Conditions on memberships, service accounts and keys."""
    if condition.is_about_everybody:
        return EVERYBODY, EVERYBODY, EVERYBODY
    people, accounts, keys = NOBODY, NOBODY, NOBODY
    for subject in condition.subjects:
        of_people, of_accounts, of_keys = _query(subject, organization, successors)
        people, accounts, keys = people | of_people, accounts | of_accounts, keys | of_keys
    return people, accounts, keys


def _query(subject: Subject, organization: Organization, successors: dict[str, list[str]]) -> tuple[Q, Q, Q]:
    organization_id = organization.id
    match subject.kind:
        case "team":
            team_id = UUID(subject.value)
            # By subqueries: a person in a team stands once, with however many keys.
            charged = VirtualKey.objects.filter(organization_id=organization_id, team_id=team_id, revoked_at=None)
            members = Q(
                user__team_memberships__team_id=team_id, user__team_memberships__organization_id=organization_id
            )
            in_team = Membership.objects.filter(members, organization_id=organization_id)
            return (
                Q(id__in=in_team.values("id")) | Q(user_id__in=charged.filter(user__isnull=False).values("user_id")),
                Q(team_id=team_id)
                | Q(id__in=charged.filter(service_account__isnull=False).values("service_account_id")),
                Q(team_id=team_id),
            )
        case "role":
            holders = Membership.objects.filter(organization_id=organization_id, role=subject.value)
            return Q(role=subject.value), NOBODY, Q(user_id__in=holders.values("user_id"))
        case "user":
            user_id = UUID(subject.value)
            return Q(user_id=user_id), NOBODY, Q(user_id=user_id)
        case "service_account":
            account_id = UUID(subject.value)
            return NOBODY, Q(id=account_id), Q(service_account_id=account_id)
        case "key":
            ids = [subject.value, *successors.get(subject.value, ())]
            line = VirtualKey.objects.filter(organization_id=organization_id, key_id__in=ids)
            return (
                Q(user_id__in=line.filter(user__isnull=False).values("user_id")),
                Q(id__in=line.filter(service_account__isnull=False).values("service_account_id")),
                Q(key_id__in=ids),
            )
        case "kind" if subject.value == "user":
            return EVERYBODY, NOBODY, Q(user__isnull=False)
        case "kind":
            return NOBODY, EVERYBODY, Q(service_account__isnull=False)
        case _:
            return EVERYBODY, EVERYBODY, EVERYBODY


def _successors(organization: Organization, conditions: Sequence[Condition]) -> dict[str, list[str]]:
    named = {each.value for condition in conditions for each in condition.subjects if each.kind == "key"}
    return successors_of(organization.id, named) if named else {}


def _some(rows: QuerySet[Membership] | QuerySet[ServiceAccount] | QuerySet[VirtualKey], name: str) -> Some:
    return Some(rows.count(), tuple(rows.values_list(name, flat=True)[:EXAMPLES]))
