"""The gateway port: every request comes through `Gateway.handle`."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import structlog
from aiohttp import web

from data_plane.exchange.admission import recognise
from data_plane.exchange.answering import refuse
from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.regulars import sight_of
from data_plane.exchange.run import run
from data_plane.exchange.running import Running
from data_plane.exchange.stages import Arrival
from data_plane.ingress import probes
from data_plane.ingress.answer import AnswerStream
from data_plane.ingress.arrival import Chance, make_arrival, read_head, source_of
from data_plane.ingress.caller_page import CallerPage
from data_plane.ingress.connection import CLOSED, KEPT, Connection, Listener
from data_plane.ingress.front import Front, Soon
from data_plane.ingress.listing import answer_listing
from data_plane.ingress.plain_head import EXCHANGES, PlainHead
from data_plane.ingress.wire import RequestWire
from data_plane.policy.access import outside_scope
from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import SWITCHYARD, Route, Unknown, route
from data_plane.settings import Settings
from switchyard_contract.reason import Reason
from switchyard_contract.routes import OPENAI_CHAT

_LARGE_BYTES = 256 * 1024
_LISTINGS = frozenset({"list_models", "one_model", "me"})
_JSON_HEADERS = ((b"content-type", b"application/json"),)


log = structlog.get_logger()


class Gateway:
    """Routes requests to the exchange, to a listing, to a probe, or to an answer that says the right path."""

    def __init__(
        self,
        ports: Ports,
        running: Running,
        pulses: Pulses,
        health: Callable[[], probes.Health],
        settings: Settings,
        caller_page: CallerPage,
        soon: Soon | None = None,
    ) -> None:
        """soon: when short answers are sent; without it, at once."""
        self._caller_page = caller_page
        self._ports, self._running, self._pulses, self._health = ports, running, pulses, health
        self._settings, self._soon = settings, soon
        self._chance = Chance()
        self._large_bytes = 0
        """Of the large bodies that are held now, as their callers announced them."""
        self.is_draining = False

    def make_front(self, listener: Listener) -> Front:
        """The front of a new connection, for plain requests; `handle` gets what it hands over."""
        return Front(
            listener,
            self._serve_plain,
            asyncio.get_running_loop(),
            max_body_bytes=self._settings.max_body_bytes,
            soon=self._soon,
        )

    async def _serve_plain(self, plain: PlainHead, front: Front) -> bool:
        out = AnswerStream(front, plain.head.method, self._settings.max_body_bytes, closes=self.is_draining)
        if front.body_bytes <= _LARGE_BYTES:
            await self._serve(plain.route, plain.head, plain.sight, front.remote, out, has_room=True)
            return out.is_kept
        with self._room_for(front.body_bytes) as has_room:
            await self._serve(plain.route, plain.head, plain.sight, front.remote, out, has_room=has_room)
        return out.is_kept

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; aiohttp sends what is returned."""
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.head_began_s = 0.0
        head = read_head(request)
        if head.path in probes.PATHS:
            return probes.answer_probe(head.path, self._health())
        routed = route(head.method, head.path, head.headers, head.query)
        if isinstance(routed, Route) and routed.operation == "hello":
            return web.Response(status=200)
        wire = RequestWire(request, head)
        out = AnswerStream(wire, head.method, self._settings.max_body_bytes, closes=self.is_draining)
        # A body of unknown length may grow to the limit.
        announced = request.content_length if request.content_length is not None else self._settings.max_body_bytes
        with self._room_for(announced if request.body_exists else 0) as has_room:
            await self._serve(routed, head, sight_of(head), request.remote or "", out, has_room=has_room)
        return KEPT if out.is_kept else CLOSED

    @contextlib.contextmanager
    def _room_for(self, announced_bytes: int) -> Iterator[bool]:
        """Hold room for a body while its exchange runs; gives whether there was any. Small ones are not counted:
        their number is bounded."""
        held = announced_bytes if announced_bytes > _LARGE_BYTES else 0
        if held and self._large_bytes + held > self._settings.max_bodies_bytes:
            yield False
            return
        self._large_bytes += held
        try:
            yield True
        finally:
            self._large_bytes -= held

    async def _serve(
        self,
        routed: Route | Unknown,
        head: RequestHead,
        sight: bytes | None,
        remote: str,
        out: AnswerStream,
        *,
        has_room: bool,
    ) -> None:
        """Answer, whatever happens. sight: what the caller is known again by; remote: the peer's address; has_room:
        for this request's body."""
        source = source_of(remote, head, self._settings.trusted_proxies)
        arrival = make_arrival(_known(routed), head, sight, source, self._chance, self._ports.clock_s)
        try:
            if arrival.route.operation in EXCHANGES and has_room and len(self._running) < self._settings.max_in_flight:
                await run(arrival, out, self._ports, self._running, self._pulses)
            else:
                await self._answer(routed, arrival, out)
        except ClientGone:
            # Nobody is left to be told; the exchange's entry is closed by then.
            return
        except Exception:  # A process edge: the entry is closed as internal, the caller is told, the pod lives on.
            log.exception("an exchange broke", exchange=arrival.exchange_id, path=arrival.route.canonical_path)
            with contextlib.suppress(ClientGone):
                if out.has_begun:
                    await out.abort()
                else:
                    await self._refuse(_BROKEN, arrival, out)

    async def _answer(self, routed: Route | Unknown, arrival: Arrival, out: AnswerStream) -> None:
        match routed:
            case Unknown(right_path=right_path):
                await self._refuse(_unknown_path(arrival.head, right_path), arrival, out)
            case Route(operation="websocket") if _wants_websocket(arrival.head):
                # 426 is the one status after which Codex goes on over HTTP at once.
                await out.whole(426, ((b"upgrade", b"HTTP/1.1"), (b"content-type", b"application/json")), _NO_WEBSOCKET)
            case Route(operation="websocket"):
                await self._refuse(_unknown_path(arrival.head, "POST /v1/responses"), arrival, out)
            case Route(operation=operation) if operation in _LISTINGS:
                await self._list(routed, arrival, out)
            case _:
                busy = Refusal(Reason.CONCURRENCY_LIMITED, "This gateway is at its limit. Try again.", retry_after_s=1)
                await self._refuse(busy, arrival, out)

    async def _list(self, routed: Route, arrival: Arrival, out: AnswerStream) -> None:
        policy = self._ports.policy()
        recognised = recognise(arrival, policy, self._ports)
        if isinstance(recognised, Refusal):
            await self._refuse(recognised, arrival, out)
            return
        outside = outside_scope(recognised.caller, None, arrival.source)
        if outside is not None:
            await self._refuse(outside, arrival, out)
            return
        if routed.operation == "me":
            page = await self._caller_page.write(policy, recognised.caller, arrival.head, self._ports.now_ms())
            await out.whole(200, _JSON_HEADERS, page)
            return
        answer = answer_listing(routed, policy, recognised.caller)
        if isinstance(answer, Refusal):
            await self._refuse(answer, arrival, out)
            return
        await out.whole(200, _JSON_HEADERS, answer)

    async def _refuse(self, refusal: Refusal, arrival: Arrival, out: AnswerStream) -> None:
        await refuse(refusal, arrival, None, out, Entry(arrival, self._ports), self._ports)


_BROKEN = Refusal(
    Reason.UPSTREAM_FAILED, "Something broke inside this gateway; its log knows more under this request id."
)
_NO_WEBSOCKET = (
    b'{"error":{"message":"This gateway does not speak websockets; send POST /v1/responses instead.",'
    b'"type":"invalid_request_error","param":null,"code":"upgrade_not_supported"}}'
)


def _unknown_path(head: RequestHead, right_path: str) -> Refusal:
    return Refusal(
        Reason.NO_TARGET, f"There is no {head.method} {head.path[:200]} here. You probably meant {right_path}."
    )


def _wants_websocket(head: RequestHead) -> bool:
    upgrade = head.first(b"upgrade")
    return upgrade is not None and upgrade.lower() == b"websocket"


def _known(routed: Route | Unknown) -> Route:
    """The route to answer under: what is unknown or the gateway's own is answered in some protocol's words."""
    match routed:
        case Unknown(protocol=protocol):
            return Route(protocol, "unknown", None, "")
        case Route(protocol=protocol) if protocol == SWITCHYARD:
            return Route(OPENAI_CHAT, routed.operation, None, routed.canonical_path)
        case _:
            return routed
