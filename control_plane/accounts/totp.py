"""Time-based one-time passwords (RFC 6238) and recovery codes. Pure: time and chance are arguments.

SHA-1, six digits and 30 seconds, because that is what every authenticator app does whatever the QR code asks for.
"""

import base64
import hashlib
import hmac
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
DRIFT_STEPS = 1
"""How far a phone's clock may be off, in steps of 30 seconds, either way."""
SECRET_BYTES = 20
RECOVERY_CODE_BYTES = 10
RECOVERY_CODES = 10


def code_at(secret: bytes, step: int) -> str:
    """The code of one step (RFC 4226, 5.3)."""
    # HMAC-SHA-1 is what the standard says; it is not used as a plain digest.
    mac = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: bytes, code: str, *, now_s: float, after_step: int) -> int | None:
    """The step that a code belongs to, near now and later than the step accepted last; None: no such step.

    after_step: a code is good once, and so is every code before it, so that one read over a shoulder is worth nothing.
    """
    typed = "".join(code.split())
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdigit()):
        return None
    present = int(now_s // STEP_S)
    found = None
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
        # Every step is compared: how long it takes says nothing.
        if hmac.compare_digest(code_at(secret, step), typed) and step > after_step:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """A secret as people type it."""
    return base64.b32encode(secret).decode().rstrip("=")


def provisioning_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """What the QR code says (Key Uri Format)."""
    label = f"{quote(issuer)}:{quote(account)}"
    return f"otpauth://totp/{label}?" + urlencode({"secret": secret_text(secret), "issuer": issuer}, quote_via=quote)


def recovery_code(raw: bytes) -> str:
    """A recovery code from random bytes: four groups of four letters and digits."""
    text = base64.b32encode(raw).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def recovery_digest(user_id: str, code: str) -> str:
    """What is kept of a recovery code. Eighty random bits need no slow hash."""
    plain = "".join(char for char in code.lower() if char.isalnum())
    return hashlib.sha256(f"{user_id}\x00{plain}".encode()).hexdigest()
