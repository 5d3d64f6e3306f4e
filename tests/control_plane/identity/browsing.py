"""What a browser does between console and identity provider, and connections to go through."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from django.test import Client

from control_plane.identity.models import IdentityConnection
from control_plane.identity.saml import read_metadata
from control_plane.identity.services import OidcFacts, SamlFacts, connection_create
from control_plane.organizations.models import Role
from tests.builders.tenants import Tenant
from tests.fakes.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, Person

ADA = Person("sub-ada", "ada@acme.example", "Ada Lovelace", ("engineering",))

_FIELD = re.compile(r'name="(SAMLResponse|RelayState)" value="([^"]*)"')


def an_oidc_connection(tenant: Tenant, provider: IdentityProvider, **changes: Any) -> IdentityConnection:
    wanted: dict[str, Any] = {
        "name": "Okta",
        "facts": OidcFacts(provider.issuer, CLIENT_ID, CLIENT_SECRET),
        "domains": ["acme.example"],
        "grantor": Role.ADMIN,
    }
    return connection_create(organization=tenant.organization, actor=tenant.actor, **(wanted | changes))


def a_saml_connection(tenant: Tenant, provider: IdentityProvider, **changes: Any) -> IdentityConnection:
    wanted: dict[str, Any] = {
        "name": "Entra",
        "facts": SamlFacts(read_metadata(provider.metadata)),
        "domains": ["acme.example"],
        "grantor": Role.ADMIN,
    }
    return connection_create(organization=tenant.organization, actor=tenant.actor, **(wanted | changes))


@dataclass(slots=True)
class Browser:
    """Follows the way to the identity provider and back, one step at a time."""

    client: Client = field(default_factory=Client)
    answer: str = ""
    """OIDC: the address the provider sent us back to."""
    posted: dict[str, str] = field(default_factory=dict)
    """SAML: what the provider made us post, and where."""
    posted_to: str = ""

    def go(self, connection: IdentityConnection, *, begin: str = "") -> Any:
        """The whole way; returns the console's last answer that is no redirect to itself."""
        self.ask(connection, begin=begin)
        return self.bring()

    def ask(self, connection: IdentityConnection, *, begin: str = "") -> None:
        """To the provider, and away from it with its answer in hand."""
        sent = self.client.get(begin or f"/sign-in/sso/{connection.id}")
        assert sent.status_code == 302, sent.content
        said = requests.get(sent["Location"], allow_redirects=False, timeout=10)
        if said.status_code == 302:
            self.answer = said.headers["location"]
            return
        assert said.status_code == 200, said.text
        self.posted = {name: value.replace("&amp;", "&") for name, value in _FIELD.findall(said.text)}
        self.posted_to = said.text.split('action="')[1].split('"')[0]

    def bring(self) -> Any:
        """To the console with the answer."""
        if self.answer:
            return self.client.get(_path(self.answer))
        # A cross-site POST: the browser sends no cookie of ours.
        taken = Client().post(_path(self.posted_to), self.posted)
        if taken.status_code != 303:
            return taken
        return self.client.get(taken["Location"])

    @property
    def is_signed_in(self) -> bool:
        return "_auth_user_id" in self.client.session


def _path(address: str) -> str:
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == "http://testserver"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
