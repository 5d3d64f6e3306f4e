"""Rows to JSON, as SCIM writes them (RFC 7643 §4), with the attributes that were asked for."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django_scim.constants import SchemaURI

from control_plane.identity.scim.models import ScimGroup, ScimGroupMember
from control_plane.identity.scim.schemas import ENTERPRISE, GROUP, USER

ALWAYS = frozenset({"schemas", "id"})
"""Returned whatever was asked for (RFC 7643 §7, returned: always)."""
BASE_PATH = "/scim/v2"


def address(path: str = "") -> str:
    """An absolute address below the endpoint: that of the deployment, not the one a caller's Host header says."""
    return settings.SWITCHYARD.console_public_url.rstrip("/") + BASE_PATH + path


def people_json(people: Iterable[Any]) -> list[dict[str, Any]]:
    """People (of queries.people_of) with their groups, in one query more."""
    rows = list(people)
    groups: dict[UUID, list[dict[str, str]]] = {row.id: [] for row in rows}
    memberships = ScimGroupMember.objects.filter(person__in=rows).select_related("group").order_by("group_id")
    for membership in memberships:
        group = membership.group
        groups[membership.person_id].append(
            {"value": str(group.id), "$ref": address(f"/Groups/{group.id}"), "display": group.display_name}
        )
    return [_person_json(row, groups[row.id]) for row in rows]


def groups_json(groups: Iterable[ScimGroup], *, with_members: bool) -> list[dict[str, Any]]:
    """Groups with their people, in one query more."""
    rows = list(groups)
    members: dict[UUID, list[dict[str, str]]] = {row.id: [] for row in rows}
    if with_members:
        found = ScimGroupMember.objects.filter(group__in=rows).order_by("id")
        for group_id, person_id, name, email in found.values_list(
            "group_id", "person_id", "person__user__name", "person__user__email"
        ):
            members[group_id].append(
                {
                    "value": str(person_id),
                    "$ref": address(f"/Users/{person_id}"),
                    "display": name or email,
                    "type": "User",
                }
            )
    return [_group_json(row, members[row.id]) for row in rows]


def list_json(resources: list[dict[str, Any]], *, total: int, start: int) -> dict[str, Any]:
    return {
        "schemas": [SchemaURI.LIST_RESPONSE],
        "totalResults": total,
        "itemsPerPage": len(resources),
        "startIndex": start,
        "Resources": resources,
    }


def etag_of(row: Any) -> str:
    """The version of a person or a group; weak, since what is shown of others may differ."""
    return f'W/"{row.revision}"'


def narrowed(
    resource: Mapping[str, Any], *, only: Collection[str] = (), without: Collection[str] = ()
) -> dict[str, Any]:
    """Keep the attributes asked for (`attributes`), or leave some out (`excludedAttributes`). Names in any case.

    A name may stand for a part: name.familyName, emails.value.
    """
    if only:
        wanted = _wanted(only)
        kept: dict[str, Any] = {}
        for name, value in resource.items():
            subs = wanted.get(name.lower())
            if name in ALWAYS or subs == set():
                kept[name] = value
            elif subs:
                kept[name] = _parts(value, subs)
        return kept
    left_out = {_bare(name) for name in without}
    return {name: value for name, value in resource.items() if name in ALWAYS or name.lower() not in left_out}


def _wanted(names: Collection[str]) -> dict[str, set[str]]:
    """Attribute to the parts of it that are wanted; no parts: all of it."""
    wanted: dict[str, set[str]] = {}
    for name in names:
        if name.lower().startswith(ENTERPRISE.lower()):
            attribute, sub = ENTERPRISE.lower(), name[len(ENTERPRISE) + 1 :].lower()
        else:
            attribute, _, sub = _bare(name).partition(".")
        if not sub:
            wanted[attribute] = set()
        elif wanted.get(attribute) != set():
            wanted.setdefault(attribute, set()).add(sub)
    return wanted


def _bare(name: str) -> str:
    lowered = name.strip().lower()
    for urn in (USER, GROUP):
        lowered = lowered.removeprefix(f"{urn.lower()}:")
    return lowered


def _parts(value: Any, subs: set[str]) -> Any:
    if isinstance(value, list):
        return [_parts(each, subs) for each in value]
    if isinstance(value, Mapping):
        return {name: inner for name, inner in value.items() if name.lower() in subs}
    return value


def _person_json(row: Any, groups: list[dict[str, str]]) -> dict[str, Any]:
    extension = [ENTERPRISE] if ENTERPRISE in row.document else []
    return {
        "schemas": [USER, *extension],
        "id": str(row.id),
        **row.document,
        "userName": row.user_name,
        "active": bool(row.is_member and row.user.is_active),
        "groups": groups,
        "meta": _meta(row, "User", f"/Users/{row.id}"),
    }


def _group_json(row: ScimGroup, members: list[dict[str, str]]) -> dict[str, Any]:
    external = {"externalId": row.external_id} if row.external_id else {}
    return {
        "schemas": [GROUP],
        "id": str(row.id),
        **external,
        "displayName": row.display_name,
        "members": members,
        "meta": _meta(row, "Group", f"/Groups/{row.id}"),
    }


def _meta(row: Any, kind: str, path: str) -> dict[str, str]:
    return {
        "resourceType": kind,
        "created": _instant(row.created_at),
        "lastModified": _instant(row.updated_at),
        "location": address(path),
        "version": etag_of(row),
    }


def _instant(at: Any) -> str:
    return str(at.isoformat(timespec="milliseconds")).replace("+00:00", "Z")
