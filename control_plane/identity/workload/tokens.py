"""Reading a CI system's token: which issuer it names, and whether an issuer's key has signed it. Pure.

Only asymmetric signatures count. What a token says of its own key (`jwk`, `jku`, `x5u`) is never looked at.
"""

import json
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

ALGORITHMS = ("RS256", "ES256", "EdDSA")
LONGEST_TOKEN = 16 * 1024
SHORTEST_RSA_BITS = 2048
LEEWAY = timedelta(seconds=60)
"""Clocks of CI systems and ours may differ by so much."""
LONGEST_VALIDITY = timedelta(hours=24)
MOST_KEYS = 50


class BadToken(Exception):
    """The token is not good for a key; the message says why, and holds nothing of the token but names."""


class UnknownSigner(BadToken):
    """No key of the issuer has the id that the token names: perhaps the issuer has new ones."""


class BadKeys(ValueError):
    """What was given as a JWKS is none, or holds no key that can be used."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says before anybody has checked it: good for finding the trust, for nothing else."""

    text: str = field(repr=False)
    algorithm: str
    key_id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A token whose issuer has signed it, for us, and now."""

    claims: Mapping[str, Any] = field(repr=False)
    issuer: str
    subject: str
    expires_at: datetime
    digest: bytes
    """The same for every copy of this token, and for no other."""


def look_at(text: str) -> Unverified:
    """Read what is needed to find who could vouch for it. Raises BadToken."""
    if len(text) > LONGEST_TOKEN:
        raise BadToken("The token is too long to be one.")
    parts = text.split(".")
    if len(parts) != 3:
        raise BadToken("This is no signed token (JWT): three parts with dots between were expected.")
    header, claims = _part(parts[0], "header"), _part(parts[1], "claims")
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise BadToken(f"The token is signed with {str(algorithm)[:20]!r}; only {', '.join(ALGORITHMS)} are accepted.")
    if "crit" in header:
        raise BadToken("The token asks for extensions (crit) that are not known here.")
    key_id, issuer = header.get("kid", ""), claims.get("iss")
    if not isinstance(key_id, str) or not isinstance(issuer, str) or not issuer:
        raise BadToken("The token names no issuer (iss).")
    return Unverified(text, str(algorithm), key_id, issuer)


def verify(token: Unverified, jwks: Mapping[str, Any], *, audience: str, now: datetime) -> Verified:
    """Check signature, audience and times. Raises BadToken; UnknownSigner when fresh keys might help."""
    key = _key_for(token, jwks)
    try:
        claims = jwt.decode(
            token.text,
            key,
            algorithms=[token.algorithm],
            # Times and audience are checked below, by a clock that is handed in and in words of our own.
            options={
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_iss": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.InvalidTokenError as failure:
        raise BadToken("The signature is not the issuer's.") from failure
    if claims.get("iss") != token.issuer:
        raise BadToken("The token names another issuer.")
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise BadToken(f"The token is not meant for {audience!r}: its audience (aud) is another.")
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    not_before = _time(claims, "nbf") if "nbf" in claims else issued
    if expires + LEEWAY <= now:
        raise BadToken("The token has expired (exp).")
    if not_before - LEEWAY > now:
        raise BadToken("The token is not valid yet (nbf).")
    if issued - LEEWAY > now:
        raise BadToken("The token was issued in the future (iat); compare the clocks.")
    if expires - issued > LONGEST_VALIDITY:
        raise BadToken("The token is valid for longer than a day, which no job's token should be.")
    subject = claims.get("sub")
    own_id = claims.get("jti")
    unique = f"jti\x00{own_id}" if isinstance(own_id, str) and own_id else f"token\x00{token.text}"
    return Verified(
        claims,
        token.issuer,
        str(subject)[:200] if isinstance(subject, str) else "",
        expires,
        sha256(f"{token.issuer}\x00{unique}".encode()).digest(),
    )


def checked_keys(jwks: Any) -> dict[str, Any]:
    """Keep of a JWKS what can verify signatures. Raises BadKeys."""
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not all(isinstance(key, Mapping) for key in keys):
        raise BadKeys('A JWKS is an object such as {"keys": [{"kty": "RSA", "kid": "…", "n": "…", "e": "AQAB"}]}.')
    if any("d" in key or key.get("kty") == "oct" for key in keys):
        raise BadKeys("This holds a private or a shared key. Give only the public ones, and replace that key.")
    usable = [dict(key) for key in keys[:MOST_KEYS] if _public_key(key) is not None]
    if not usable:
        raise BadKeys(f"It holds no key for {', '.join(ALGORITHMS)} (RSA of {SHORTEST_RSA_BITS} bits or more).")
    return {"keys": usable}


def _key_for(token: Unverified, jwks: Mapping[str, Any]) -> Any:
    fitting = [
        key
        for key in _keys_of(jwks)
        if key.get("alg", token.algorithm) == token.algorithm and _fits(_public_key(key), token.algorithm)
    ]
    named = [key for key in fitting if key.get("kid", "") == token.key_id]
    if not token.key_id and len(fitting) == 1:
        named = fitting
    if len(named) != 1:
        raise UnknownSigner(f"The issuer has no key {token.key_id[:60]!r} for {token.algorithm}.")
    return _public_key(named[0])


def _keys_of(jwks: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    keys = jwks.get("keys")
    return keys if isinstance(keys, list) else []


def _public_key(key: Mapping[str, Any]) -> Any:
    """The key itself; None for one that is not for signatures, too weak, or of a kind that is not taken."""
    if key.get("use", "sig") != "sig":
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}.get(str(key.get("kty")))
    if algorithm is None:
        return None
    try:
        public = jwt.PyJWK(dict(key), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return public if _fits(public, algorithm) else None


def _fits(key: Any, algorithm: str) -> bool:
    match algorithm:
        case "RS256":
            return isinstance(key, RSAPublicKey) and key.key_size >= SHORTEST_RSA_BITS
        case "ES256":
            return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        case _:
            return isinstance(key, Ed25519PublicKey)


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise BadToken(f"The token does not say {name} as a time.")
    return datetime.fromtimestamp(value, UTC)


def _part(text: str, named: str) -> dict[str, Any]:
    try:
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (Base64Error, ValueError, RecursionError) as failure:
        raise BadToken(f"The token's {named} cannot be read.") from failure
    if not isinstance(found, dict):
        raise BadToken(f"The token's {named} cannot be read.")
    return found
