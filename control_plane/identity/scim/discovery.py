"""What the endpoint can do, as it says itself (RFC 7644 §4)."""

from typing import Any

from django_scim.constants import SchemaURI

from control_plane.identity.scim.representation import address
from control_plane.identity.scim.schemas import ENTERPRISE, GROUP, USER, published

MAX_RESULTS = 200


def service_provider_config() -> dict[str, Any]:
    return {
        "schemas": [SchemaURI.SERVICE_PROVIDER_CONFIG],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A SCIM token (syscim_…) of one organization, made in the console under SCIM.",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": address("/ServiceProviderConfig")},
    }


def resource_types() -> list[dict[str, Any]]:
    extension = [{"schema": ENTERPRISE, "required": False}]
    return [
        _resource_type("User", "/Users", "A person.", USER, extension),
        _resource_type("Group", "/Groups", "A group, kept in a team of the same name.", GROUP, []),
    ]


def schemas() -> list[dict[str, Any]]:
    return [
        {**schema, "meta": {"resourceType": "Schema", "location": address(f"/Schemas/{schema['id']}")}}
        for schema in published()
    ]


def _resource_type(
    name: str, endpoint: str, description: str, schema: str, extensions: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "schemas": [SchemaURI.RESOURCE_TYPE],
        "id": name,
        "name": name,
        "endpoint": endpoint,
        "description": description,
        "schema": schema,
        "schemaExtensions": extensions,
        "meta": {"resourceType": "ResourceType", "location": address(f"/ResourceTypes/{name}")},
    }
