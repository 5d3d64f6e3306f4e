"""A person's attributes as a JSON object: brought into one form, and read for what accounts need of it.

In a document names are written as the schemas write them, nothing is empty, and truth values are true or false,
whatever the provider wrote ("False" is Entra's). Unknown attributes are passed over, since providers send what their
attribute mapping holds; so are our own (id, meta, groups) and passwords.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from control_plane.identity.scim.errors import Unreadable
from control_plane.identity.scim.schemas import ENTERPRISE, Attribute, enterprise_attributes, user_attributes

MAX_TEXT = 1000
MAX_VALUES = 50
MAX_NAME = 254

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What an account and its membership need. email: the one that signs in; in lower case."""

    user_name: str
    external_id: str
    email: str
    name: str
    is_active: bool
    searched_emails: str


def read_document(body: object) -> Document:
    """Bring what a provider sent into the one form. Raises Unreadable."""
    if not isinstance(body, Mapping):
        raise Unreadable("A JSON object is expected.", "invalidSyntax")
    document: Document = {}
    for key, value in body.items():
        if not isinstance(key, str):
            raise Unreadable("Names of attributes are text.", "invalidSyntax")
        if key.lower() == ENTERPRISE.lower():
            extension = _object(value, enterprise_attributes(), key)
            if extension:
                document[ENTERPRISE] = extension
            continue
        attribute = user_attributes().get(key.lower())
        if attribute is None:
            continue
        read = value_of(attribute, value)
        if not is_nothing(read):
            document[attribute.name] = read
    return document


def value_of(attribute: Attribute, value: Any) -> Any:
    """Bring one attribute's value into its form; None for nothing. Raises Unreadable."""
    if attribute.is_multi_valued:
        values = value if isinstance(value, list) else [] if value is None else [value]
        if len(values) > MAX_VALUES:
            raise Unreadable(f"{attribute.name}: more than {MAX_VALUES} values.")
        read = [_one(attribute, each) for each in values]
        return _one_primary([each for each in read if not is_nothing(each)])
    return _one(attribute, value)


def is_nothing(value: Any) -> bool:
    """Whether a value means "unassigned" (RFC 7643 §2.5)."""
    return value is None or value == "" or value == [] or value == {}


def truth_of(value: Any, name: str) -> bool:
    """Read a truth value, also where it is written as text in any case."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise Unreadable(f"{name} is either true or false.")


def text_of(value: Any, name: str, longest: int = MAX_TEXT) -> str:
    """Read a text; numbers are written out, as some providers send employee numbers bare."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unreadable(f"{name} is a text.")
    text = str(value).strip()
    if len(text) > longest or "\x00" in text:
        raise Unreadable(f"{name} has at most {longest} characters, none of them NUL.")
    return text


def facts_of(document: Mapping[str, Any]) -> PersonFacts:
    """Read what the account needs. Raises Unreadable where userName or an e-mail is missing."""
    user_name = text_of(document.get("userName", ""), "userName", MAX_NAME)
    if not user_name:
        raise Unreadable("userName is required.")
    emails = document.get("emails", [])
    lines = [f"{each.get('type', '')}|{each['value']}".lower() for each in emails if each.get("value")]
    return PersonFacts(
        user_name=user_name,
        external_id=text_of(document.get("externalId", ""), "externalId", MAX_NAME),
        email=_email(user_name, emails),
        name=_name(document),
        is_active=bool(document.get("active", True)),
        searched_emails="\n".join(line.replace("\n", " ") for line in lines),
    )


def _email(user_name: str, emails: list[Mapping[str, Any]]) -> str:
    """The address that signs in: the primary one, else that of work, else any, else the userName if it is one."""
    ranked = sorted(
        (each for each in emails if each.get("value")),
        key=lambda each: (not each.get("primary", False), str(each.get("type", "")).lower() != "work"),
    )
    for candidate in [*(str(each["value"]) for each in ranked), user_name]:
        address = candidate.strip().lower()
        try:
            validate_email(address)
        except ValidationError:
            continue
        if len(address) <= MAX_NAME:
            return address
    raise Unreadable("A person needs an e-mail address: in emails, or as the userName.")


def _name(document: Mapping[str, Any]) -> str:
    name: Mapping[str, Any] = document.get("name", {})
    parts = " ".join(filter(None, (name.get("givenName", ""), name.get("familyName", ""))))
    return str(document.get("displayName") or name.get("formatted") or parts)[:200]


def _one(attribute: Attribute, value: Any) -> Any:
    if value is None:
        return None
    if attribute.is_complex:
        return _complex(attribute, value)
    if attribute.kind == "boolean":
        return truth_of(value, attribute.name)
    longest = MAX_NAME if attribute.name in ("userName", "externalId", "displayName") else MAX_TEXT
    return text_of(value, attribute.name, longest)


def _complex(attribute: Attribute, value: Any) -> Document:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and "value" in attribute.subs:
        # Entra sends the manager as a bare id, and some clients e-mails as bare addresses.
        value = {"value": value}
    return _object(value, attribute.subs, attribute.name)


def _object(value: Any, attributes: Mapping[str, Attribute], name: str) -> Document:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Unreadable(f"{name} is an object.")
    read: Document = {}
    for key, inner in value.items():
        attribute = attributes.get(str(key).lower())
        if attribute is None:
            continue
        found = value_of(attribute, inner)
        if not is_nothing(found):
            read[attribute.name] = found
    return read


def _one_primary(values: list[Any]) -> list[Any]:
    """At most one value is the primary one: the last that says so, as when one is added."""
    primary = [each for each in values if isinstance(each, dict) and each.get("primary")]
    return [{**each, "primary": False} if each in primary[:-1] else each for each in values]
