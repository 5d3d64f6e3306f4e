"""The schema's view of a resource: what every operation has besides its own fields."""

from collections.abc import Iterable
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from control_plane.rest import idempotency, reasons
from control_plane.rest.problems import PROBLEM_JSON, TITLES


class ResourceSchema(AutoSchema):
    """Adds the headers that all resources heed."""

    def get_override_parameters(self) -> list[Any]:
        headers: list[Any] = []
        if self.method == "POST":
            headers.append(
                OpenApiParameter(
                    idempotency.HEADER,
                    str,
                    OpenApiParameter.HEADER,
                    description="Repeating the request with the same key within 24 hours gives the same answer.",
                )
            )
        if self.method in ("POST", "PATCH", "DELETE"):
            headers.append(
                OpenApiParameter(
                    reasons.HEADER,
                    str,
                    OpenApiParameter.HEADER,
                    description="Why; kept in the audit. Percent-encoded where it is not ASCII. Also as `reason` in "
                    "the body. Dangerous actions can need one.",
                )
            )
        if self.method in ("PATCH", "DELETE"):
            headers.append(
                OpenApiParameter(
                    "If-Match",
                    str,
                    OpenApiParameter.HEADER,
                    description="The ETag you read: 412 when the object has changed since.",
                )
            )
        return headers

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        """Besides what the view says: the problems that any operation of its kind may answer with."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in _problems_of(self.method, "{" in self.path):
            bodies.setdefault(str(status), {"$ref": f"#/components/responses/{_response_name(status)}"})
        return dict(sorted(bodies.items()))


def _problems_of(method: str, is_of_one_object: bool) -> Iterable[int]:
    yield from (400, 401, 403, 406, 429, 503)
    if is_of_one_object or method != "GET":
        yield 404
    if method in ("POST", "PATCH", "PUT"):
        yield from (409, 412, 413, 415)
    if method == "DELETE":
        yield from (409, 412)


def _response_name(status: int) -> str:
    return f"Problem{status}"


def with_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Describe problems once; a hook of the schema's generator."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "Every field that is wrong, at once.",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {
                        "field": {"type": "string", "description": "Empty: the request as a whole."},
                        "message": {"type": "string"},
                    },
                },
            },
        },
    }
    components["responses"] = {
        _response_name(status): {
            "description": title,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, title in sorted(TITLES.items())
    }
    return result


def without_slash(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Write addresses without the optional slash at their end; a hook of the schema's generator."""
    result["paths"] = {path.rstrip("/") or "/": operations for path, operations in result["paths"].items()}
    return result
