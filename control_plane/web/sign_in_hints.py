"""What to click in each identity provider, beside the forms of a connection.

docs/how-to/sign-in-with-sso.md says more.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hint:
    """One product: how its issuer looks and where things are."""

    vendor: str
    title: str
    issuer: str
    oidc: tuple[str, ...]
    saml: tuple[str, ...]


HINTS: tuple[Hint, ...] = (
    Hint(
        "okta",
        "Okta",
        "https://example.okta.com",
        (
            "Applications, Create App Integration, OIDC, Web Application.",
            "Paste the redirect URI; grant type Authorization Code; require PKCE.",
            "Sign On, OpenID Connect ID Token: issuer “Okta URL”; groups claim “groups” with a filter.",
            "Copy client id and client secret from General.",
        ),
        (
            "Applications, Create App Integration, SAML 2.0.",
            "Single sign-on URL: the ACS URL; Audience URI: the entity id; Name ID format: Persistent.",
            "Attributes: email to user.email, displayName to user.displayName; group attribute: groups.",
            "Copy the Metadata URL from Sign On.",
        ),
    ),
    Hint(
        "entra",
        "Microsoft Entra ID",
        "https://login.microsoftonline.com/<tenant id>/v2.0",
        (
            "App registrations, New registration, platform Web; paste the redirect URI.",
            "Certificates & secrets: a new client secret. Copy its value, not its id.",
            "Token configuration: optional claim email (ID token); groups claim, assigned groups only.",
            "Groups arrive as object ids: map those. Above 200 groups none are sent; then nothing changes here.",
        ),
        (
            "Enterprise applications, Create your own application, Single sign-on, SAML.",
            "Identifier: the entity id; Reply URL: the ACS URL.",
            "Unique user identifier: user.objectid, format Persistent; claim email from user.mail; add a group claim.",
            "Copy the App Federation Metadata Url.",
        ),
    ),
    Hint(
        "google",
        "Google Workspace",
        "https://accounts.google.com",
        (
            "Google Cloud console, APIs & Services, Credentials, OAuth client id, Web application.",
            "Paste the redirect URI; keep the consent screen Internal.",
            "Google sends no groups with OpenID Connect: give teams here, or use SAML.",
        ),
        (
            "Admin console, Apps, Web and mobile apps, Add custom SAML app.",
            "Download the metadata and paste it here; ACS URL and entity id from this page; Name ID: PERSISTENT.",
            "Map Primary email to email, and group membership to groups.",
        ),
    ),
    Hint(
        "keycloak",
        "Keycloak",
        "https://keycloak.example.com/realms/<realm>",
        (
            "Clients, Create client, OpenID Connect; Client authentication on; Standard flow only.",
            "Paste the redirect URI; PKCE method S256 under Advanced.",
            "Client scopes, dedicated, Add mapper, Group Membership: claim name groups, Full group path off.",
            "Copy the secret from Credentials.",
        ),
        (
            "Clients, Create client, SAML; client id: the entity id.",
            "Valid redirect URIs and Master SAML processing URL: the ACS URL; Name ID format persistent.",
            "Sign assertions on; Client signature required off. Mappers: email, and Group list with attribute groups.",
            "The metadata lies at /realms/<realm>/protocol/saml/descriptor.",
        ),
    ),
    Hint(
        "other",
        "Another provider",
        "https://login.example.com",
        ("Make a confidential web client with the redirect URI, authorization code flow and PKCE (S256).",),
        ("Make a SAML 2.0 service provider with the ACS URL and the entity id; sign assertions; persistent name id.",),
    ),
)


def hint_of(vendor: str) -> Hint:
    """The hint of a product; unknown ones get the general words."""
    return next((hint for hint in HINTS if hint.vendor == vendor), HINTS[-1])
