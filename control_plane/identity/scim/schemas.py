"""The attributes of people and groups, read from the schema files of django-scim2 (RFC 7643 §8.7).

Names are found in any case, as the RFC wants it. What no schema names is not kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django_scim.constants import SchemaURI
from django_scim.schemas import ALL

USER = SchemaURI.USER
ENTERPRISE = SchemaURI.ENTERPRISE_USER
GROUP = SchemaURI.GROUP

READ_ONLY = frozenset({"id", "meta", "schemas", "groups"})
"""Ours to say. What a provider sends under these names is passed over."""
NEVER_KEPT = frozenset({"password", "x509certificates", "photos", "ims"})
"""A password of the directory is none of our business; the others are only large."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. subs: its parts in the schema's letters, by lower case."""

    name: str
    kind: str
    is_multi_valued: bool
    subs: Mapping[str, "Attribute"]

    @property
    def is_complex(self) -> bool:
        return self.kind == "complex"


@cache
def user_attributes() -> Mapping[str, Attribute]:
    """The core attributes of a person that are kept, by lower case."""
    external_id = Attribute("externalId", "string", False, {})
    return {**_kept(_schema(USER)), "externalid": external_id}


@cache
def enterprise_attributes() -> Mapping[str, Attribute]:
    return _kept(_schema(ENTERPRISE))


def published() -> list[dict[str, Any]]:
    """The schemas as /Schemas shows them: what is kept, and what is read only."""
    return [
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            **schema,
            "attributes": [each for each in schema["attributes"] if each["name"].lower() not in NEVER_KEPT],
        }
        for schema in (_schema(USER), _schema(ENTERPRISE), _schema(GROUP))
    ]


def _schema(uri: str) -> dict[str, Any]:
    found: dict[str, Any] = next(schema for schema in ALL if schema["id"] == uri)
    return found


def _kept(schema: Mapping[str, Any]) -> Mapping[str, Attribute]:
    found = {each["name"].lower(): _attribute(each) for each in schema["attributes"]}
    return {name: each for name, each in found.items() if name not in READ_ONLY | NEVER_KEPT}


def _attribute(described: Mapping[str, Any]) -> Attribute:
    subs = {each["name"].lower(): _attribute(each) for each in described.get("subAttributes", [])}
    return Attribute(described["name"], described["type"], bool(described["multiValued"]), subs)
