"""The top level of a request's body, field by field, and what is said of one that cannot be read."""

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_MODEL = 512
_TEXT = msgspec.json.Decoder(str | None)
_OBJECT = msgspec.json.Decoder(dict[str, Any] | None)


class InvalidRequest(ValueError):
    """The request cannot be read. field: where, as the protocol names it; why: half a sentence."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field, self.why = field, why


class Fields(msgspec.Struct, frozen=True):
    """The top level of a body: each field's raw text and where it stands."""

    body: bytes | bytearray
    raw: Mapping[str, msgspec.Raw]
    spans: Mapping[str, tuple[int, int]]
    after_brace: int
    """Offset behind the opening brace, where a field may be inserted."""

    def text(self, name: str) -> str:
        """A field of text; empty: absent, null or empty. Raises InvalidRequest when it is of another kind."""
        raw = self.raw.get(name)
        if raw is None:
            return ""
        try:
            return _TEXT.decode(raw) or ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise InvalidRequest(name, "must be text") from failure

    def flag(self, name: str) -> bool:
        """A field of true or false; False: absent or null. Raises InvalidRequest when it is of another kind."""
        span = self.spans.get(name)
        if span is None:
            return False
        match self.body[span[0] : span[1]]:
            case b"true":
                return True
            case b"false" | b"null":
                return False
            case _:
                raise InvalidRequest(name, "must be true or false")

    def object(self, name: str) -> dict[str, Any]:
        """A field that is an object; empty: absent or null. Raises InvalidRequest when it is of another kind."""
        raw = self.raw.get(name)
        if raw is None:
            return {}
        try:
            return _OBJECT.decode(raw) or {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise InvalidRequest(name, "must be an object") from failure

    def model(self) -> str:
        """The model asked for; raises InvalidRequest when it is missing, empty or too long."""
        model = self.text("model")
        if not model:
            raise InvalidRequest("model", "is missing")
        if not self.body.startswith(self.raw["model"], self.spans["model"][0]):
            raise InvalidRequest("model", "is no valid text")
        if len(model) > MAX_MODEL:
            raise InvalidRequest("model", f"is longer than {MAX_MODEL} characters")
        return model

    def has_items(self, name: str) -> bool:
        """Whether a field is a list or object with something in it."""
        if name not in self.spans:
            return False
        start, end = self.spans[name]
        return self.body[start : start + 1] in (b"[", b"{") and self.body[start + 1 : end - 1].strip() != b""

    def prefix(self, name: str, length: int) -> bytes:
        """The first bytes of a field's raw text; empty when it is absent."""
        if name not in self.spans:
            return b""
        start, end = self.spans[name]
        return bytes(self.body[start : min(end, start + length)])
