"""Refuse a rule that would be one too many for some exchange."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership
from control_plane.rules.messages import Present, head_of, keys_named
from control_plane.rules.models import Mode
from control_plane.rules.overlap import Contender, Everybody, KeyFacts, crowd_of
from control_plane.rules.problems import Problems
from control_plane.rules.reading_conditions import World, subjects_of
from control_plane.rules.selectors import successors_of
from switchyard_contract.v1 import snapshot_pb2


def check_crowd(row: Any, others: QuerySet[Any], *, most: int, what: str, world: World, problems: Problems) -> None:
    """Add a problem when this rule and others of its kind, more than `most`, may match one exchange."""
    if row.mode == Mode.OFF:
        return
    rules = [row, *others.exclude(mode=Mode.OFF)]
    if len(rules) <= most:
        return
    found = crowd_of(_contenders(rules, world), everybody_of(rules, world), most, including=row.name)
    if found:
        problems.add("when", crowd_text(found, most, what))


def crowd_text(names: Sequence[str], most: int, what: str) -> str:
    return (
        f"{len(names)} {what} may match one exchange, and {most} can be counted: {', '.join(names)}. "
        "Narrow one, put alternatives into a group, or switch one off."
    )


def everybody_of(rules: Iterable[Any], world: World) -> Everybody:
    """Who is in the organization, as far as these rules ask."""
    organization = world.organization
    rules = list(rules)
    keys = {
        key_id: KeyFacts(f"user:{user_id.hex}" if user_id else f"service_account:{account_id.hex}", team_id.hex)
        for key_id, user_id, account_id, team_id in VirtualKey.objects.filter(
            organization=organization, key_id__in=keys_named(rules)
        ).values_list("key_id", "user_id", "service_account_id", "team_id")
    }
    people = {
        subject.value for rule in rules for subject in subjects_of(rule.when, rule.when_not) if subject.kind == "user"
    }
    people |= {facts.principal.partition(":")[2] for facts in keys.values() if facts.principal.startswith("user:")}
    members = Membership.objects.filter(organization=organization, user_id__in=[UUID(each) for each in people])
    return Everybody(
        roles={user_id.hex: role for user_id, role in members.values_list("user_id", "role")},
        keys=keys,
        virtual_names=tuple(world.models.names_of(name) for name in world.models.virtual),
    )


def _contenders(rules: Sequence[Any], world: World) -> list[Contender]:
    now = timezone.now()
    present = Present(successors=successors_of(world.organization.id, keys_named(rules)))
    found = []
    for rule in rules:
        head = head_of(rule, now, present)
        found.append(
            Contender(
                name=rule.name,
                group=rule.group,
                is_shadow=head["mode"] == snapshot_pb2.RULE_MODE_SHADOW,
                when=head["when"],
                when_not=head["when_not"],
                per=rule.per,
            )
        )
    return found
