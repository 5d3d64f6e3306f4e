"""The list of all rules, whatever their kind: found, filtered and paged together, with what each did today."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

from django.db.models import CharField, Q, QuerySet, Value
from django.utils import timezone

from control_plane.organizations.models import Organization
from control_plane.rules.conditions import loaded_all
from control_plane.rules.models import RuleFields
from control_plane.rules.subjects import Directory
from control_plane.usage.models import RuleDay
from control_plane.web.rule_catalog import BY_SLUG, RULE_TYPES, RuleType
from control_plane.web.rule_words import MODE_TONES, MODE_WORDS, about, summary

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Did:
    """What a rule did on one day; for a rule in shadow, what it would have done."""

    matched: int = 0
    refused: int = 0
    shadow_refused: int = 0
    downgraded: int = 0


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule as the list shows it."""

    type: RuleType
    rule: Any
    summary: str
    about: str
    today: Did

    @property
    def tone(self) -> str:
        return MODE_TONES[self.rule.mode]

    @property
    def mode(self) -> str:
        return MODE_WORDS[self.rule.mode]


@dataclass(frozen=True, slots=True)
class RuleSearch:
    """What is asked for. subject: as rules keep it, `team:<id>`; after: the cursor of a page."""

    text: str = ""
    kind: str = ""
    mode: str = ""
    subject: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class RulePage:
    rows: Sequence[RuleRow]
    next: str


def rules_page(organization: Organization, search: RuleSearch, *, limit: int = PAGE_ROWS) -> RulePage:
    """Rules by name. A fixed number of queries, whatever there is."""
    types = [BY_SLUG[search.kind]] if search.kind in BY_SLUG else list(RULE_TYPES)
    parts = [_narrowed(one, organization, search) for one in types]
    found = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    keys = list(found.order_by("name", "id")[: limit + 1])
    shown = keys[:limit]
    rules: dict[UUID, RuleFields] = {}
    for one in types:
        ids = [row_id for _, row_id, slug in shown if slug == one.slug]
        if ids:
            rules |= one.kind.model._default_manager.in_bulk(ids)
    in_order = [(BY_SLUG[slug], rules[row_id]) for _, row_id, slug in shown if row_id in rules]
    did = did_today(organization.id, [row.id for _, row in in_order])
    directory = directory_of(organization, [row for _, row in in_order])
    rows = [RuleRow(one, row, summary(row), about(row, directory), did.get(row.id, Did())) for one, row in in_order]
    return RulePage(rows, _cursor(shown[-1][0], shown[-1][1]) if len(keys) > limit else "")


def did_today(organization_id: UUID, rule_ids: Iterable[UUID]) -> Mapping[UUID, Did]:
    """What rules did on this UTC day."""
    days = RuleDay.objects.filter(
        organization_id=organization_id,
        day=timezone.now().astimezone(UTC).date(),
        rule_id__in=[rule_id.hex for rule_id in rule_ids],
    )
    found: dict[UUID, Did] = {}
    for rule_id, *sums in days.values_list("rule_id", "matched", "refused", "shadow_refused", "downgraded"):
        found[UUID(rule_id)] = Did(*sums)
    return found


def directory_of(organization: Organization, rows: Iterable[RuleFields]) -> Directory:
    """A directory that knows all that these rules name; a query for each kind of subject."""
    return Directory.of(organization, [each for row in rows for each in loaded_all([row.when, *row.when_not])])


def groups_of(organization: Organization) -> list[str]:
    """The names of groups that rules stand in, for a form's suggestions."""
    found: set[str] = set()
    for one in RULE_TYPES:
        if one.kind.is_grouped:
            rows = one.kind.model._default_manager.filter(organization=organization).exclude(group="")
            found.update(rows.order_by("group").values_list("group", flat=True).distinct()[:100])
    return sorted(found)


def count_rules(organization: Organization) -> int:
    return sum(one.kind.model._default_manager.filter(organization=organization).count() for one in RULE_TYPES)


def _narrowed(one: RuleType, organization: Organization, search: RuleSearch) -> QuerySet[Any, tuple[str, UUID, str]]:
    rows = one.kind.model._default_manager.filter(organization=organization)
    if search.text:
        text = Q(name__icontains=search.text) | Q(description__icontains=search.text)
        rows = rows.filter(text | Q(group__icontains=search.text) if one.kind.is_grouped else text)
    if search.mode:
        rows = rows.filter(mode=search.mode)
    if search.subject:
        # A rule that names nobody is about everybody.
        rows = rows.filter(Q(when__subjects__contains=[search.subject]) | Q(when__subjects__isnull=True))
    if (after := _read_cursor(search.after)) is not None:
        name, row_id = after
        rows = rows.filter(Q(name__gt=name) | Q(name=name, id__gt=row_id))
    return rows.order_by().values_list("name", "id", Value(one.slug, output_field=CharField()))


def _cursor(name: str, row_id: UUID) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, row_id.hex]).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, UUID] | None:
    """None: there is none, or it is not one of ours."""
    try:
        name, row_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return str(name), UUID(row_id)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return None
