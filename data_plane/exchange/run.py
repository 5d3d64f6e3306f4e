"""One exchange, start to end: the six stages in order and the one try/finally. Read this first.

receive   ingress/arrival.py   aiohttp request to Arrival
admit     admission.py         who calls, what they ask, whether they may
plan      planning.py          what goes upstream, byte for byte
forward   forwarding.py        one try, up to the head of the answer
relay     relaying.py          bytes to the caller while a tap listens
settle    ledger.py            what it used and cost, written down exactly once
"""

from data_plane.exchange.admission import admit
from data_plane.exchange.answering import our_lines, refuse, refuse_charged
from data_plane.exchange.forwarding import forward
from data_plane.exchange.ledger import Entry
from data_plane.exchange.planning import make_plan
from data_plane.exchange.ports import ClientGone, ClientStream, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.relaying import relay
from data_plane.exchange.running import Running
from data_plane.exchange.stages import Arrival
from data_plane.policy.decision import Refusal
from switchyard_contract.reason import Reason


async def run(arrival: Arrival, out: ClientStream, ports: Ports, running: Running, pulses: Pulses) -> None:
    """Serve one request and account for it, whatever happens."""
    entry = Entry(arrival, ports)
    live = running.enter()
    try:
        admitted, client = await admit(arrival, out, ports, entry)
        if isinstance(admitted, Refusal):
            return await refuse(admitted, arrival, client, out, entry, ports)
        live.key_id, live.principal_id = admitted.caller.key_id, admitted.caller.principal_id
        if ports.is_revoked(admitted.caller.key_id):
            # Revoked while the body came or the rules were asked: nobody could find the exchange to end it.
            return await refuse(Refusal(Reason.KEY_REVOKED), arrival, client, out, entry, ports)
        plan = make_plan(admitted, ports)
        if isinstance(plan, Refusal):
            return await refuse(plan, arrival, client, out, entry, ports)
        entry.open_attempt(plan)
        if ports.limits.strict_spool:
            await ports.usage.synced(entry.admitted_sequence)
        answer = await forward(plan, ports.upstream, live)
        if isinstance(answer, Refusal):
            return await refuse(answer, arrival, client, out, entry, ports)
        ours = our_lines(arrival, entry, plan.way.lines, error_source="upstream" if answer.status >= 400 else "")
        transcript = await relay(answer, plan, ours, out, entry, ports, pulses, live)
        if isinstance(transcript, Refusal):
            return await refuse(transcript, arrival, client, out, entry, ports)
        if transcript.refusal is None:
            entry.settle(admitted, transcript)
        else:
            await refuse_charged(transcript.refusal, admitted, transcript, out, entry, ports)
    except ClientGone:
        entry.leave()
    finally:
        running.leave(live)
        if not entry.is_closed:
            entry.break_off()
