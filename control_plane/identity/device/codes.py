"""The two codes of a device login: a long one the machine keeps, a short one a person types. Pure but for chance."""

import hashlib
import secrets

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come out; no digits, so that nothing looks like something else (RFC 8628, 6.1)."""
LENGTH = 8


def new_device_code() -> str:
    return secrets.token_urlsafe(32)


def new_user_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def digest_of(code: str) -> bytes:
    """What is stored of a device code. 256 random bits need no slow hash."""
    return hashlib.sha256(code.encode()).digest()


def shown(user_code: str) -> str:
    """As people read it: WDJB-MJHT."""
    return f"{user_code[: LENGTH // 2]}-{user_code[LENGTH // 2 :]}"


def typed(text: str) -> str:
    """What a person typed, without what does not matter; empty when it cannot be a code."""
    code = "".join(sign for sign in text.upper() if sign.isalnum())[: LENGTH + 1]
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else ""
