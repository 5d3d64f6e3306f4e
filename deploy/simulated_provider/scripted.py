"""Exact answers that a test has queued. A request nobody queued an answer for is an error, told and kept."""

import binascii
from base64 import b64decode
from collections import deque
from dataclasses import dataclass
from typing import Literal

from deploy.simulated_provider.ask import Json, object_of, objects

End = Literal["clean", "reset", "close", "hang"]
_ENDS: tuple[End, ...] = ("clean", "reset", "close", "hang")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes to write after a wait."""

    data: bytes
    delay_ms: int


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer, and what the request it is meant for must look like; empty expectations are not checked."""

    method: str
    path: str
    body_sha256: str
    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[Chunk, ...]
    end: End

    def mismatch(self, method: str, path: str, body_sha256: str) -> str:
        """Say what about a request is not as expected; empty when all is."""
        for name, expected, got in (
            ("method", self.method, method),
            ("path", self.path, path),
            ("body_sha256", self.body_sha256, body_sha256),
        ):
            if expected and expected != got:
                return f"{name} is {got}, expected {expected}"
        return ""


class InvalidScript(Exception):
    """A script that cannot be played; the message says what is wrong."""


class ScriptBook:
    """Queues of answers by script name and by credential."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], deque[ScriptedAnswer]] = {}
        self.unexpected: list[str] = []

    def add(self, value: object) -> int:
        """Queue `{"script": name | "credential": text, "answers": [...]}` and return how many wait.

        Raises InvalidScript.
        """
        body = object_of(value)
        script, credential = body.get("script"), body.get("credential")
        if isinstance(script, str) and script:
            key = ("script", script)
        elif isinstance(credential, str) and credential:
            key = ("credential", credential)
        else:
            raise InvalidScript("name a `script` or a `credential`")
        answers = [_read_answer(answer) for answer in objects(body.get("answers"))]
        if not answers:
            raise InvalidScript("`answers` holds no answer")
        queue = self._queues.setdefault(key, deque())
        queue.extend(answers)
        return len(queue)

    def take(
        self, script: str | None, credential: str, *, method: str, path: str, body_sha256: str
    ) -> ScriptedAnswer | str | None:
        """Take the next answer for a request.

        None: the request is not part of any script. Text: it is, but was not expected; the text says why.
        """
        key = ("script", script) if script is not None else ("credential", credential)
        if script is None and key not in self._queues:
            return None
        queue = self._queues.get(key)
        if not queue:
            return self._note(
                f"{method} {path}: no answer is left in {key[0]} {'' if script is None else script}".rstrip()
            )
        problem = queue[0].mismatch(method, path, body_sha256)
        if problem:
            return self._note(f"{method} {path}: {problem}")
        return queue.popleft()

    def _note(self, problem: str) -> str:
        self.unexpected.append(problem)
        return problem

    def as_json(self) -> Json:
        waiting = {
            f"{kind}:{name if kind == 'script' else name[-4:]}": len(q) for (kind, name), q in self._queues.items()
        }
        return {"waiting": waiting, "unexpected": self.unexpected}

    def clear(self) -> None:
        self._queues.clear()
        self.unexpected = []


def _read_answer(answer: Json) -> ScriptedAnswer:
    expect, end = object_of(answer.get("expect")), answer.get("end", "clean")
    status = answer.get("status", 200)
    if end not in _ENDS:
        raise InvalidScript(f"`end` is none of {', '.join(_ENDS)}")
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise InvalidScript("`status` is no number from 200 to 599")
    headers = answer.get("headers", {})
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    try:
        return ScriptedAnswer(
            method=str(expect.get("method", "")),
            path=str(expect.get("path", "")),
            body_sha256=str(expect.get("body_sha256", "")),
            status=status,
            headers=tuple((str(name), str(value)) for name, value in pairs),
            chunks=tuple(_read_chunk(chunk) for chunk in objects(answer.get("chunks"))),
            end=end,
        )
    except (TypeError, ValueError) as failure:
        raise InvalidScript(f"an answer is malformed: {failure}") from failure


def _read_chunk(chunk: Json) -> Chunk:
    if isinstance(chunk.get("text"), str):
        data = chunk["text"].encode()
    else:
        try:
            data = b64decode(str(chunk.get("base64", "")), validate=True)
        except binascii.Error as failure:
            raise InvalidScript("`base64` of a chunk is not valid") from failure
    return Chunk(data, int(chunk.get("delay_ms", 0)))
