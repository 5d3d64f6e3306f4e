"""SAML 2.0, web browser SSO: python3-saml judges the XML, django-allauth keeps the state, this module is stricter.

Beyond the libraries: assertions must be signed, name an audience and an end; the request they answer is read from
inside the signature; and each is good once. An answer nobody asked for (IdP-initiated) is refused, since it could be
somebody else's. The answer comes as a cross-site POST, to which the browser adds no session cookie: it is judged at
once, put aside, and picked up by a second request that has the cookie and must have asked for it.
"""

import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from allauth.socialaccount.internal import statekit
from allauth.socialaccount.providers.saml.provider import SAMLProvider
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from lxml.etree import XMLSyntaxError
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Words
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xmlparser import DTDForbidden, EntitiesForbidden

from control_plane.identity.adapters import app_of
from control_plane.identity.addresses import acs_url, metadata_url
from control_plane.identity.claims import Claims, email_of, first_of, groups_of, text_of
from control_plane.identity.failures import Declined, InvalidAssertion, ProviderUnreachable
from control_plane.identity.models import IdentityConnection, SeenAssertion
from control_plane.identity.outbound import fetch_text

MAX_ANSWER_CHARS = 512 * 1024
MAX_METADATA_CHARS = 1024 * 1024
CLOCK_SKEW = timedelta(minutes=5)
EMAIL_ATTRIBUTES = (
    "email",
    "mail",
    "emailAddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
)
NAME_ATTRIBUTES = (
    "name",
    "displayName",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
)
ENTRA_GROUPS = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
ENTRA_TOO_MANY_GROUPS = "http://schemas.microsoft.com/claims/groups.link"


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What an identity provider's metadata says."""

    entity_id: str
    sso_url: str
    certificates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An assertion that holds. asked_by: id of the request it answers."""

    claims: Claims
    assertion_id: str
    asked_by: str
    ends_at: datetime


class _Auth(OneLogin_Saml2_Auth):
    """python3-saml's conversation, which keeps the response it accepted."""

    accepted: OneLogin_Saml2_Response | None = None

    def store_valid_response(self, response: OneLogin_Saml2_Response) -> None:
        super().store_valid_response(response)
        self.accepted = response


def read_metadata(xml: str) -> ProviderMetadata:
    """Read an identity provider's metadata; raises ValueError in words for people."""
    if len(xml) > MAX_METADATA_CHARS:
        raise ValueError("This is larger than any metadata document.")
    try:
        parsed = OneLogin_Saml2_IdPMetadataParser.parse(xml.strip().encode()).get("idp", {})
    except (XMLSyntaxError, DTDForbidden, EntitiesForbidden, OneLogin_Saml2_Error, ValueError) as failure:
        raise ValueError("This is no SAML metadata: the XML cannot be read.") from failure
    multiple = parsed.get("x509certMulti", {}).get("signing", [])
    certificates = tuple(dict.fromkeys(multiple or ([parsed["x509cert"]] if parsed.get("x509cert") else [])))
    sso_url = parsed.get("singleSignOnService", {}).get("url", "")
    if not parsed.get("entityId"):
        raise ValueError("This is no metadata of an identity provider: it has no IDPSSODescriptor.")
    if not sso_url:
        raise ValueError("The metadata names no sign-in address with the HTTP-Redirect binding.")
    if not certificates:
        raise ValueError("The metadata holds no signing certificate.")
    return ProviderMetadata(parsed["entityId"], sso_url, certificates)


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
    auth = _Auth(_request_data(connection, {}), _config(connection))
    address = auth.login(return_to="", force_authn=asks_anew)
    provider = SAMLProvider(request, app=app_of(connection, provider=SAMLProvider.id, secret="", settings={}))
    provider.stash_redirect_state(request, "login", next_url, data, state_id=auth.get_last_request_id())
    return HttpResponseRedirect(address)


def accept(connection: IdentityConnection, posted: Mapping[str, str]) -> UUID:
    """Judge an answer, and put it aside for the browser that asked; raises a SignInFailure. Each is good once."""
    answer = judge(connection, posted)
    digest = hashlib.sha256(answer.assertion_id.encode()).hexdigest()
    groups = answer.claims.groups
    try:
        with transaction.atomic():
            seen = SeenAssertion.objects.create(
                connection=connection,
                assertion=digest,
                claims={**asdict(answer.claims), "groups": None if groups is None else sorted(groups)},
                asked_by=answer.asked_by,
                expires_at=answer.ends_at + CLOCK_SKEW,
            )
    except IntegrityError as failure:
        raise InvalidAssertion("replayed", "This answer was used before. Sign in again.") from failure
    return seen.id


@transaction.atomic
def pick_up(request: HttpRequest, connection: IdentityConnection, handle: UUID) -> tuple[Claims, Mapping[str, Any]]:
    """What an assertion said, to the browser that asked for it; raises InvalidAssertion. Good once."""
    seen = SeenAssertion.objects.select_for_update().filter(connection=connection, id=handle).first()
    if seen is None or seen.claims is None:
        raise InvalidAssertion("replayed", "This answer was used before. Sign in again.")
    state = statekit.unstash_state(request, provider_id=connection.id.hex, state_id=seen.asked_by)
    if state is None:
        raise InvalidAssertion("state", "This answer was not asked for by this browser. Sign in again.")
    kept = seen.claims
    seen.claims = None
    seen.save(update_fields=["claims"])
    groups = None if kept["groups"] is None else frozenset(kept["groups"])
    return Claims(**{**kept, "groups": groups}), dict(state)


def judge(connection: IdentityConnection, posted: Mapping[str, str]) -> Answer:
    """Judge what was posted to the assertion consumer service; raises a SignInFailure."""
    text = posted.get("SAMLResponse", "")
    if not text or len(text) > MAX_ANSWER_CHARS:
        raise InvalidAssertion("response", "The identity provider sent no answer that can be read.")
    auth = _Auth(_request_data(connection, {"SAMLResponse": text}), _config(connection))
    try:
        auth.process_response()
    except (
        OneLogin_Saml2_Error,
        OneLogin_Saml2_ValidationError,
        XMLSyntaxError,
        DTDForbidden,
        EntitiesForbidden,
        binascii.Error,
        ValueError,
    ) as failure:
        raise InvalidAssertion("response", "The identity provider's answer cannot be read.") from failure
    if auth.get_errors() or auth.accepted is None:
        reason = auth.get_last_error_reason() or "it does not hold"
        if "status code of the Response was not Success" in reason:
            raise Declined("declined", f"The identity provider says: {reason}"[:400])
        raise InvalidAssertion(_code_of(reason), f"The answer was refused: {reason}"[:400])
    return _stricter(auth, auth.accepted, connection)


def own_metadata(connection: IdentityConnection) -> bytes:
    """Our metadata, for the identity provider."""
    config = _config(connection)
    built = OneLogin_Saml2_Settings(settings={**config, "idp": {}}, sp_validation_only=True)
    document = built.get_sp_metadata()
    return document if isinstance(document, bytes) else document.encode()


def _stricter(auth: _Auth, response: OneLogin_Saml2_Response, connection: IdentityConnection) -> Answer:
    """What python3-saml leaves to choice."""
    if not response.get_audiences():
        raise InvalidAssertion("aud", "The assertion names no audience.")
    conditions = response._query_assertion("/saml:Conditions")
    end = conditions[0].get("NotOnOrAfter") if conditions else None
    if not end:
        raise InvalidAssertion("expired", "The assertion has no end.")
    ends_at = datetime.fromtimestamp(OneLogin_Saml2_Utils.parse_SAML_to_time(end), UTC)
    asked = set()
    for node in response._query_assertion("/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"):
        if node.get("Recipient") != acs_url(connection.id):
            raise InvalidAssertion("recipient", "The assertion was made for another address.")
        if not node.get("NotOnOrAfter"):
            raise InvalidAssertion("expired", "The assertion's confirmation has no end.")
        asked.add(node.get("InResponseTo", ""))
    # Read inside the signature; what the envelope says besides must agree.
    if len(asked) != 1 or "" in asked:
        raise InvalidAssertion("in_response_to", "The assertion answers no request. Begin the sign-in here.")
    (asked_by,) = asked
    outer = response.get_in_response_to()
    if outer and outer != asked_by:
        raise InvalidAssertion("in_response_to", "The assertion answers another request.")
    if auth.get_nameid_format() == Words.NAMEID_TRANSIENT:
        raise InvalidAssertion("sub", "The name id changes with every sign-in; choose a persistent format.")
    subject = (auth.get_nameid() or "").strip()
    if not subject or len(subject) > 300:
        raise InvalidAssertion("sub", "The assertion names no subject.")
    claims = replace(_claims(auth, subject, connection), authenticated_s=_authenticated_s(response))
    return Answer(claims, str(auth.get_last_assertion_id()), asked_by, ends_at)


def _authenticated_s(response: OneLogin_Saml2_Response) -> int | None:
    """When the person last proved who they are, as the signed assertion says."""
    statements = response._query_assertion("/saml:AuthnStatement")
    instant = statements[0].get("AuthnInstant") if statements else None
    try:
        return OneLogin_Saml2_Utils.parse_SAML_to_time(instant) if instant else None
    except ValueError:
        return None


def _claims(auth: _Auth, subject: str, connection: IdentityConnection) -> Claims:
    said: dict[str, Any] = auth.get_attributes()
    email = email_of(first_of(said, [connection.email_claim] if connection.email_claim else EMAIL_ATTRIBUTES))
    if not email and not connection.email_claim and auth.get_nameid_format() == Words.NAMEID_EMAIL_ADDRESS:
        email = email_of(subject)
    name = text_of(first_of(said, NAME_ATTRIBUTES))
    group_names = [connection.group_claim]
    if connection.group_claim == "groups":
        group_names.append(ENTRA_GROUPS)
    told = [groups_of(said[each]) for each in group_names if each in said]
    groups = frozenset[str]().union(*told)
    is_elsewhere = ENTRA_TOO_MANY_GROUPS in said and not groups
    return Claims(subject, email, None, name[:200], None if is_elsewhere else groups)


def _config(connection: IdentityConnection) -> dict[str, Any]:
    """One connection in python3-saml's words."""
    return {
        "strict": True,
        "debug": False,
        "sp": {
            "entityId": metadata_url(connection.id),
            "assertionConsumerService": {"url": acs_url(connection.id), "binding": Words.BINDING_HTTP_POST},
            "NameIDFormat": Words.NAMEID_UNSPECIFIED,
        },
        "idp": {
            "entityId": connection.issuer,
            "singleSignOnService": {"url": connection.sso_url, "binding": Words.BINDING_HTTP_REDIRECT},
            "x509certMulti": {"signing": list(connection.certificates)},
        },
        "security": {
            "wantAssertionsSigned": True,
            "wantNameId": True,
            "wantAttributeStatement": False,
            "requestedAuthnContext": False,
            "rejectDeprecatedAlgorithm": True,
            "allowRepeatAttributeName": True,
            # Consoles of a company network have names such as http://switchyard.
            "allowSingleLabelDomains": True,
            "signatureAlgorithm": Words.RSA_SHA256,
            "digestAlgorithm": Words.SHA256,
        },
    }


def _request_data(connection: IdentityConnection, posted: Mapping[str, str]) -> dict[str, Any]:
    """The request as the identity provider addressed it, whatever proxies stand between."""
    address = urlsplit(acs_url(connection.id))
    return {
        "https": "on" if address.scheme == "https" else "off",
        "http_host": address.netloc,
        "script_name": address.path,
        "get_data": {},
        "post_data": dict(posted),
    }


_CODES = (
    ("ignature", "signature"),
    ("not signed", "signature"),
    ("audience", "aud"),
    ("ssuer", "iss"),
    ("expired", "expired"),
    ("late", "expired"),
    ("early", "early"),
    ("yet", "early"),
    ("received at", "destination"),
    ("SubjectConfirmation", "confirmation"),
)


def _code_of(reason: str) -> str:
    """A short code for python3-saml's sentence."""
    return next((code for part, code in _CODES if part in reason), "response")


def forget_ended() -> int:
    """Forget assertions that have expired: they are refused for that."""
    removed, _ = SeenAssertion.objects.filter(expires_at__lt=timezone.now()).delete()
    return removed


def fetched_metadata(url: str) -> ProviderMetadata:
    """Read metadata from where the identity provider publishes it; raises ProviderUnreachable."""
    try:
        return read_metadata(fetch_text(url, "The metadata"))
    except ValueError as failure:
        raise ProviderUnreachable("metadata", str(failure)) from failure
