"""The account of one exchange: opened once, closed once, with one event per attempt.

`run.py` breaks off what nobody closed: forgetting to account for a request shows as *internal*. An event is written
straight as bytes, in parts (`usage/event_bytes.py`).
"""

from collections.abc import Mapping

import structlog

from data_plane.conversation.tally import Tally
from data_plane.conversation.token_estimate import estimate_prompt
from data_plane.exchange.event_parts import (
    billed_besides_part,
    rarely_told_part,
    turn_facts_part,
    write_page_of_unopened,
)
from data_plane.exchange.ports import Ports
from data_plane.exchange.session_memory import turn_of
from data_plane.exchange.settlement import price_estimate, price_tally
from data_plane.exchange.stages import Admission, Arrival, Plan, Transcript, Way
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.grant import NOTHING_SPENT, Grant, Spent
from data_plane.policy.snapshot import OrganizationPolicy, PolicySnapshot
from data_plane.protocols.codec import NO_TAGS, Client
from data_plane.protocols.refusal_text import sentence_of
from data_plane.usage.event_bytes import (
    answer_part,
    answered_part,
    bill_part,
    closing_part,
    opening_part,
    plain_bill_part,
    saved_part,
)
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger()


class Entry:
    """One exchange's line in the books. Fields are filled as they become known; `settle` or `refuse` closes it."""

    __slots__ = (
        "_arrival",
        "_bill",
        "_caller",
        "_client",
        "_decided",
        "_gateway_us",
        "_grant",
        "_input_fresh",
        "_is_closed",
        "_model",
        "_opening",
        "_policy",
        "_ports",
        "_rules",
        "_said",
        "_spent",
        "_tags",
        "_told",
        "_turn",
        "_way",
        "admitted_sequence",
        "attempt",
        "bytes_out",
        "chunks",
        "client_status",
        "first_byte_us",
        "first_token_us",
        "lines",
        "reason",
        "upstream_request_id",
        "upstream_status",
    )

    _said: str
    """What the caller was told in place of an answer or of its rest; there once there is a `reason`, and not before."""

    def __init__(self, arrival: Arrival, ports: Ports) -> None:
        self._arrival = arrival
        self._ports = ports
        self._caller: Caller | None = None
        self._policy: PolicySnapshot | None = None
        self._client: Client | None = None
        self._model = ""
        self._tags = NO_TAGS
        self._turn: Admission | None = None
        """A turn of a conversation that can be followed: its facts are read when the entry is closed."""
        self._way: Way | None = None
        """Where the attempt goes; None: none was opened."""
        self._opening = self._bill = self._told = b""
        """Parts of the event: from the attempt's beginning, what it costs as far as known, what the answer said."""
        self._decided = self._rules = b""
        """More parts: what was decided about it, and by which rules."""
        self._grant: Grant | None = None
        """What the counters hold for the attempt; settled when the entry is closed."""
        self._spent = NOTHING_SPENT
        """What it would be settled with now."""
        self._input_fresh = self._gateway_us = 0
        self._is_closed = False
        self.attempt = 0
        self.admitted_sequence = 0
        self.bytes_out = 0
        self.chunks = 0
        self.client_status = 0
        self.upstream_status = 0
        self.upstream_request_id = ""
        self.first_byte_us = 0
        self.first_token_us = 0
        self.lines = ""
        """What the answer's head says of budgets."""
        self.reason = ""
        """Code of the refusal that the caller was told, or that ended its answer."""

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def grant(self) -> Grant | None:
        """What the counters hold for the attempt."""
        return self._grant

    @property
    def was_admitted(self) -> bool:
        """A request may have gone upstream."""
        return self._way is not None

    @property
    def provider_name(self) -> str:
        return self._way.destination.provider_name if self._way is not None else ""

    @property
    def model(self) -> str:
        """As the provider is asked for it."""
        return self._way.destination.model if self._way is not None else ""

    @property
    def organization_policy(self) -> OrganizationPolicy | None:
        """The policy that is followed; None while nobody knows whose."""
        if self._caller is None or self._policy is None:
            return None
        organization = self._policy.organizations.get(self._caller.organization_id)
        return organization.policy if organization is not None else None

    @property
    def policy_version(self) -> tuple[int, int]:
        """Epoch and version of the policy that was followed; zeros while nobody knows whose."""
        if self._caller is None or self._policy is None:
            return 0, 0
        return self._policy.policy_version(self._caller.organization_id)

    def elapsed_us(self) -> int:
        return int((self._ports.clock_s() - self._arrival.started_s) * 1_000_000)

    def know_caller(self, caller: Caller, policy: PolicySnapshot) -> None:
        """Keep in mind who is charged, as it is at this moment."""
        self._caller, self._policy = caller, policy

    def know_request(self, client: Client, model: str, tags: Mapping[str, str]) -> None:
        """Keep in mind what was asked, and by which tool."""
        self._client, self._model, self._tags = client, model, tags

    def note_rules(self, rules: bytes, decided: bytes = b"") -> None:
        """Keep in mind which rules were looked at, and what they came to: parts of the event."""
        self._rules, self._decided = rules, decided

    def take(self, grant: Grant, decided: bytes, rules: bytes, lines: str) -> None:
        """From here on the counters hold something for this attempt, until the entry is closed.

        decided, rules: parts of the event: what was decided, and by which rules. lines: what the answer's head says.
        """
        self._grant, self._decided, self._rules, self.lines = grant, decided, rules, lines

    def add(self, decided: bytes, lines: str) -> None:
        """Add to what is written down and told of a decision."""
        self._decided += decided
        self.lines += lines

    def open_attempt(self, plan: Plan) -> None:
        """Write *admitted* to the spool: from here on the attempt is in the books whatever happens."""
        admission, way = plan.admission, plan.way
        request_bytes = len(admission.body)
        self.attempt += 1
        self._gateway_us = self.elapsed_us()
        self._opening = opening = self._open(admission.client, request_bytes)
        if admission.facts.operation == "generate":
            # What a spool that outlives this process would bill: the prompt by its size, at today's price.
            self._input_fresh = estimate_prompt(request_bytes)
            self._bill = self._estimate(admission)
        if admission.facts.has_tools or (admission.client.session_id and not admission.client.is_derived):
            self._turn = admission
        # The rules stand in the last record only: nobody asks for them before.
        event = b"".join((way.page, opening, self._decided, self._bill))
        self.admitted_sequence = self._ports.usage.admitted(event, self._arrival.exchange_id, self.attempt)
        self._way = way

    def _open(self, client: Client | None, request_bytes: int) -> bytes:
        arrival = self._arrival
        return opening_part(
            arrival.exchange_id,
            self.attempt,
            started_at_ms=arrival.started_at_ms,
            traceparent=arrival.traceparent,
            session_id=client.session_id if client is not None else "",
            session_is_derived=client is not None and client.is_derived,
            request_bytes=request_bytes,
            gateway_us=self._gateway_us,
        )

    def _estimate(self, admission: Admission) -> bytes:
        """The prompt alone: nothing has been written yet."""
        cost = price_estimate(admission, self._input_fresh, 0, self._arrival.started_at_ms)
        amount = cost.amount if cost is not None else NanoUsd(0)
        if self._grant is not None:
            # Of what the caller's own account pays, only budgets hold a part that count it (weighing.py).
            self._spent = Spent(amount, self._input_fresh, 0)
        return plain_bill_part(self._input_fresh, 0, amount, cost.price_id if cost is not None else "")

    def note_progress(self, admission: Admission, tally: Tally) -> None:
        """Write down how far a stream is, so that a kill now leaves a count behind that is a moment old.

        tally: what was told and counted until now.
        """
        way = self._way
        assert way is not None, "a stream belongs to an attempt"
        self._charge(admission, tally)
        model = answered_part(tally.model, "", tally.service_tier)
        event = b"".join((way.page, self._opening, self._decided, self._answer(), model, self._bill))
        self._ports.usage.progress(event, self._arrival.exchange_id, self.attempt)

    def note_refusal(self, refusal: Refusal) -> None:
        """Keep in mind what the caller is told, as it is told."""
        self.reason = refusal.reason.code
        # Some of it may be the caller's own text, and an event takes no half of a character.
        self._said = sentence_of(refusal).encode("utf-8", "replace").decode()

    def refuse(self, refusal: Refusal) -> None:
        """Close with our own no. Without a known organization there is no book to write it in: meters count it."""
        self.note_refusal(refusal)
        self._ports.meters.refused(self.reason, self._arrival.route.protocol)
        outcome = usage_pb2.OUTCOME_FAILED if self.was_admitted else usage_pb2.OUTCOME_REFUSED
        if refusal.may_have_run and self.was_admitted:
            # Never nothing for what a provider may bill: the estimate of the admission stands until somebody knows.
            self._close(usage_pb2.USAGE_KIND_ESTIMATED, outcome)
            return
        self._bill, self._spent = b"", NOTHING_SPENT
        if refusal.rules_seen:
            self._rules = refusal.rules_seen
        self._close(usage_pb2.USAGE_KIND_FINAL, outcome)

    def settle(self, admission: Admission, transcript: Transcript) -> None:
        """Close with what the attempt really used and cost."""
        tally = transcript.tally
        self._charge(admission, tally)
        # Budgets estimate the next turn by it; a stream that is cut is counted by it (yardsticks.py).
        if (
            tally.is_reported
            and admission.client.session_id
            and (admission.terms.has_budgets or admission.facts.streamed)
        ):
            self._remember(admission, tally)
        self._told = answered_part(tally.model, tally.stop_reason, tally.service_tier) + rarely_told_part(tally)
        if self.reason and tally.error_text:
            # The provider's own word says more.
            self._said = ""
        self.upstream_request_id = self.upstream_request_id or tally.upstream_request_id
        was_told = tally.is_reported or self.upstream_status >= 400
        kind = usage_pb2.USAGE_KIND_FINAL if was_told else usage_pb2.USAGE_KIND_COUNTED
        self._close(kind, self._outcome_of(transcript))

    def _charge(self, admission: Admission, tally: Tally) -> None:
        cost = price_tally(admission, tally, self._arrival.started_at_ms)
        tokens = tally.tokens
        self._bill = bill_part(tokens, cost.amount, cost.price_id) if cost else bill_part(tokens, 0, "")
        if cost and (cost.saved_by_cache or cost.note):
            self._bill += saved_part(cost.saved_by_cache, cost.note)
        if tally.units or tally.parts:
            self._bill += billed_besides_part(tally, cost)
        if self._grant is not None:
            amount = cost.amount if cost is not None else NanoUsd(0)
            self._spent = Spent(amount, tokens.prompt, tokens.output + tokens.reasoning)

    def _remember(self, admission: Admission, tally: Tally) -> None:
        """What the next turn of this session will be estimated by."""
        to, ports = admission.destination, self._ports
        turn = turn_of(tally.tokens, ports.now_ms(), to.model, to.provider_id, to.vendor, len(admission.body))
        ports.sessions.note(to.organization_id, admission.client.session_id, turn)

    def _outcome_of(self, transcript: Transcript) -> usage_pb2.Outcome:
        if self.upstream_status >= 400 or transcript.tally.error_type:
            return usage_pb2.OUTCOME_FAILED
        if transcript.client_left:
            return usage_pb2.OUTCOME_CANCELLED
        return usage_pb2.OUTCOME_FAILED if transcript.was_cut else usage_pb2.OUTCOME_SERVED

    def leave(self) -> None:
        """Close an exchange whose caller went away before an answer was known."""
        self._close(self._kind_unknown(), usage_pb2.OUTCOME_CANCELLED)

    def break_off(self) -> None:
        """Close after a defect of ours, so that it is seen."""
        self._close(self._kind_unknown(), usage_pb2.OUTCOME_INTERNAL)

    def _kind_unknown(self) -> usage_pb2.UsageKind:
        # Once a request may have gone upstream, what stands in the event is the estimate made at admission.
        return usage_pb2.USAGE_KIND_ESTIMATED if self.was_admitted else usage_pb2.USAGE_KIND_FINAL

    def _close(self, kind: usage_pb2.UsageKind, outcome: usage_pb2.Outcome) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        arrival, ports, caller, way = self._arrival, self._ports, self._caller, self._way
        duration_us = self.elapsed_us()
        if self._grant is not None:
            ports.counters.settle(self._grant, self._spent)
        if caller is not None and caller.organization_id:
            page = way.page if way is not None else self._page_of_unopened()
            opening = self._opening if way is not None else self._open(self._client, 0)
            ending = closing_part(kind, outcome, client_status=self.client_status, duration_us=duration_us)
            if self.reason:
                ending += usage_pb2.UsageEvent(reason=self.reason, error_text=self._said).SerializeToString()
            if self._turn is not None:
                # Only now: nobody waits for an answer any more.
                ending += self._facts_of(self._turn)
            told = (page, opening, self._decided, self._rules, self._answer(), self._told, self._bill, ending)
            ports.usage.final(b"".join(told), arrival.exchange_id, self.attempt)
        protocol = arrival.route.protocol
        ports.meters.served(protocol, self.provider_name, _OUTCOME_NAMES[outcome], self.client_status)
        if way is not None:
            ports.meters.observe(
                protocol, gateway_us=self._gateway_us, first_byte_us=self.first_byte_us, duration_us=duration_us
            )

    def _answer(self) -> bytes:
        return answer_part(
            upstream_status=self.upstream_status,
            upstream_request_id=self.upstream_request_id,
            first_byte_us=self.first_byte_us,
            first_token_us=self.first_token_us,
            bytes_out=self.bytes_out,
            chunks=self.chunks,
        )

    def _facts_of(self, turn: Admission) -> bytes:
        try:
            return turn_facts_part(turn)
        except Exception as failure:
            # Whatever a request holds that nobody thought of: its event is worth more than what it shows. Only the kind
            # of failure is told, since its text may hold the caller's words.
            log.error("facts of a turn could not be read", why=type(failure).__name__)
            return b""

    def _page_of_unopened(self) -> bytes:
        """The page of a request that went no way, from what is known of it."""
        return write_page_of_unopened(
            self._arrival, self._ports.pod_id, self._model, self._caller, self._policy, self._client, self._tags
        )


_OUTCOME_NAMES = {
    usage_pb2.OUTCOME_UNSPECIFIED: "internal",
    usage_pb2.OUTCOME_SERVED: "served",
    usage_pb2.OUTCOME_REFUSED: "refused",
    usage_pb2.OUTCOME_FAILED: "failed",
    usage_pb2.OUTCOME_CANCELLED: "cancelled",
    usage_pb2.OUTCOME_INTERNAL: "internal",
}
