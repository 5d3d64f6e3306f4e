"""Relay: the answer's bytes to the caller, unchanged, while a tap listens for what they cost.

An answer that ends before its protocol's terminal event never ends cleanly for the caller: it gets the protocol's error
event and an aborted connection, because clients take a clean end for a complete answer and some then loop
(docs/protocols/refusals.md). A caller that leaves is still charged for what the provider produces, so the answer is
read on within limits.
"""

import asyncio
from collections.abc import Awaitable, Mapping

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import Scale
from data_plane.exchange.flow import Course, Flow
from data_plane.exchange.growing import Growth
from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, ClientStream, Headers, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.running import Live
from data_plane.exchange.stages import Plan, Transcript
from data_plane.policy.decision import Refusal
from data_plane.protocols.codec import Tap
from data_plane.protocols.headers import client_headers
from data_plane.upstream.connections import UpstreamResponse
from data_plane.upstream.failure import UpstreamError
from switchyard_contract.reason import Reason

_WHOLE_BYTES = 1024 * 1024
"""An answer that is no stream is sent in one piece up to this size."""


class Relay(msgspec.Struct, frozen=True):
    """One answer on its way: where from, where to, who listens."""

    answer: UpstreamResponse
    plan: Plan
    headers: Headers
    ours: bytes
    """Our own headers, written out."""
    out: ClientStream
    entry: Entry
    ports: Ports
    live: Live
    tap: Tap

    @property
    def request_bytes(self) -> int:
        return len(self.plan.admission.body)

    def limit_reading(self) -> None:
        """The caller has left. A provider that says nothing more would keep the exchange open until its own limit."""
        if self.live.drain():
            asyncio.get_running_loop().call_later(self.ports.limits.client_gone_s, self.answer.abort)
        else:
            self.answer.abort()

    def replaced_by(self, refusal: Refusal) -> Transcript | Refusal:
        """Nothing was sent yet, so the caller gets a plain no; what a provider had begun to answer is charged all the
        same."""
        if self.answer.status >= 400:
            return refusal
        return Transcript(self.counted(), client_left=False, was_cut=True, refusal=refusal)

    def cut(self, *, client_left: bool) -> Transcript:
        return Transcript(self.counted(), client_left, was_cut=True)

    def counted(self) -> Tally:
        """The answer as far as it is, by what was told and else by our own count. An error's answer costs nothing."""
        if self.answer.status >= 400:
            return Tally()
        return self.tap.counted(self.request_bytes, self.scale())

    def finished(self) -> Tally:
        """The whole answer; one whose usage nobody told is counted."""
        tally = self.tap.finish()
        if tally.is_reported or not tally.tokens.total:
            return tally
        return self.tap.counted(self.request_bytes, self.scale())

    def scale(self) -> Scale:
        """What stands in for numbers that the provider does not tell."""
        admission, destination, ports = self.plan.admission, self.plan.destination, self.ports
        last = ports.sessions.last(
            destination.organization_id,
            admission.client.session_id,
            destination.provider_id,
            destination.model,
            ports.now_ms(),
        )
        place = (destination.provider_id, destination.model)
        return ports.yardsticks.scale(place, self.request_bytes, last, self.answer.bytes_expected or 0)

    def learn(self, tally: Tally) -> None:
        """Compare our own count with the provider's, now and then."""
        destination = self.plan.destination
        place = (destination.provider_id, destination.model)
        if tally.is_reported and self.ports.yardsticks.wants(place):
            self.ports.yardsticks.note(place, self.request_bytes, tally.tokens, self.tap.own_count())


async def relay(
    answer: UpstreamResponse,
    plan: Plan,
    ours: bytes,
    out: ClientStream,
    entry: Entry,
    ports: Ports,
    pulses: Pulses,
    live: Live,
) -> Transcript | Refusal:
    """Hand the answer on. A Refusal comes back only while nothing has been sent to the caller."""
    try:
        headers = client_headers(answer.headers)
        told = dict(headers)
        _note_head(answer, told, entry)
        admission = plan.admission
        if answer.status == 401 and not plan.destination.passthrough_caller:
            # Never the provider's own 401: the tool would take it for a verdict on its key and sign in again.
            return Refusal(
                Reason.UPSTREAM_FAILED,
                f"Provider {plan.destination.provider_name} refused the gateway's credential. "
                "An administrator has to renew it in the console.",
            )
        is_stream = answer.status < 400 and told.get(b"content-type", b"").startswith(b"text/event-stream")
        tap = admission.codec.tap(admission.facts, streamed=is_stream)
        if not is_stream and answer.is_ended and answer.received_bytes <= _WHOLE_BYTES:
            return await _relay_at_once(answer, headers, ours, out, entry, tap)
        way = Relay(answer, plan, headers, ours, out, entry, ports, live, tap)
        try:
            return await _relay_stream(way, pulses) if is_stream else await _relay_whole(way)
        finally:
            out.when_gone(None)
    finally:
        if not answer.is_ended:
            # It must not go back to the pool.
            answer.abort()


async def _relay_at_once(
    answer: UpstreamResponse, headers: Headers, ours: bytes, out: ClientStream, entry: Entry, tap: Tap
) -> Transcript:
    """An answer that is all here already, as most short ones are: there is nothing to wait for, and nothing to cut."""
    body = answer.chunk_nowait() or b""
    if body:
        entry.first_token_us = entry.first_byte_us
        body = tap.feed(body) + tap.rest()
    entry.chunks = 1
    entry.client_status = answer.status
    entry.bytes_out = len(body)
    client_left = False
    try:
        await out.whole(answer.status, headers, body, ours)
    except ClientGone:
        client_left = True
    return Transcript(tap.finish(), client_left, was_cut=False)


async def _relay_whole(way: Relay) -> Transcript | Refusal:
    """An answer in one piece that is still on its way: collected up to a size, so that a cut one can still become a
    plain error."""
    answer, out, entry, tap = way.answer, way.out, way.entry, way.tap
    collected: list[bytes] = []
    size = 0
    started = client_left = False
    out.when_gone(way.limit_reading)
    try:
        while (chunk := await answer.chunk()) is not None:
            if not size:
                entry.first_token_us = entry.elapsed_us()
            size += len(chunk)
            passed = tap.feed(chunk)
            if client_left:
                continue
            collected.append(passed)
            if size <= _WHOLE_BYTES:
                continue
            try:
                if not started:
                    started = True
                    entry.client_status = answer.status
                    await out.start(answer.status, way.headers, answer.bytes_expected, way.ours)
                await _taken(out, _write_all(out, collected, entry), way.ports)
            except ClientGone:
                client_left = True
    except UpstreamError as failure:
        if started or out.is_gone:
            client_left = client_left or out.is_gone
            await _abort(out)
            return way.cut(client_left=client_left)
        broken = Refusal(
            Reason.UPSTREAM_TRUNCATED,
            f"Provider {way.plan.destination.provider_name} broke off in the middle of its answer ({failure}).",
        )
        return way.replaced_by(broken)
    except asyncio.CancelledError:
        refusal = way.live.take_cut()
        if refusal is None:
            raise
        if not started:
            return way.replaced_by(refusal)
        await _abort(out)
        return way.cut(client_left=client_left)
    collected.append(tap.rest())
    entry.chunks = 1
    try:
        if started and not client_left:
            await _taken(out, _write_all(out, collected, entry), way.ports)
            await out.end()
        elif not started:
            body = collected[0] if len(collected) == 2 and not collected[1] else b"".join(collected)
            entry.client_status = answer.status
            entry.bytes_out = len(body)
            await _taken(out, out.whole(answer.status, way.headers, body, way.ours), way.ports)
    except ClientGone:
        client_left = True
    return Transcript(way.finished(), client_left, was_cut=False)


async def _relay_stream(way: Relay, pulses: Pulses) -> Transcript:
    """An event stream: chunk by chunk, as it comes."""
    answer, out, entry, tap = way.answer, way.out, way.entry, way.tap
    provider_name = way.plan.destination.provider_name
    refusal: Refusal | None = None
    client_left = False
    pulse = pulses.watch(out, tap, way.plan.admission.codec.keep_alive)
    growth = _growth_of(way)
    flow = Flow(Course(answer, way.plan.admission, out, entry, way.ports, tap, way.counted, growth), pulse)
    entry.client_status = answer.status
    try:
        try:
            await out.start(answer.status, way.headers, None, way.ours)
            out.when_gone(flow.lose_caller)
            flow.begin()
            await _keep_flowing(flow, way)
        except ClientGone:
            client_left = True
            pulses.forget(pulse)
            await _read_on(flow, way)
        if not tap.has_ended:
            refusal = Refusal(
                Reason.UPSTREAM_TRUNCATED, f"Provider {provider_name} ended its answer before it was complete."
            )
    except UpstreamError as failure:
        if not tap.has_ended:
            refusal = Refusal(
                Reason.UPSTREAM_TRUNCATED,
                f"Provider {provider_name} broke off in the middle of its answer ({failure}).",
            )
    except asyncio.CancelledError:
        refusal = way.live.take_cut()
        if refusal is None:
            raise
    finally:
        pulses.forget(pulse)
        if growth is not None:
            growth.end()
    if refusal is not None:
        # Nothing more may come between the error event and the end.
        answer.abort()
        if not client_left:
            entry.note_refusal(refusal)
            await _fail(way, refusal)
        return way.cut(client_left=client_left)
    if not client_left:
        try:
            if rest := tap.rest():
                await _write_all(out, [rest], entry)
            await out.end()
        except ClientGone:
            client_left = True
    tally = way.finished()
    way.learn(tally)
    return Transcript(tally, client_left, was_cut=False)


def _growth_of(way: Relay) -> Growth | None:
    grant, quote = way.entry.grant, way.plan.admission.grows
    if grant is None or quote is None:
        return None
    return Growth(grant, quote, way.counted, way.ports.counters, way.live)


async def _keep_flowing(flow: Flow, way: Relay) -> None:
    """Return at the end of the answer; meanwhile hold the provider back whenever the caller is slow."""
    while not await flow.happened():
        await _taken(way.out, way.out.drained(), way.ports)
        flow.go_on()


async def _read_on(flow: Flow, way: Relay) -> None:
    """Read without a caller until the end or the limit; what the provider produced is billed by it, so by us."""
    if way.tap.has_ended or not way.live.drain():
        return
    flow.forget_caller()
    flow.begin()
    try:
        async with asyncio.timeout(way.ports.limits.client_gone_s):
            await flow.happened()
    except TimeoutError:
        return


async def _fail(way: Relay, refusal: Refusal) -> None:
    """End a started stream with its protocol's error event, then without a clean end: most clients would take what came
    for an answer, or ask again for ever."""
    codec = way.plan.admission.codec
    try:
        last = codec.stream_failure(refusal, way.plan.admission.arrival.exchange_id)
        await _write_all(way.out, [last], way.entry)
        if codec.has_failed_end and not refusal.reason.waiting_helps:
            await way.out.end()
            return
    except ClientGone:
        return
    await _abort(way.out)


async def _taken(out: ClientStream, sending: Awaitable[None], ports: Ports) -> None:
    """Wait for a caller to take what it is sent. One that takes nothing has left, and holds up nobody any longer."""
    try:
        async with asyncio.timeout(ports.limits.caller_stalls_s):
            await sending
    except TimeoutError as failure:
        await _abort(out)
        raise ClientGone from failure


async def _write_all(out: ClientStream, parts: list[bytes], entry: Entry) -> None:
    for part in parts:
        if part:
            await out.write(part)
            entry.bytes_out += len(part)
    parts.clear()


async def _abort(out: ClientStream) -> None:
    try:
        await out.abort()
    except ClientGone:
        return


def _note_head(answer: UpstreamResponse, told: Mapping[bytes, bytes], entry: Entry) -> None:
    entry.upstream_status = answer.status
    entry.first_byte_us = entry.elapsed_us()
    request_id = told.get(b"request-id") or told.get(b"x-request-id")
    if request_id is not None:
        entry.upstream_request_id = request_id[:100].decode("latin-1")
