"""What SCIM callers are told when it does not work (RFC 7644 §3.12).

ScimError               status, scimType, a sentence; rendered in the error schema
├── Unreadable          400: syntax, filter, path or value is wrong; scimType says which
├── NotThere            404
├── Clash               409: a name or an address is taken, or the organization would be left without an owner
├── Changed             412: the resource is no longer the one the caller saw
└── TooLarge            413
"""

from collections.abc import Mapping
from typing import Any

from django_scim.constants import SchemaURI
from django_scim.exceptions import SCIMException

DETAIL_LENGTH = 500


class ScimError(SCIMException):
    """An answer of ours in place of a resource."""

    def __init__(self, detail: str, *, status: int, scim_type: str = "") -> None:
        super().__init__(detail[:DETAIL_LENGTH], status=status, scim_type=scim_type)

    def to_dict(self) -> dict[str, Any]:
        return error_body(int(self.status), str(self.detail), str(self.scim_type or ""))


class Unreadable(ScimError):
    def __init__(self, detail: str, scim_type: str = "invalidValue") -> None:
        super().__init__(detail, status=400, scim_type=scim_type)


class NotThere(ScimError):
    def __init__(self, what: str = "resource") -> None:
        super().__init__(f"There is no such {what} here.", status=404)


class Clash(ScimError):
    def __init__(self, detail: str, scim_type: str = "uniqueness") -> None:
        super().__init__(detail, status=409, scim_type=scim_type)


class Changed(ScimError):
    def __init__(self) -> None:
        super().__init__("It has changed since you read it. Read it again.", status=412)


class TooLarge(ScimError):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than {limit_bytes} bytes. Send fewer members at once.", status=413)


def error_body(status: int, detail: str, scim_type: str = "") -> dict[str, Any]:
    """Write the body of an error. The status is text: the library writes a number, which RFC 7644 does not allow."""
    body: dict[str, Any] = {"schemas": [SchemaURI.ERROR], "status": str(status), "detail": detail}
    if scim_type:
        body["scimType"] = scim_type
    return body


def sentence(messages: Mapping[str, Any] | list[str]) -> str:
    """One text from the messages of a ValidationError."""
    if isinstance(messages, Mapping):
        return " ".join(str(text) for texts in messages.values() for text in texts)
    return " ".join(str(text) for text in messages)
