"""The last net under the logs: nothing that looks like a credential gets out.

Secrets do not belong in a log call in the first place; this catches what an exception text or a library brings along.
"""

import re
from collections.abc import MutableMapping
from typing import Any

from switchyard_contract.virtual_key import KEY_PATTERN

_SECRETS = re.compile(
    "|".join(
        (
            KEY_PATTERN.pattern.replace("(?P<kind>", "(?:").replace("(?P<id>", "(?:").replace("(?P<checksum>", "(?:"),
            r"sk-[A-Za-z0-9_\-]{16,}",
            r"AIza[A-Za-z0-9_\-]{20,}",
            r"xai-[A-Za-z0-9_\-]{16,}",
            r"(?i:bearer)\s+[A-Za-z0-9._~+/=\-]{12,}",
            r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",
        )
    )
)
HIDDEN = "***"


def redact(text: str) -> str:
    """Replace everything in a text that looks like a key, a bearer or a password in a URL."""
    return _SECRETS.sub(HIDDEN, text)


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every text value passes through `redact`."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
        elif isinstance(value, bytes):
            event[name] = f"{len(value)} bytes"
    return event
