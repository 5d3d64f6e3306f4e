"""Listening to a chat stream."""

from typing import Any

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.protocols.codec import RequestFacts
from data_plane.protocols.frames import data_of
from data_plane.protocols.openai_chat.response import CHUNK, Chunk, error_of
from data_plane.protocols.stream_tap import StreamTap
from switchyard_contract.pricing import Units
from switchyard_contract.usage import TokenCounts

_DONE = b"[DONE]"


class ChatTap(StreamTap):
    """One chat answer. Ends with `data: [DONE]` or an error object."""

    _markers = (
        b'"usage":{',
        b'"usage": {',
        b'"finish_reason":"',
        b'"finish_reason": "',
        _DONE,
        b'"error"',
    )
    _runs_sums = True
    __slots__ = (
        "_cache_write_default",
        "_error",
        "_id",
        "_inconsistent",
        "_model",
        "_stop",
        "_tier",
        "_tokens",
        "_units",
    )

    def __init__(self, facts: RequestFacts) -> None:
        super().__init__(facts.body_bytes, removes=facts.adds_usage)
        self._cache_write_default = facts.cache_write_default
        self._tokens: TokenCounts | None = None
        self._units: Units = ()
        self._inconsistent = False
        self._model = self._id = self._stop = self._tier = ""
        self._error = ("", "")

    def _read(self, event: bytes) -> bool:
        """Take in one event; say whether it is the usage chunk that the client did not ask for."""
        data = data_of(event)
        if data.strip() == _DONE:
            self.is_over = True
            return False
        chunk = _chunk(data)
        if chunk is None:
            return False
        self._model = chunk.model or self._model
        self._id = chunk.id or self._id
        self._tier = chunk.service_tier or self._tier
        for choice in chunk.choices or ():
            self._stop = choice.finish_reason or self._stop
            if choice.finish_reason or any(value for name, value in (choice.delta or {}).items() if name != "role"):
                self.has_content = True
        if chunk.error is not None:
            self._error = error_of(chunk.error)
            self.is_over = True
        if chunk.usage is None:
            return False
        self._tokens, self._inconsistent = chunk.usage.counts(self._cache_write_default)
        self._units = chunk.usage.units(self._tokens)
        return self._removes and not chunk.choices and chunk.error is None

    def _usage(self) -> TokenCounts | None:
        return self._tokens

    def _usage_is_final(self) -> bool:
        # Some servers repeat a running usage on each chunk.
        return bool(self._stop) or self.is_over

    def _collect_text(self, event: bytes, visible: list[str], reasoning: list[str]) -> None:
        chunk = _chunk(data_of(event))
        for choice in (chunk.choices or ()) if chunk is not None else ():
            delta = choice.delta or {}
            visible += (delta[name] for name in ("content", "refusal") if isinstance(delta.get(name), str))
            # Some servers say the same thought under both names.
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(thought, str):
                reasoning.append(thought)
            calls = delta.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                if isinstance(call, dict):
                    _collect_call(call.get("function") or call.get("custom"), visible)
            _collect_call(delta.get("function_call"), visible)

    def _sum_up(self, tokens: TokenCounts, *, is_reported: bool) -> Tally:
        return Tally(
            tokens=tokens,
            model=self._model,
            stop_reason=self._stop,
            service_tier=self._tier,
            units=self._units,
            is_reported=is_reported,
            is_inconsistent=self._inconsistent,
            error_type=self._error[0],
            error_text=self._error[1],
            upstream_request_id=self._id,
        )


def _collect_call(called: Any, visible: list[str]) -> None:
    """What a model wrote of a call: ids, places and quotes around it are the vendor's."""
    if isinstance(called, dict):
        visible += (called[name] for name in ("name", "arguments", "input") if isinstance(called.get(name), str))


def _chunk(data: bytes) -> Chunk | None:
    if not data.startswith(b"{"):
        return None
    try:
        return CHUNK.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
