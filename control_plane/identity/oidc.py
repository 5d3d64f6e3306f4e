"""OpenID Connect, authorization code flow: django-allauth drives it, this module is stricter in what it believes.

Beyond the library: a nonce; the ID token's signature is verified although it came over TLS; only asymmetric
algorithms; issuer, audience, authorized party and times are all required; the discovery document must be the
issuer's own. Sources: OpenID Connect Core 1.0, 3.1.3.7; RFC 7636 (PKCE); RFC 9207 (issuer in the answer).
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from allauth.socialaccount.internal import statekit
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest, HttpResponse

from control_plane.identity.adapters import app_of
from control_plane.identity.addresses import callback_url
from control_plane.identity.claims import Claims, email_of, first_of, groups_of, text_of
from control_plane.identity.failures import Declined, InvalidAssertion, ProviderUnreachable
from control_plane.identity.models import IdentityConnection
from control_plane.identity.outbound import fetch_text, reaching
from control_plane.identity.sealing import secret_of

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signed with a key that only the provider has. `none` and the HMAC family are not among them."""
LEEWAY_S = 60
REQUIRED = ("iss", "sub", "aud", "exp", "iat", "nonce")


@dataclass(frozen=True, slots=True)
class Proof:
    """A finished conversation: what was said, and what we had put aside when it began."""

    claims: Claims
    state: Mapping[str, Any]


class _Adapter(OpenIDConnectOAuth2Adapter):
    """The library's adapter, for one connection."""

    def __init__(self, request: HttpRequest, connection: IdentityConnection) -> None:
        super().__init__(request, connection.id.hex)
        self.connection = connection

    def get_provider(self) -> "_Provider":
        return _Provider(self.request, self.connection, self)

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return callback_url(self.connection.id)

    @property
    def openid_config(self) -> dict[str, Any]:
        if not hasattr(self, "_openid_config"):
            self._openid_config = discover(self.connection.issuer)
        return self._openid_config


class _Provider(OpenIDConnectProvider):
    """The library's provider, for one connection."""

    def __init__(self, request: HttpRequest, connection: IdentityConnection, adapter: _Adapter) -> None:
        app = app_of(
            connection,
            provider=self.id,
            secret=secret_of(connection),
            settings={"server_url": connection.issuer, "oauth_pkce_enabled": True},
        )
        super().__init__(request, app=app)
        self._adapter = adapter

    def get_oauth2_adapter(self, request: HttpRequest) -> _Adapter:
        return self._adapter


def discover(issuer: str) -> dict[str, Any]:
    """Read and check the issuer's discovery document; raises ProviderUnreachable."""
    text = fetch_text(f"{issuer.rstrip('/')}/.well-known/openid-configuration", "The discovery document")
    try:
        document = json.loads(text)
    except ValueError as failure:
        raise ProviderUnreachable("discovery", "The discovery document is no JSON.") from failure
    needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    if not isinstance(document, dict) or not all(isinstance(document.get(name), str) for name in needed):
        raise ProviderUnreachable("discovery", f"The discovery document must name {', '.join(needed)}.")
    if document["issuer"] != issuer:
        raise ProviderUnreachable(
            "discovery_issuer", f"The discovery document is that of {document['issuer'][:200]}, not of {issuer}."
        )
    allowed = ("https",) if issuer.startswith("https:") else ("https", "http")
    # The browser is sent there; a script or a file must not hide behind it.
    if urlsplit(document["authorization_endpoint"]).scheme not in allowed:
        raise ProviderUnreachable("discovery", "The authorization endpoint must begin with https://.")
    return document


def begin(
    request: HttpRequest,
    connection: IdentityConnection,
    *,
    next_url: str,
    data: dict[str, Any],
    asks_anew: bool = False,
) -> HttpResponse:
    """Lead the browser to the identity provider. data: kept in the session, handed back with the answer.

    asks_anew: the person must prove who they are although they are signed in over there.
    """
    nonce = secrets.token_urlsafe(24)
    provider = _Adapter(request, connection).get_provider()
    # max_age besides prompt: it makes the provider say when the person signed in (OpenID Connect Core 1.0, 3.1.2.1).
    anew = {"prompt": "login", "max_age": "0"} if asks_anew else {}
    response: HttpResponse = provider.redirect(
        request, "login", next_url=next_url, data={**data, "nonce": nonce}, auth_params={"nonce": nonce, **anew}
    )
    return response


def take_state(request: HttpRequest, connection: IdentityConnection) -> Mapping[str, Any]:
    """What was put aside when this browser began; good once. Raises InvalidAssertion."""
    state = statekit.unstash_state(request, provider_id=connection.id.hex, state_id=request.GET.get("state", ""))
    if state is None:
        raise InvalidAssertion("state", "This answer was not asked for here, or was used before. Sign in again.")
    return dict(state)


def finish(request: HttpRequest, connection: IdentityConnection, state: Mapping[str, Any]) -> Proof:
    """Redeem the code and judge what comes for it; raises a SignInFailure."""
    if "error" in request.GET:
        words = request.GET.get("error_description") or request.GET["error"]
        raise Declined("declined", f"The identity provider says: {words[:300]}")
    if not request.GET.get("code"):
        raise InvalidAssertion("code", "The identity provider sent no code.")
    # Says which provider answers, where two of one tenant could be mixed up (RFC 9207).
    if request.GET.get("iss", connection.issuer) != connection.issuer:
        raise InvalidAssertion("iss", "The answer comes from another issuer than the question went to.")
    adapter = _Adapter(request, connection)
    app = adapter.get_provider().app
    try:
        client = adapter.get_client(request, app)
        answer = adapter.get_access_token_data(request, app, client, pkce_code_verifier=state.get("pkce_code_verifier"))
    except OAuth2Error as failure:
        raise InvalidAssertion("code", "The identity provider did not accept its own code.") from failure
    except (requests.RequestException, ValueError, KeyError) as failure:
        raise ProviderUnreachable("token", "The token endpoint gave no usable answer.") from failure
    if not isinstance(answer.get("id_token"), str):
        raise InvalidAssertion("id_token", "The identity provider sent no ID token.")
    said = verified_id_token(
        answer["id_token"],
        issuer=connection.issuer,
        client_id=connection.client_id,
        nonce=str(state["data"]["nonce"]),
        keys=_keys(adapter.openid_config["jwks_uri"]),
    )
    more = _userinfo(adapter.openid_config, str(answer["access_token"]), said, connection)
    return Proof(claims_of({**more, **said}, connection), state)


def verified_id_token(
    token: str, *, issuer: str, client_id: str, nonce: str, keys: Mapping[str, Any]
) -> dict[str, Any]:
    """The claims of an ID token that holds in every respect; raises InvalidAssertion saying in which it does not."""
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise InvalidAssertion("alg", "The ID token is not signed with a key of the identity provider.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_key(keys, header.get("kid"), algorithm),
            algorithms=[algorithm],
            issuer=issuer,
            audience=client_id,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED), "verify_iat": True},
        )
    except jwt.InvalidIssuerError as failure:
        raise InvalidAssertion("iss", "The ID token is from another issuer.") from failure
    except jwt.InvalidAudienceError as failure:
        raise InvalidAssertion("aud", "The ID token is meant for another application.") from failure
    except jwt.ExpiredSignatureError as failure:
        raise InvalidAssertion("expired", "The ID token has expired. Sign in again.") from failure
    except jwt.ImmatureSignatureError as failure:
        raise InvalidAssertion("early", "The ID token is not valid yet. Compare the clocks.") from failure
    except jwt.MissingRequiredClaimError as failure:
        raise InvalidAssertion("missing", f"The ID token says nothing about {failure.claim}.") from failure
    except jwt.InvalidSignatureError as failure:
        raise InvalidAssertion("signature", "The ID token is not signed by the identity provider.") from failure
    except (jwt.PyJWTError, ValueError, TypeError) as failure:
        raise InvalidAssertion("id_token", "The ID token cannot be read.") from failure
    if not secrets.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise InvalidAssertion("nonce", "The ID token belongs to another sign-in.")
    audience = claims["aud"]
    parties = {claims["azp"]} if "azp" in claims else set(audience if isinstance(audience, list) else [audience])
    if parties != {client_id}:
        raise InvalidAssertion("azp", "The ID token was made for another application.")
    if not isinstance(claims["sub"], str) or not claims["sub"] or len(claims["sub"]) > 300:
        raise InvalidAssertion("sub", "The ID token names no subject.")
    return claims


def claims_of(said: Mapping[str, Any], connection: IdentityConnection) -> Claims:
    """The claims of an ID token as we use them."""
    email = email_of(first_of(said, [connection.email_claim] if connection.email_claim else ["email"]))
    verified = said.get("email_verified")
    # Some providers send it as text.
    if isinstance(verified, str):
        verified = verified.lower() == "true"
    # With too many groups Entra sends, in place of the claim, where to ask for it.
    is_elsewhere = connection.group_claim in (said.get("_claim_names") or {})
    return Claims(
        subject=str(said["sub"]),
        email=email,
        is_email_verified=verified if isinstance(verified, bool) else None,
        name=text_of(first_of(said, ["name", "preferred_username"]))[:200],
        groups=None if is_elsewhere else groups_of(said.get(connection.group_claim)),
        authenticated_s=_seconds(said.get("auth_time")),
    )


def _seconds(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _keys(url: str) -> dict[str, Any]:
    with reaching("The provider's keys") as session:
        response = session.get(url)
        response.raise_for_status()
        document = response.json()
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ProviderUnreachable("keys", "The provider's keys are no JWK set.")
    return document


def _key(keys: Mapping[str, Any], key_id: Any, algorithm: str) -> Any:
    """The key of a token: the one it names, or the only one that fits."""
    fitting = []
    for entry in keys["keys"]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        if entry.get("alg", algorithm) != algorithm or (key_id is not None and entry.get("kid") != key_id):
            continue
        try:
            fitting.append(jwt.PyJWK(entry, algorithm=algorithm).key)
        except jwt.PyJWTError:
            # A key of a kind this token is not signed with.
            continue
    if len(fitting) != 1:
        raise InvalidAssertion("signature", "The ID token is signed with a key that is not the identity provider's.")
    return fitting[0]


def _userinfo(
    config: Mapping[str, Any], access_token: str, said: Mapping[str, Any], connection: IdentityConnection
) -> dict[str, Any]:
    """What the ID token leaves out and the user-info endpoint tells (thin tokens); empty when nothing is missing."""
    email_claim = connection.email_claim or "email"
    url = config.get("userinfo_endpoint")
    if not isinstance(url, str) or (email_claim in said and connection.group_claim in said):
        return {}
    with reaching("The user information") as session:
        response = session.get(url, headers={"authorization": f"Bearer {access_token}"})
        response.raise_for_status()
        told = response.json()
    # Another subject's claims must not be mixed in (OpenID Connect Core 1.0, 5.3.2).
    if not isinstance(told, dict) or told.get("sub") != said["sub"]:
        raise InvalidAssertion("userinfo", "The user information is about somebody else.")
    return told
