"""Relay: the answer's bytes to the caller, unchanged, while a tap listens for what they cost.

An answer that ends before its protocol's terminal event never ends cleanly for the caller: it gets the protocol's error
event and an aborted connection, because clients take a clean end for a complete answer and some then loop
(docs/protocols/refusals.md). A caller that leaves is still charged for what the provider produces, so the answer is read
on within limits.
"""

import asyncio

from data_plane.exchange.forwarding import refuse_for
from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, ClientStream, Headers, Ports
from data_plane.exchange.pulse import Pulse, Pulses
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
_PROGRESS_S = 2.0


async def relay(
    answer: UpstreamResponse, plan: Plan, ours: Headers, out: ClientStream, entry: Entry, ports: Ports, pulses: Pulses, live: Live
) -> Transcript | Refusal:
    """Hand the answer on. A Refusal comes back only while nothing has been sent to the caller."""
    event = entry.event
    event.upstream_status = answer.status
    event.first_byte_us = entry.elapsed_us()
    facts = plan.admission.facts
    is_stream = _is_event_stream(answer) and answer.status < 400
    tap = plan.admission.codec.tap(facts, streamed=is_stream)
    tap.note_head(answer.status, answer.headers)
    if answer.status == 401 and not plan.destination.passthrough_caller:
        answer.abort()
        return Refusal(
            Reason.UPSTREAM_FAILED,
            f"Provider {plan.destination.provider_name} refused the gateway's credential. "
            "An administrator has to renew it in the console.",
        )
    headers = client_headers(answer.headers) + ours
    try:
        if is_stream:
            return await _relay_stream(answer, plan, headers, out, entry, ports, pulses, live, tap)
        return await _relay_whole(answer, plan, headers, out, entry, ports, live, tap)
    finally:
        answer.release()


async def _relay_whole(
    answer: UpstreamResponse, plan: Plan, headers: Headers, out: ClientStream, entry: Entry, ports: Ports, live: Live, tap: Tap
) -> Transcript | Refusal:
    """An answer in one piece: collected up to a size, so that a cut one can still become a plain error."""
    collected: list[bytes] = []
    size = 0
    started = client_left = False
    try:
        while (chunk := await answer.chunk()) is not None:
            if not size:
                entry.event.first_token_us = entry.elapsed_us()
            size += len(chunk)
            tap.feed(chunk)
            collected.append(chunk)
            if size > _WHOLE_BYTES and not client_left:
                try:
                    if not started:
                        started = True
                        entry.client_status = answer.status
                        await out.start(answer.status, headers, answer.content_length)
                    for part in collected:
                        await out.write(part)
                except ClientGone:
                    client_left = True
                entry.bytes_out += sum(map(len, collected))
                collected.clear()
    except UpstreamError as failure:
        if started:
            await _abort(out)
            return Transcript(tap.counted(len(plan.admission.body)), client_left, was_cut=True)
        truncated = refuse_for(failure, plan.destination.provider_name)
        return Refusal(Reason.UPSTREAM_TRUNCATED, truncated.message, truncated.retry_after_s)
    except asyncio.CancelledError:
        cut = live.take_cut()
        if cut is None:
            raise
        answer.abort()
        if not started:
            return cut
        await _abort(out)
        return Transcript(tap.counted(len(plan.admission.body)), client_left, was_cut=True)
    entry.chunks = 1
    try:
        if started:
            for part in collected:
                await out.write(part)
                entry.bytes_out += len(part)
            await out.end()
        elif not client_left:
            body = collected[0] if len(collected) == 1 else b"".join(collected)
            entry.client_status = answer.status
            entry.bytes_out = len(body)
            await out.whole(answer.status, headers, body)
    except ClientGone:
        client_left = True
    return Transcript(tap.finish(), client_left, was_cut=False)


async def _relay_stream(
    answer: UpstreamResponse,
    plan: Plan,
    headers: Headers,
    out: ClientStream,
    entry: Entry,
    ports: Ports,
    pulses: Pulses,
    live: Live,
    tap: Tap,
) -> Transcript | Refusal:
    """An event stream: chunk by chunk, as it comes."""
    body_bytes = len(plan.admission.body)
    refusal: Refusal | None = None
    client_left = False
    pulse = pulses.watch(out, tap, plan.admission.codec.keep_alive)
    entry.client_status = answer.status
    try:
        await out.start(answer.status, headers, None)
        client_left = await _pump(answer, plan, out, entry, ports, pulse, tap)
        if client_left:
            pulses.forget(pulse)
            await _drain(answer, ports, tap)
    except ClientGone:
        client_left = True
        pulses.forget(pulse)
        refusal = await _drain_quietly(answer, plan, ports, tap)
    except UpstreamError as failure:
        upstream = refuse_for(failure, plan.destination.provider_name)
        refusal = Refusal(Reason.UPSTREAM_TRUNCATED, upstream.message.replace("could not be reached", "broke off"))
    except asyncio.CancelledError:
        refusal = live.take_cut()
        if refusal is None:
            raise
        answer.abort()
    finally:
        pulses.forget(pulse)
    if refusal is None and not tap.has_ended and not client_left:
        refusal = Refusal(
            Reason.UPSTREAM_TRUNCATED,
            f"Provider {plan.destination.provider_name} ended its answer before it was complete.",
        )
    if refusal is not None:
        entry.event.reason = refusal.reason.code
        if not client_left:
            await _fail(out, plan, refusal, entry)
        return Transcript(tap.counted(body_bytes), client_left, was_cut=True)
    if not client_left:
        try:
            await out.end()
        except ClientGone:
            client_left = True
    was_cut = not tap.has_ended
    return Transcript(tap.counted(body_bytes) if was_cut else tap.finish(), client_left, was_cut)


async def _pump(
    answer: UpstreamResponse, plan: Plan, out: ClientStream, entry: Entry, ports: Ports, pulse: Pulse, tap: Tap
) -> bool:
    """Move chunks until the upstream ends. True: the caller left on the way."""
    clock_s, chunk_of, feed, write = ports.clock_s, answer.chunk, tap.feed, out.write
    next_progress_s = clock_s() + _PROGRESS_S
    answer_bytes = 0
    saw_content = False
    while (chunk := await chunk_of()) is not None:
        passed = feed(chunk)
        answer_bytes += len(chunk)
        entry.chunks += 1
        if passed:
            pulse.is_writing = True
            try:
                await write(passed)
            except ClientGone:
                return True
            pulse.is_writing = False
            entry.bytes_out += len(passed)
        pulse.last_s = now_s = clock_s()
        if not saw_content and tap.has_content:
            saw_content = True
            entry.event.first_token_us = entry.elapsed_us()
        if now_s >= next_progress_s:
            next_progress_s = now_s + _PROGRESS_S
            entry.note_progress(plan.admission, answer_bytes)
    return False


async def _drain(answer: UpstreamResponse, ports: Ports, tap: Tap) -> None:
    """Read on without a caller until the end or the limit; what the provider produced is billed by it, so by us."""
    if tap.has_ended:
        return
    if not ports.may_drain():
        answer.abort()
        return
    try:
        async with asyncio.timeout(ports.limits.client_gone_s):
            while (chunk := await answer.chunk()) is not None:
                tap.feed(chunk)
    except TimeoutError:
        answer.abort()


async def _drain_quietly(answer: UpstreamResponse, plan: Plan, ports: Ports, tap: Tap) -> Refusal | None:
    try:
        await _drain(answer, ports, tap)
    except UpstreamError as failure:
        return refuse_for(failure, plan.destination.provider_name)
    return None


async def _fail(out: ClientStream, plan: Plan, refusal: Refusal, entry: Entry) -> None:
    """End a started stream as its protocol says an error, then without a clean end."""
    try:
        last = plan.admission.codec.stream_failure(refusal, plan.admission.arrival.exchange_id)
        await out.write(last)
        entry.bytes_out += len(last)
    except ClientGone:
        return
    await _abort(out)


async def _abort(out: ClientStream) -> None:
    try:
        await out.abort()
    except ClientGone:
        return


def _is_event_stream(answer: UpstreamResponse) -> bool:
    for name, value in answer.headers:
        if name.lower() == b"content-type":
            return value.startswith(b"text/event-stream")
    return False
