"""The gateway port: every request comes through `Gateway.handle`."""

import contextlib
from collections.abc import Callable

import structlog
from aiohttp import web

from data_plane.exchange.admission import recognise
from data_plane.exchange.answering import refuse
from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.run import run
from data_plane.exchange.running import Running
from data_plane.exchange.stages import Arrival
from data_plane.ingress import probes
from data_plane.ingress.answer import AnswerStream
from data_plane.ingress.arrival import Chance, make_arrival, read_head, source_of
from data_plane.ingress.connection import CLOSED, Connection
from data_plane.ingress.listing import answer_listing
from data_plane.policy.access import outside_scope
from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import SWITCHYARD, Route, Unknown, route
from data_plane.settings import Settings
from switchyard_contract.reason import Reason
from switchyard_contract.routes import OPENAI_CHAT

_EXCHANGES = frozenset({"generate", "count_tokens", "embed", "compact"})
_LISTINGS = frozenset({"list_models", "one_model", "me"})


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
    ) -> None:
        self._ports, self._running, self._pulses, self._health = ports, running, pulses, health
        self._settings = settings
        self._chance = Chance()
        self.is_draining = False

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
        out = AnswerStream(request, head, self._settings.max_body_bytes, closes=self.is_draining)
        arrival = self._arrive(request, head, routed)
        try:
            if arrival.route.operation in _EXCHANGES and len(self._running) < self._settings.max_in_flight:
                await run(arrival, out, self._ports, self._running, self._pulses)
            else:
                await self._answer(routed, arrival, out)
        except ClientGone:
            # Nobody is left to be told; the exchange's entry is closed by then.
            return CLOSED
        except Exception:  # A process edge: the entry is closed as internal, the caller is told, the pod lives on.
            log.exception("an exchange broke", exchange=arrival.exchange_id, path=arrival.route.canonical_path)
            if out.has_begun:
                with contextlib.suppress(ClientGone):
                    await out.abort()
            else:
                await self._refuse(_BROKEN, arrival, out)
        return out.response

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
        answer = answer_listing(routed, policy, recognised.caller)
        if isinstance(answer, Refusal):
            await self._refuse(answer, arrival, out)
            return
        await out.whole(200, ((b"content-type", b"application/json"),), answer)

    async def _refuse(self, refusal: Refusal, arrival: Arrival, out: AnswerStream) -> None:
        await refuse(refusal, arrival, None, out, Entry(arrival, self._ports), self._ports)

    def _arrive(self, request: web.BaseRequest, head: RequestHead, routed: Route | Unknown) -> Arrival:
        match routed:
            case Unknown(protocol=protocol):
                known = Route(protocol, "unknown", None, "")
            case Route(protocol=protocol) if protocol == SWITCHYARD:
                known = Route(OPENAI_CHAT, routed.operation, None, routed.canonical_path)
            case _:
                known = routed
        source = source_of(request, head, self._settings.trusted_proxies)
        return make_arrival(known, head, source, self._chance, self._ports.clock_s)


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
