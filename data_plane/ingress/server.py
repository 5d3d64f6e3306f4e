"""The gateway port: every request comes through `Gateway.handle`."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

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
from data_plane.ingress.front_page import answer_front_page
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

    def _serve_plain(self, plain: PlainHead, front: Front) -> Awaitable[bool]:
        out = AnswerStream(front, plain.head.method, self._settings.max_body_bytes, closes=self.is_draining)
        return self._serve(plain.route, plain.head, plain.sight, front.remote, out, front.body_bytes)

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
            if head.path == "/" and head.method == "GET":
                return answer_front_page(self._ports.policy(), head.first(b"accept"))
            return web.Response(status=200)
        wire = RequestWire(request, head)
        out = AnswerStream(wire, head.method, self._settings.max_body_bytes, closes=self.is_draining)
        # A body of unknown length may grow to the limit.
        announced = request.content_length if request.content_length is not None else self._settings.max_body_bytes
        announced = announced if request.body_exists else 0
        is_kept = await self._serve(routed, head, sight_of(head), request.remote or "", out, announced)
        return KEPT if is_kept else CLOSED

    async def _serve(
        self,
        routed: Route | Unknown,
        head: RequestHead,
        sight: bytes | None,
        remote: str,
        out: AnswerStream,
        announced_bytes: int,
    ) -> bool:
        """Answer, whatever happens, and say whether the connection is good for another request.

        sight: what the caller is known again by; remote: the peer's address; announced_bytes: of the body. Room for it
        is held while the exchange runs; small ones are not counted, since their number is bounded.
        """
        settings = self._settings
        source = source_of(remote, head, settings.trusted_proxies)
        arrival = make_arrival(_known(routed), head, sight, source, self._chance, self._ports.clock_s)
        held = announced_bytes if announced_bytes > _LARGE_BYTES else 0
        has_room = self._large_bytes + held <= settings.max_bodies_bytes or not held
        held = held if has_room else 0
        self._large_bytes += held
        try:
            if arrival.route.operation in EXCHANGES and has_room and len(self._running) < settings.max_in_flight:
                await run(arrival, out, self._ports, self._running, self._pulses)
            else:
                await self._answer(routed, arrival, out)
        except ClientGone:
            # Nobody is left to be told; the exchange's entry is closed by then.
            return False
        except Exception:  # A process edge: the entry is closed as internal, the caller is told, the pod lives on.
            log.exception("an exchange broke", exchange=arrival.exchange_id, path=arrival.route.canonical_path)
            with contextlib.suppress(ClientGone):
                if out.has_begun:
                    await out.abort()
                else:
                    await self._refuse(_BROKEN, arrival, out)
        finally:
            self._large_bytes -= held
        return out.is_kept

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
