"""A condition to rows of the database: always of one organization, never more than it asks for.

Text is compared in any case, except ids and externalId (caseExact in RFC 7643).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from control_plane.identity.scim.errors import Unreadable
from control_plane.identity.scim.filters import Compare, Condition, Every, Not, Path, Some, Value, Within
from control_plane.identity.scim.models import ScimGroup, ScimGroupMember, ScimUser
from control_plane.identity.scim.schemas import (
    ENTERPRISE,
    GROUP,
    USER,
    Attribute,
    enterprise_attributes,
    user_attributes,
)
from control_plane.organizations.models import Membership, Organization

_TEXT = {"eq": "iexact", "co": "icontains", "sw": "istartswith", "ew": "iendswith"}
_EXACT = {"eq": "exact", "co": "contains", "sw": "startswith", "ew": "endswith"}
_ORDER = {"gt": "gt", "ge": "gte", "lt": "lt", "le": "lte"}

_Leaf = Callable[[Compare], Q]
_Inner = Callable[[Within], Q]


def people_of(organization: Organization) -> QuerySet[Any]:
    """The people a provider knows in an organization, with `is_member`: whoever is none is deactivated."""
    memberships = Membership.objects.filter(organization=organization, user=OuterRef("user_id"))
    people = ScimUser.objects.filter(organization=organization, deleted_at__isnull=True)
    return people.select_related("user", "organization").annotate(is_member=Exists(memberships))


def groups_of(organization: Organization) -> QuerySet[ScimGroup]:
    return ScimGroup.objects.filter(organization=organization).select_related("team", "organization")


def people_where(condition: Condition) -> Q:
    """The people a condition is true of. Raises Unreadable (invalidFilter)."""
    return _q(condition, _person_leaf, _person_within)


def groups_where(condition: Condition) -> Q:
    """The groups a condition is true of. Raises Unreadable (invalidFilter)."""
    return _q(condition, _group_leaf, _group_within)


PEOPLE_ORDER = {
    "id": "id",
    "username": "user_name",
    "externalid": "external_id",
    "displayname": "document__displayName",
    "name.familyname": "document__name__familyName",
    "name.givenname": "document__name__givenName",
    "meta.created": "created_at",
    "meta.lastmodified": "updated_at",
}
GROUPS_ORDER = {
    "id": "id",
    "displayname": "display_name",
    "externalid": "external_id",
    "meta.created": "created_at",
    "meta.lastmodified": "updated_at",
}


def ordering(names: Mapping[str, str], sort_by: str, order: str) -> tuple[str, ...]:
    """The columns to sort by; ends in the id, so that pages do not overlap. Raises Unreadable."""
    if not sort_by:
        return ("created_at", "id")
    for urn in (USER, GROUP):
        sort_by = sort_by.removeprefix(f"{urn}:")
    column = names.get(sort_by.lower())
    if column is None:
        raise Unreadable(f"It cannot be sorted by {sort_by[:100]!r}.", "invalidPath")
    sign = "-" if order.lower() == "descending" else ""
    return (f"{sign}{column}", "id")


def _q(condition: Condition, leaf: _Leaf, within: _Inner) -> Q:
    match condition:
        case Compare():
            return leaf(condition)
        case Within():
            return within(condition)
        case Not(term):
            return ~_q(term, leaf, within)
        case Every(terms):
            found = Q()
            for term in terms:
                found &= _q(term, leaf, within)
            return found
        case Some(terms):
            found = Q()
            for term in terms:
                found |= _q(term, leaf, within)
            return found
        case _ as unreachable:
            assert_never(unreachable)


def _person_leaf(compare: Compare) -> Q:
    path = compare.path
    name = path.attribute.lower()
    if path.urn.lower() == ENTERPRISE.lower():
        return _extension(compare)
    _check_urn(path, USER)
    if (found := _common(compare, "externalid")) is not None:
        return found
    match name:
        case "username":
            return _text(compare, "user_name")
        case "active":
            return _active(compare)
        case "emails":
            return _emails(compare, kind=None)
        case "groups":
            return _membership(compare, "group_id")
        case _:
            return _document(compare, "document", user_attributes().get(name))


def _person_within(within: Within) -> Q:
    _check_urn(within.path, USER)
    match within.path.attribute.lower():
        case "emails":
            kind, value = _split(within.term)
            if value is None:
                return Q(emails__regex=rf"(^|\n){re.escape((kind or '').lower())}\|")
            return _emails(value, kind=kind)
        case "groups":
            return _membership_within(within, "group_id")
    raise _refused(f"{within.path} cannot be filtered by its parts.")


def _group_leaf(compare: Compare) -> Q:
    _check_urn(compare.path, GROUP)
    if (found := _common(compare, "externalid")) is not None:
        return found
    match compare.path.attribute.lower():
        case "displayname":
            return _text(compare, "display_name")
        case "members":
            return _membership(compare, "person_id")
    raise _refused(f"Groups cannot be filtered by {compare.path}.")


def _group_within(within: Within) -> Q:
    _check_urn(within.path, GROUP)
    if within.path.attribute.lower() == "members":
        return _membership_within(within, "person_id")
    raise _refused(f"Groups cannot be filtered by {within.path}.")


def _common(compare: Compare, external: str) -> Q | None:
    match str(compare.path.attribute).lower(), compare.path.sub.lower():
        case ("id", ""):
            return _id(compare, "id")
        case (name, "") if name == external:
            return _exact(compare, "external_id")
        case ("meta", "created"):
            return _instant(compare, "created_at")
        case ("meta", "lastmodified"):
            return _instant(compare, "updated_at")
        case ("meta", _):
            raise _refused(f"{compare.path} cannot be filtered.")
    return None


def _text(compare: Compare, column: str) -> Q:
    return _by(compare, column, _TEXT)


def _exact(compare: Compare, column: str) -> Q:
    return _by(compare, column, _EXACT)


def _by(compare: Compare, column: str, lookups: Mapping[str, str]) -> Q:
    if compare.operator == "pr":
        return ~Q(**{column: ""})
    if compare.value is None:
        return _absent(compare, Q(**{column: ""}))
    value = _text_value(compare)
    if compare.operator == "ne":
        return ~Q(**{f"{column}__{lookups['eq']}": value})
    lookup = lookups.get(compare.operator) or _ORDER.get(compare.operator)
    if lookup is None:
        raise _unfit(compare)
    return Q(**{f"{column}__{lookup}": value})


def _id(compare: Compare, column: str) -> Q:
    if compare.operator == "pr":
        return Q(**{f"{column}__isnull": False})
    if compare.operator not in ("eq", "ne"):
        raise _unfit(compare)
    try:
        found = Q(**{column: UUID(_text_value(compare))})
    except ValueError:
        # No id of ours: nothing has it.
        found = Q(pk__in=[])
    return found if compare.operator == "eq" else ~found


def _instant(compare: Compare, column: str) -> Q:
    if compare.operator == "pr":
        return Q()
    at = _read_instant(_text_value(compare))
    if at is None:
        raise _refused(f"{compare.path} is compared with an instant such as 2026-01-31T08:00:00Z.")
    if compare.operator == "ne":
        return ~Q(**{column: at})
    lookup = "exact" if compare.operator == "eq" else _ORDER.get(compare.operator)
    if lookup is None:
        raise _unfit(compare)
    return Q(**{f"{column}__{lookup}": at})


def _read_instant(text: str) -> datetime | None:
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return None if at is None or is_naive(at) else at


def _active(compare: Compare) -> Q:
    """Active is who may act here: a member whose account is not switched off."""
    if compare.operator == "pr":
        return Q()
    wanted = compare.value
    if isinstance(wanted, str) and wanted.lower() in ("true", "false"):
        wanted = wanted.lower() == "true"
    if compare.operator not in ("eq", "ne") or not isinstance(wanted, bool):
        raise _unfit(compare)
    is_active = Q(is_member=True, user__is_active=True)
    return is_active if wanted == (compare.operator == "eq") else ~is_active


def _emails(compare: Compare, *, kind: str | None) -> Q:
    """Search the lines `type|address`. kind None: of any type."""
    if compare.path.sub.lower() == "type":
        if compare.operator != "eq":
            raise _unfit(compare)
        return Q(emails__regex=rf"(^|\n){re.escape(_text_value(compare).lower())}\|")
    if compare.path.sub.lower() not in ("", "value"):
        raise _refused(f"{compare.path} cannot be filtered.")
    if compare.operator == "pr":
        return ~Q(emails="")
    if compare.value is None:
        return _absent(compare, Q(emails=""))
    text = re.escape(_text_value(compare).lower())
    patterns = {"eq": text, "ne": text, "sw": rf"{text}[^\n]*", "ew": rf"[^\n]*{text}", "co": rf"[^\n]*{text}[^\n]*"}
    if compare.operator not in patterns:
        raise _unfit(compare)
    before = r"[^|\n]*" if kind is None else re.escape(kind.lower())
    found = Q(emails__regex=rf"(^|\n){before}\|{patterns[compare.operator]}(\n|$)")
    return ~found if compare.operator == "ne" else found


def _split(condition: Condition) -> tuple[str | None, Compare | None]:
    """Read the inside of emails[...]: a type, a comparison of the value, or both."""
    terms = condition.terms if isinstance(condition, Every) else (condition,)
    kind: str | None = None
    value: Compare | None = None
    for term in terms:
        match term:
            case Compare(Path(attribute), "eq", str() as wanted) if attribute.lower() == "type" and kind is None:
                kind = wanted
            case Compare(Path(attribute, sub)) if attribute.lower() == "value" and value is None and not sub:
                value = term
            case _:
                raise _refused('Inside emails[...] stand type eq "..." and one comparison of value.')
    return kind, value


def _membership(compare: Compare, column: str) -> Q:
    if compare.path.sub.lower() not in ("", "value"):
        raise _refused(f"{compare.path} cannot be filtered.")
    if compare.operator not in ("eq", "ne", "pr"):
        raise _unfit(compare)
    rows = ScimGroupMember.objects.all()
    if compare.operator != "pr":
        try:
            rows = rows.filter(**{column: UUID(_text_value(compare))})
        except ValueError:
            rows = rows.none()
    own = "person_id" if column == "group_id" else "group_id"
    found = Q(id__in=rows.values(own))
    return ~found if compare.operator == "ne" else found


def _membership_within(within: Within, column: str) -> Q:
    match within.term:
        case Compare(Path(attribute), _, _) as compare if attribute.lower() == "value":
            return _membership(Compare(Path(within.path.attribute), compare.operator, compare.value), column)
    raise _refused(f"Inside {within.path}[...] stands one comparison of value.")


def _extension(compare: Compare) -> Q:
    attribute = enterprise_attributes().get(compare.path.attribute.lower())
    return _document(compare, f"document__{ENTERPRISE}", attribute)


def _document(compare: Compare, home: str, attribute: Attribute | None) -> Q:
    """Search a text of the document. Names come from the schemas, never from the caller."""
    names = _names_in_document(compare.path, attribute)
    key = "__".join((home, *names))
    holder = "__".join((home, *names[:-1]))
    present = Q(**{f"{holder}__has_key": names[-1]})
    if compare.operator == "pr":
        return present
    if compare.value is None:
        return _absent(compare, ~present)
    value = _text_value(compare)
    if compare.operator == "ne":
        return ~(present & Q(**{f"{key}__iexact": value}))
    lookup = _TEXT.get(compare.operator)
    if lookup is None:
        raise _unfit(compare)
    return present & Q(**{f"{key}__{lookup}": value})


def _names_in_document(path: Path, attribute: Attribute | None) -> tuple[str, ...]:
    if attribute is None or attribute.is_multi_valued:
        raise _refused(f"{path} cannot be filtered.")
    if not path.sub:
        if attribute.subs:
            raise _refused(f"Say which part of {path}: {path}.{next(iter(attribute.subs.values())).name}.")
        return (attribute.name,)
    sub = attribute.subs.get(path.sub.lower())
    if sub is None:
        raise _refused(f"{path} cannot be filtered.")
    return (attribute.name, sub.name)


def _absent(compare: Compare, nothing: Q) -> Q:
    """A comparison with null: unassigned, or not."""
    if compare.operator == "eq":
        return nothing
    if compare.operator == "ne":
        return ~nothing
    raise _unfit(compare)


def _text_value(compare: Compare) -> str:
    value: Value = compare.value
    if isinstance(value, bool) or value is None:
        raise _unfit(compare)
    return str(value)


def _check_urn(path: Path, own: str) -> None:
    if path.urn and path.urn.lower() != own.lower():
        raise _refused(f"There is no schema {path.urn[:200]!r} here.")


def _unfit(compare: Compare) -> Unreadable:
    return _refused(f"{compare.path} cannot be compared by {compare.operator} with what stands there.")


def _refused(detail: str) -> Unreadable:
    return Unreadable(detail, "invalidFilter")
