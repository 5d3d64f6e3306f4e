"""What may stand in an entry of the audit. The arithmetic of the chain is in switchyard_contract.audit_chain."""

from collections.abc import Mapping
from typing import Any

from switchyard_contract.audit_chain import plain_text


def plain(value: Any) -> Any:
    """Turn a value into what JSON holds, so that what is hashed is what the database gives back.

    Raises TypeError for bytes and floats: the one may be a secret, the other does not survive a round trip.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, (bytes, bytearray, memoryview, float)):
        raise TypeError(f"{type(value).__name__} has no place in an audit entry")
    return plain_text(value)
