"""An identity provider as tests play it."""

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.test import Client

from control_plane.identity.scim.models import ScimToken
from control_plane.identity.scim.services import scim_token_mint
from control_plane.organizations.services import INSTALLATION
from tests.builders.tenants import Tenant

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Provider:
    tenant: Tenant
    record: ScimToken
    token: str

    def send(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, text: str = ""
    ) -> HttpResponse:
        """Send a request below the endpoint. text: a body as it is, in place of JSON."""
        found: Any = Client().generic(
            method,
            f"/scim/v2{path}",
            text or ("" if body is None else json.dumps(body)),
            content_type="application/scim+json",
            headers={"authorization": f"Bearer {self.token}", **(headers or {})},
        )
        response: HttpResponse = found
        return response

    def call(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """Send a request that is answered with this status; gives the parsed answer."""
        response = self.send(method, path, body)
        assert response.status_code == status, response.content.decode()
        return json.loads(response.content) if response.content else None

    def add_user(self, user_name: str, **attributes: Any) -> dict[str, Any]:
        body = {"schemas": [CORE], "userName": user_name, "active": True, **attributes}
        made: dict[str, Any] = self.call("POST", "/Users", body, status=201)
        return made

    def add_group(self, name: str, *members: dict[str, Any]) -> dict[str, Any]:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each["id"]} for each in members]}
        made: dict[str, Any] = self.call("POST", "/Groups", body, status=201)
        return made

    def patch(self, path: str, *operations: dict[str, Any], status: int = 200) -> Any:
        return self.call("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, status=status)


def a_provider(tenant: Tenant, name: str = "Entra") -> Provider:
    minted = scim_token_mint(organization=tenant.organization, name=name, actor=tenant.actor, by=INSTALLATION)
    return Provider(tenant, minted.record, minted.token)
