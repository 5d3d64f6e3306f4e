"""A scripted identity provider: OpenID Connect and SAML over real HTTP on loopback, with keys of its own.

    def test_...(identity_provider: IdentityProvider) -> None:
        identity_provider.expect(ADA)                       # the next sign-in is Ada's, and all is right with it
        identity_provider.expect(ADA, wrong="nonce")        # the one after that is spoiled in one respect

A browser that arrives without being expected, and a call to an address that no identity provider has, fail the test;
so does an expectation nobody met. Make the fixture known with
`from tests.fakes.identity_provider import identity_provider` in a conftest.py.
"""

import base64
import hashlib
import hmac
import html
import json
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

CLIENT_ID = "switchyard-client"
CLIENT_SECRET = "a-client-secret-for-tests"
KEY_ID = "key-1"

OIDC_WRONGS = (
    "nonce", "no_nonce", "aud", "iss", "azp", "signature", "alg_none", "alg_hmac", "expired", "early", "no_sub",
    "no_id_token", "answer_iss", "userinfo_subject", "pkce",
)  # fmt: skip
"""One respect in which an OIDC answer is spoiled."""
SAML_WRONGS = (
    "signature", "unsigned", "response_signed_only", "tampered", "wrapped", "audience", "no_audience", "issuer",
    "expired", "no_end", "early", "recipient", "destination", "in_response_to", "unsolicited", "status", "transient",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the identity provider knows. groups None: the claim is not sent at all."""

    subject: str
    email: str
    name: str = ""
    groups: tuple[str, ...] | None = ()
    claims: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    person: Person
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A signing key and its self-signed certificate."""

    key: rsa.RSAPrivateKey
    key_pem: str
    certificate: str
    """base64, without PEM lines"""


@cache
def key_pair(name: str) -> KeyPair:
    """A key, made once per process: making one takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return KeyPair(key, key_pem, base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode())


@dataclass(slots=True)
class _Grant:
    """A code that was given out."""

    expected: Expected
    nonce: str
    challenge: str
    redirect_uri: str
    is_used: bool = False


@dataclass(slots=True)
class IdentityProvider:
    """Serves until closed; see the module."""

    expected: list[Expected] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    thin_tokens: bool = False
    """Whether e-mail and groups are only told by the user-info endpoint."""
    overrides: dict[str, Callable[[], tuple[int, str, str]]] = field(default_factory=dict)
    """Answers in place of our own, by path: status, content type or redirect target, body."""
    asked_anew: list[bool] = field(default_factory=list)
    """Per sign-in: whether the person was to prove who they are although signed in here."""
    _grants: dict[str, _Grant] = field(default_factory=dict)
    _tokens: dict[str, Expected] = field(default_factory=dict)
    _server: ThreadingHTTPServer | None = None
    last_saml_response: str = ""
    last_acs: str = ""

    def start(self) -> None:
        provider = self

        class Handler(_Handler):
            idp = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def expect(self, person: Person, *, wrong: str = "") -> None:
        """Let the next browser be signed in as this person; wrong: spoil the answer in that respect."""
        assert wrong in ("", "declined", "stale_login", *OIDC_WRONGS, *SAML_WRONGS), wrong
        self.expected.append(Expected(person, wrong))

    def verify(self) -> None:
        """Fail on what nobody expected, and on what did not come."""
        assert self.problems == []
        assert self.expected == [], "expected sign-ins that did not come"

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/oidc"

    @property
    def entity_id(self) -> str:
        return f"{self.url}/saml"

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/saml/metadata"

    @property
    def metadata(self) -> str:
        return (
            '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" '
            f'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{self.entity_id}">'
            '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
            '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data>'
            f"<ds:X509Certificate>{key_pair('saml').certificate}</ds:X509Certificate>"
            "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
            '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
            f'Location="{self.url}/saml/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>'
        )

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def keys(self) -> dict[str, Any]:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key_pair("oidc").key.public_key()))
        return {"keys": [{**key, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}

    def next_person(self, path: str) -> Expected | None:
        if not self.expected:
            self.problems.append(f"nobody was expected at {path}")
            return None
        return self.expected.pop(0)

    # OpenID Connect.

    def authorize(self, query: dict[str, str]) -> tuple[int, str, str]:
        expected = self.next_person("/oidc/authorize")
        if expected is None:
            return 500, "text/plain", "nobody was expected"
        wrongly_asked = [
            name
            for name, want in (
                ("response_type", "code"),
                ("client_id", CLIENT_ID),
                ("code_challenge_method", "S256"),
            )
            if query.get(name) != want
        ]
        wrongly_asked += [name for name in ("state", "nonce", "code_challenge", "redirect_uri") if not query.get(name)]
        if wrongly_asked or "openid" not in query.get("scope", "").split():
            self.problems.append(f"the authorization request lacks {wrongly_asked or ['scope openid']}")
        self.asked_anew.append(query.get("prompt") == "login" and query.get("max_age") == "0")
        target, state = query["redirect_uri"], query.get("state", "")
        if expected.wrong == "declined":
            return _to(target, {"error": "access_denied", "error_description": "not today", "state": state})
        code = secrets.token_urlsafe(16)
        self._grants[code] = _Grant(expected, query.get("nonce", ""), query.get("code_challenge", ""), target)
        answer = {"code": code, "state": state}
        if expected.wrong == "answer_iss":
            answer["iss"] = "https://another.example.com"
        return _to(target, answer)

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, str, str]:
        grant = self._grants.get(form.get("code", ""))
        scheme, _, encoded = authorization.partition(" ")
        client = base64.b64decode(encoded).decode() if scheme == "Basic" else ""
        if client != f"{CLIENT_ID}:{CLIENT_SECRET}":
            return _json({"error": "invalid_client"}, 401)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            grant is None
            or grant.is_used
            or form.get("redirect_uri") != grant.redirect_uri
            or grant.expected.wrong == "pkce"
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != grant.challenge
        ):
            return _json({"error": "invalid_grant"}, 400)
        grant.is_used = True
        access_token = secrets.token_urlsafe(16)
        self._tokens[access_token] = grant.expected
        answer = {"access_token": access_token, "token_type": "Bearer", "expires_in": 300}
        if grant.expected.wrong != "no_id_token":
            answer["id_token"] = self._id_token(grant)
        return _json(answer)

    def userinfo(self, authorization: str) -> tuple[int, str, str]:
        expected = self._tokens.get(authorization.removeprefix("Bearer "))
        if expected is None:
            return _json({"error": "invalid_token"}, 401)
        subject = "somebody-else" if expected.wrong == "userinfo_subject" else expected.person.subject
        return _json({"sub": subject, **_claims(expected.person)})

    def _id_token(self, grant: _Grant) -> str:
        expected, now = grant.expected, int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": expected.person.subject,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.nonce,
            "auth_time": now - 3600 if expected.wrong == "stale_login" else now,
        }
        if not self.thin_tokens and expected.wrong != "userinfo_subject":
            claims |= _claims(expected.person)
        spoil: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "of-another-sign-in"},
            "aud": {"aud": "another-client"},
            "iss": {"iss": "https://another.example.com"},
            "azp": {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
            "expired": {"iat": now - 7200, "exp": now - 3600},
            "early": {"nbf": now + 3600},
        }
        claims |= spoil.get(expected.wrong, {})
        for name in {"no_nonce": ("nonce",), "no_sub": ("sub",)}.get(expected.wrong, ()):
            del claims[name]
        headers = {"kid": KEY_ID}
        if expected.wrong == "alg_none":
            return jwt.encode(claims, key="", algorithm="none", headers=headers)
        if expected.wrong == "alg_hmac":
            # The public key as an HMAC secret: the classic confusion. Made by hand, since libraries refuse to.
            public = (
                key_pair("oidc")
                .key.public_key()
                .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            )
            return _hmac_token(claims, public)
        signer = key_pair("stranger" if expected.wrong == "signature" else "oidc")
        return jwt.encode(claims, key=signer.key_pem, algorithm="RS256", headers=headers)

    # SAML.

    def single_sign_on(self, query: dict[str, str]) -> tuple[int, str, str]:
        expected = self.next_person("/saml/sso")
        if expected is None:
            return 500, "text/plain", "nobody was expected"
        request = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"]), -15))
        self.asked_anew.append(request.get("ForceAuthn") == "true")
        acs = request.get("AssertionConsumerServiceURL")
        audience = request.findtext("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer")
        self.last_acs = acs
        self.last_saml_response = self.saml_response(
            expected, acs=acs, audience=str(audience), request_id=request.get("ID")
        )
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
            for name, value in (("SAMLResponse", self.last_saml_response), ("RelayState", query.get("RelayState", "")))
        )
        page = (
            f'<html><body><form method="post" action="{html.escape(acs)}">{fields}</form>'
            "<script>document.forms[0].submit()</script></body></html>"
        )
        return 200, "text/html", page

    def saml_response(self, expected: Expected, *, acs: str, audience: str, request_id: str) -> str:
        """The base64 of a response to one request."""
        wrong, now = expected.wrong, datetime.now(UTC)
        begins = now + timedelta(hours=1) if wrong == "early" else now - timedelta(minutes=1)
        ends = now - timedelta(hours=1) if wrong == "expired" else now + timedelta(minutes=5)
        if wrong == "early":
            ends = now + timedelta(hours=2)
        asked_by = "" if wrong == "unsolicited" else ("_another" if wrong == "in_response_to" else request_id)
        recipient = "https://another.example.com/acs" if wrong == "recipient" else acs
        logged_in = now - timedelta(hours=1) if wrong == "stale_login" else now
        audiences = (
            ""
            if wrong == "no_audience"
            else "<saml:AudienceRestriction><saml:Audience>"
            + ("https://another.example.com" if wrong == "audience" else audience)
            + "</saml:Audience></saml:AudienceRestriction>"
        )
        attributes = "".join(_attribute(name, values) for name, values in _attributes(expected.person))
        issuer = "https://another.example.com" if wrong == "issuer" else self.entity_id
        name_format = "transient" if wrong == "transient" else "persistent"
        end = "" if wrong == "no_end" else f' NotOnOrAfter="{_instant(ends)}"'
        answers = f' InResponseTo="{asked_by}"' if asked_by else ""
        assertion = (
            '<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
            f'ID="_{secrets.token_hex(16)}" Version="2.0" IssueInstant="{_instant(now)}">'
            f"<saml:Issuer>{issuer}</saml:Issuer><saml:Subject>"
            f'<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:{name_format}">'
            f"{expected.person.subject}</saml:NameID>"
            '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData Recipient="{recipient}"{answers} NotOnOrAfter="{_instant(ends)}"/>'
            "</saml:SubjectConfirmation></saml:Subject>"
            f'<saml:Conditions NotBefore="{_instant(begins)}"{end}>{audiences}</saml:Conditions>'
            f'<saml:AuthnStatement AuthnInstant="{_instant(logged_in)}" SessionIndex="_{secrets.token_hex(8)}">'
            "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
            "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
            f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"
        )
        signed = assertion
        if wrong not in ("unsigned", "response_signed_only"):
            signed = _sign(assertion, key_pair("stranger" if wrong == "signature" else "saml"))
        if wrong == "tampered":
            signed = signed.replace(expected.person.subject, "root")
        if wrong == "wrapped":
            signed = _wrap(signed, assertion.replace(expected.person.subject, "root"))
        status = "Responder" if wrong == "status" else "Success"
        destination = "https://another.example.com/acs" if wrong == "destination" else acs
        body = "" if wrong == "status" else signed
        response = (
            '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" '
            f'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_{secrets.token_hex(16)}" Version="2.0" '
            f'IssueInstant="{_instant(now)}" Destination="{destination}"{answers}>'
            f"<saml:Issuer>{self.entity_id}</saml:Issuer><samlp:Status>"
            f'<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>{body}'
            "</samlp:Response>"
        )
        if wrong == "response_signed_only":
            response = _sign(response, key_pair("saml"))
        return base64.b64encode(response.encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    idp: IdentityProvider
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self._answer("GET", parts.path, query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        self._answer("POST", urlsplit(self.path).path, form)

    def _answer(self, method: str, path: str, given: dict[str, str]) -> None:
        idp, authorization = self.idp, self.headers.get("authorization", "")
        known: dict[tuple[str, str], Callable[[], tuple[int, str, str]]] = {
            ("GET", "/oidc/.well-known/openid-configuration"): lambda: _json(idp.discovery()),
            ("GET", "/oidc/keys"): lambda: _json(idp.keys()),
            ("GET", "/oidc/authorize"): lambda: idp.authorize(given),
            ("POST", "/oidc/token"): lambda: idp.token(given, authorization),
            ("GET", "/oidc/userinfo"): lambda: idp.userinfo(authorization),
            ("GET", "/saml/metadata"): lambda: (200, "application/samlmetadata+xml", idp.metadata),
            ("GET", "/saml/sso"): lambda: idp.single_sign_on(given),
            # Browsers ask for it of every host.
            ("GET", "/favicon.ico"): lambda: (404, "text/plain", ""),
        }
        idp.calls.append(f"{method} {path}")
        act = idp.overrides.get(path) or known.get((method, path))
        if act is None:
            idp.problems.append(f"unexpected call {method} {path}")
            act = lambda: (500, "text/plain", "unexpected call")  # noqa: E731
        status, kind, body = act()
        raw = body.encode()
        self.send_response(status)
        self.send_header("location" if status in (302, 303) else "content-type", kind)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the calls are kept."""


@pytest.fixture
def identity_provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    provider.start()
    yield provider
    provider.close()
    provider.verify()


def _to(target: str, query: dict[str, str]) -> tuple[int, str, str]:
    return 302, f"{target}?{urlencode(query)}", ""


def _json(value: Any, status: int = 200) -> tuple[int, str, str]:
    return status, "application/json", json.dumps(value)


def _claims(person: Person) -> dict[str, Any]:
    claims: dict[str, Any] = {"email": person.email, "email_verified": True, "name": person.name}
    if person.groups is not None:
        claims["groups"] = list(person.groups)
    return {name: value for name, value in (claims | dict(person.claims)).items() if value is not None}


def _attributes(person: Person) -> Iterator[tuple[str, list[str]]]:
    yield "email", [person.email]
    yield "displayName", [person.name]
    if person.groups is not None:
        yield "groups", list(person.groups)
    for name, value in person.claims:
        yield name, [str(value)]


def _attribute(name: str, values: list[str]) -> str:
    inner = "".join(f"<saml:AttributeValue>{html.escape(value)}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{html.escape(name)}">{inner}</saml:Attribute>'


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _sign(xml: str, signer: KeyPair) -> str:
    certificate = "-----BEGIN CERTIFICATE-----\n" + signer.certificate + "\n-----END CERTIFICATE-----"
    signed = OneLogin_Saml2_Utils.add_sign(xml, signer.key_pem, certificate)
    return signed.decode() if isinstance(signed, bytes) else str(signed)


def _wrap(signed: str, evil: str) -> str:
    """Signature wrapping: a forged assertion first, the truly signed one hidden behind it."""
    return evil.replace(' ID="_', ' ID="_evil') + signed


def _hmac_token(claims: dict[str, Any], secret: bytes) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    text = f"{part({'alg': 'HS256', 'kid': KEY_ID, 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
