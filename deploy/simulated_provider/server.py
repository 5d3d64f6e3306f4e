"""The IO rim: an aiohttp server that plays what `reception` decided and keeps the ledger."""

import asyncio
import hashlib
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from deploy.simulated_provider.answer import Identity
from deploy.simulated_provider.call import BODY_LIMIT_BYTES, Call, UndecodableBody, decode_body
from deploy.simulated_provider.faults import Close, Hang, Pause, Reset, Send, Step
from deploy.simulated_provider.ledger import KEPT_HEADERS, KeptRequest, Ledger, Record, describe_credential
from deploy.simulated_provider.reception import Reception
from deploy.simulated_provider.replies import Reply
from deploy.simulated_provider.scripted import InvalidScript, ScriptBook, ScriptedAnswer

HANG_LIMIT_S = 3600
_FLUSH_LIMIT_S = 2.0
_CREDENTIAL_HEADERS = ("x-api-key", "x-goog-api-key", "api-key", "authorization")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class SimulatedProvider:
    """Serves the protocols, the ledger and the scripts. now_ms: the clock, Unix milliseconds."""

    def __init__(self, ledger_file: Path | None = None, now_ms: Callable[[], int] = _now_ms) -> None:
        self.ledger = Ledger(ledger_file)
        self.scripts = ScriptBook()
        self._reception = Reception()
        self._now_ms = now_ms
        # Distinguishes the ids of one run from those of another that writes into the same ledger file.
        self._run = os.urandom(4).hex()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request, of a client or of a test that looks into the books."""
        path = request.path
        if path == "/healthz":
            return web.json_response({"status": "ok"})
        if path == "/ledger" or path.startswith("/ledger/"):
            return self._serve_ledger(request)
        if path == "/script":
            return await self._serve_script(request)
        return await self._serve_client(request)

    def _serve_ledger(self, request: web.BaseRequest) -> web.Response:
        steps = request.path.strip("/").split("/")
        if request.method == "DELETE" and len(steps) == 1:
            return _json({"cleared": self.ledger.clear()})
        if request.method != "GET":
            return _json({"error": "GET or DELETE"}, 405)
        if len(steps) == 1:
            filters = dict(request.query)
            try:
                found = list(self.ledger.find(filters))
                newest = found[-int(filters["limit"]) :] if "limit" in filters else found
            except ValueError as failure:
                return _json({"error": str(failure)}, 400)
            return _json({"requests": newest, "count": len(found)})
        if len(steps) == 3 and steps[2] == "request":
            kept = self.ledger.request(steps[1])
            return _json({"error": "not among the newest requests"}, 404) if kept is None else _json(kept.as_json())
        record = next(self.ledger.find({"id": steps[1]}), None)
        return _json({"error": "no such request"}, 404) if record is None else _json(record)

    async def _serve_script(self, request: web.BaseRequest) -> web.Response:
        if request.method == "DELETE":
            self.scripts.clear()
            return _json(self.scripts.as_json())
        if request.method == "POST":
            try:
                return _json({"waiting": self.scripts.add(orjson.loads(await request.read()))})
            except (InvalidScript, orjson.JSONDecodeError) as failure:
                return _json({"error": str(failure)}, 400)
        return _json(self.scripts.as_json())

    async def _serve_client(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        at_ms, sequence = self._now_ms(), self.ledger.next_sequence()
        identity = Identity(f"{self._run}{sequence:08x}", at_ms // 1000)
        credential, carrier = _credential(request)
        record = Record(
            sequence=sequence,
            id=f"req_{identity.name}",
            at_ms=at_ms,
            method=request.method,
            path=request.path,
            headers={name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
            credential=describe_credential(credential, carrier),
            body_sha256=hashlib.sha256(raw).hexdigest(),
            body_bytes=len(raw),
        )
        self.ledger.begin(record, KeptRequest(record.id, request.method, request.raw_path, request.raw_headers, raw))
        try:
            scripted = self.scripts.take(
                request.headers.get("x-sim-script"),
                credential,
                method=request.method,
                path=request.path,
                body_sha256=record.body_sha256,
            )
            if isinstance(scripted, ScriptedAnswer):
                return await self._play_script(request, record, scripted)
            if isinstance(scripted, str):
                record.status, record.fault = 500, "unexpected"
                return _json({"error": {"type": "unexpected_call", "message": scripted}}, 500)
            try:
                body = decode_body(raw, request.headers.get("content-encoding", ""))
            except UndecodableBody as failure:
                record.status = 400
                return _json({"error": {"type": "invalid_request_error", "message": str(failure)}}, 400)
            call = Call(
                method=request.method,
                path=request.path,
                query=request.query,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                credential=credential,
                identity=identity,
            )
            return await self._play(request, record, self._reception.answer(call))
        except (ConnectionError, asyncio.CancelledError):
            record.hung_up = True
            raise
        finally:
            self.ledger.end(record, self._now_ms())

    async def _play(self, request: web.BaseRequest, record: Record, reply: Reply) -> web.StreamResponse:
        record.protocol, record.kind, record.model = reply.protocol, reply.kind, reply.model
        record.streamed, record.fault = reply.streams, reply.fault
        if reply.wait_ms:
            await asyncio.sleep(reply.wait_ms / 1000)
        if reply.drops:
            await _reset(request)
            return web.Response()
        record.status, record.prompt = reply.status, reply.prompt
        response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
        if reply.length is not None:
            response.content_length = reply.length
        response.headers["server"] = "switchyard-simulated-provider"
        await response.prepare(request)
        for step in reply.steps:
            if not await _play_step(request, response, record, step):
                return response
        await response.write_eof()
        return response

    async def _play_script(
        self, request: web.BaseRequest, record: Record, answer: ScriptedAnswer
    ) -> web.StreamResponse:
        record.kind, record.status, record.fault = (
            "scripted",
            answer.status,
            answer.end if answer.end != "clean" else "",
        )
        response = web.StreamResponse(status=answer.status)
        for name, value in answer.headers:
            response.headers.add(name, value)
        await response.prepare(request)
        for chunk in answer.chunks:
            if chunk.delay_ms:
                await asyncio.sleep(chunk.delay_ms / 1000)
            await _play_step(request, response, record, Send(chunk.data, 0, 0))
        ends: dict[str, Step] = {"reset": Reset(), "close": Close(), "hang": Hang()}
        if answer.end in ends:
            await _play_step(request, response, record, ends[answer.end])
            return response
        await response.write_eof()
        record.completed = True
        return response

    def close(self) -> None:
        self.ledger.close()


async def _play_step(request: web.BaseRequest, response: web.StreamResponse, record: Record, step: Step) -> bool:
    """Play one step; False when the connection is gone after it."""
    match step:
        case Send():
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the client is gone")
            await response.write(step.data)
            record.output, record.reasoning = step.output, step.reasoning
            record.output_chunks += 1
            record.output_bytes += len(step.data)
            record.completed = step.ends
        case Pause():
            await asyncio.sleep(step.wait_ms / 1000)
        case Reset():
            await _reset(request)
            return False
        case Hang():
            await asyncio.sleep(HANG_LIMIT_S)
            return False
        case Close():
            if request.transport is not None:
                request.transport.close()
            return False
    return True


async def _reset(request: web.BaseRequest) -> None:
    """Break the connection with a TCP reset, once what was written before has left."""
    transport = request.transport
    if transport is None:
        return
    deadline = time.monotonic() + _FLUSH_LIMIT_S
    # A reset throws away what still waits in our buffers; the client is to see every chunk before it.
    while isinstance(transport, asyncio.WriteTransport) and transport.get_write_buffer_size():
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.002)
    own: Any = transport.get_extra_info("socket")
    if own is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _credential(request: web.BaseRequest) -> tuple[str, str]:
    """Return the credential a request brings and the header it came in."""
    for name in _CREDENTIAL_HEADERS:
        value = request.headers.get(name)
        if value:
            return value.removeprefix("Bearer ").strip(), name
    key = request.query.get("key", "")
    return key, "?key=" if key else ""


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


async def start_server(provider: SimulatedProvider, host: str, port: int) -> tuple[web.ServerRunner, int]:
    """Listen and return the runner and the port in use. port 0 chooses a free one. Raises OSError when it is taken."""
    server = web.Server(
        provider.handle,
        handler_cancellation=True,
        request_factory=_make_request,
        # The ledger keeps the exact bytes, so compressed bodies stay as they came.
        auto_decompress=False,
        access_log=None,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
        max_headers=512,
    )
    runner = web.ServerRunner(server, shutdown_timeout=2.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=1024)
    await site.start()
    return runner, int(runner.addresses[0][1])


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT_BYTES)
