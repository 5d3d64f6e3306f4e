"""The schema's view of a resource: what every operation has besides its own fields."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from control_plane.rest import idempotency


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


def without_slash(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Write addresses without the optional slash at their end; a hook of the schema's generator."""
    result["paths"] = {path.rstrip("/") or "/": operations for path, operations in result["paths"].items()}
    return result
