"""The account of one exchange: opened once, closed once, with one event per attempt.

`run.py` breaks off what nobody closed: forgetting to account for a request shows as *internal*.
"""

from collections.abc import Mapping

from data_plane.conversation.token_estimate import estimate_prompt
from data_plane.exchange.ports import Ports
from data_plane.exchange.settlement import price_estimate, price_tally
from data_plane.exchange.stages import Admission, Arrival, Plan, Transcript
from data_plane.policy.decision import Caller, Refusal
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import NO_TAGS, Client
from switchyard_contract.v1 import usage_pb2

_USER = usage_pb2.PRINCIPAL_KIND_OF_EVENT_USER
_SERVICE = usage_pb2.PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT


def write_page(admission: Admission, pod_id: str) -> bytes:
    """The usage event of everything that goes this way, as far as it is the same each time: `open_attempt` adds the
    rest."""
    destination = admission.destination
    event = usage_pb2.UsageEvent(
        requested_model=admission.facts.model,
        model=destination.model,
        provider_id=destination.provider_id,
        provider_name=destination.provider_name,
        vendor=destination.vendor,
        account=destination.account,
        region=destination.region,
        is_subscription=destination.passthrough_caller,
        streamed=admission.facts.streamed,
    )
    _write_arrival(event, admission.arrival, pod_id)
    _write_caller(event, admission.caller, admission.policy)
    _write_client(event, admission.client, admission.standing.tags)
    return event.SerializeToString()


def _write_arrival(event: usage_pb2.UsageEvent, arrival: Arrival, pod_id: str) -> None:
    event.protocol = arrival.route.protocol
    event.operation = arrival.route.operation
    event.path = arrival.route.canonical_path
    event.pod_id = pod_id


def _write_caller(event: usage_pb2.UsageEvent, caller: Caller, policy: PolicySnapshot) -> None:
    event.organization_id = caller.organization_id
    event.key_id = caller.key_id
    event.principal_id = caller.principal_id
    event.principal_kind = _USER if caller.principal_kind == "user" else _SERVICE
    event.team_id = caller.team_id
    event.tags.update(caller.tags)
    event.policy_epoch, event.policy_version = policy.policy_version(caller.organization_id)


def _write_client(event: usage_pb2.UsageEvent, client: Client, tags: Mapping[str, str]) -> None:
    event.client = client.name
    event.client_version = client.version
    event.agent_id = client.agent_id
    event.parent_session_id = client.parent_session_id
    event.request_tags.update(tags)


class Entry:
    """One exchange's line in the books. Fields are filled as they become known; `settle` or `refuse` closes it."""

    __slots__ = (
        "_arrival",
        "_caller",
        "_client",
        "_event",
        "_is_closed",
        "_model",
        "_policy",
        "_ports",
        "_tags",
        "admitted_sequence",
        "attempt",
        "bytes_out",
        "chunks",
        "client_status",
        "was_admitted",
    )

    def __init__(self, arrival: Arrival, ports: Ports) -> None:
        self._arrival = arrival
        self._ports = ports
        self._event: usage_pb2.UsageEvent | None = None
        self._caller: Caller | None = None
        self._policy: PolicySnapshot | None = None
        self._client: Client | None = None
        self._model = ""
        self._tags = NO_TAGS
        self._is_closed = False
        self.was_admitted = False
        self.attempt = 0
        self.admitted_sequence = 0
        self.bytes_out = 0
        self.chunks = 0
        self.client_status = 0

    @property
    def event(self) -> usage_pb2.UsageEvent:
        """What goes into the books. Begun when asked for: from an attempt's page, else from what is known."""
        event = self._event
        if event is None:
            event = self._event = self._begin_event()
        return event

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def elapsed_us(self) -> int:
        return int((self._ports.clock_s() - self._arrival.started_s) * 1_000_000)

    def know_caller(self, caller: Caller, policy: PolicySnapshot) -> None:
        """Keep in mind who is charged, as it is at this moment."""
        self._caller, self._policy = caller, policy

    def know_request(self, client: Client, model: str, tags: Mapping[str, str]) -> None:
        """Keep in mind what was asked, and by which tool."""
        self._client, self._model, self._tags = client, model, tags

    def open_attempt(self, plan: Plan) -> None:
        """Write *admitted* to the spool: from here on the attempt is in the books whatever happens."""
        admission, arrival = plan.admission, self._arrival
        event = self._event = usage_pb2.UsageEvent.FromString(plan.way.page)
        event.exchange_id = arrival.exchange_id
        event.started_at_ms = arrival.started_at_ms
        event.traceparent = arrival.traceparent
        client = admission.client
        event.session_id = client.session_id
        event.session_is_derived = client.is_derived
        event.request_bytes = len(admission.body)
        self.attempt += 1
        event.attempt = self.attempt
        self._know_estimate(event, admission)
        event.gateway_us = self.elapsed_us()
        self.admitted_sequence = self._ports.usage.admitted(
            event.SerializeToString(), arrival.exchange_id, self.attempt
        )
        self.was_admitted = True

    def _begin_event(self) -> usage_pb2.UsageEvent:
        event = usage_pb2.UsageEvent(requested_model=self._model)
        if self._caller is not None and self._policy is not None:
            _write_caller(event, self._caller, self._policy)
        _write_arrival(event, self._arrival, self._ports.pod_id)
        arrival, client = self._arrival, self._client
        event.exchange_id = arrival.exchange_id
        event.started_at_ms = arrival.started_at_ms
        event.traceparent = arrival.traceparent
        if client is not None:
            _write_client(event, client, self._tags)
            event.session_id = client.session_id
            event.session_is_derived = client.is_derived
        return event

    def _know_estimate(self, event: usage_pb2.UsageEvent, admission: Admission) -> None:
        """What a spool that outlives this process would bill: the prompt by its size, at today's price."""
        if admission.facts.operation != "generate":
            return
        event.tokens.input_fresh = input_fresh = estimate_prompt(len(admission.body))
        cost = price_estimate(admission, input_fresh, 0, self._arrival.started_at_ms)
        if cost is not None:
            event.cost_nano_usd = cost.amount
            event.price_version = cost.price_id

    def note_progress(self, admission: Admission, answer_bytes: int) -> None:
        """Write down how far a stream is, so that a kill now leaves a good estimate behind."""
        event = self.event
        event.chunks, event.response_bytes = self.chunks, self.bytes_out
        event.tokens.output = output = estimate_prompt(answer_bytes)
        cost = price_estimate(admission, event.tokens.input_fresh, output, event.started_at_ms)
        if cost is not None:
            event.cost_nano_usd = cost.amount
        self._ports.usage.progress(event.SerializeToString(), event.exchange_id, self.attempt)

    def refuse(self, refusal: Refusal) -> None:
        """Close with our own no. Without a known organization there is no book to write it in: meters count it."""
        reason = refusal.reason.code
        self._ports.meters.refused(reason, self.event.protocol)
        event = self.event
        event.reason = reason
        event.ClearField("tokens")
        event.cost_nano_usd, event.price_version = 0, ""
        event.outcome = usage_pb2.OUTCOME_FAILED if self.was_admitted else usage_pb2.OUTCOME_REFUSED
        self._close(usage_pb2.USAGE_KIND_FINAL)

    def settle(self, admission: Admission, transcript: Transcript) -> None:
        """Close with what the attempt really used and cost."""
        event, tally = self.event, transcript.tally
        cost = price_tally(admission, tally, event.started_at_ms)
        if tally.model:
            event.model = tally.model
        if tally.stop_reason:
            event.stop_reason = tally.stop_reason
        if tally.error_type or tally.error_text:
            event.error_type, event.error_text = tally.error_type, tally.error_text
        if tally.upstream_request_id and not event.upstream_request_id:
            event.upstream_request_id = tally.upstream_request_id
        if tally.web_searches:
            event.web_searches = tally.web_searches
        if tally.service_tier or tally.inference_geo:
            event.service_tier, event.inference_geo = tally.service_tier, tally.inference_geo
        if tally.is_inconsistent:
            event.usage_is_inconsistent = True
        event.ClearField("tokens")
        tokens, counts = event.tokens, tally.tokens
        tokens.input_fresh = counts.input_fresh
        tokens.output = counts.output
        if not counts.is_plain:
            tokens.input_tool = counts.input_tool
            tokens.cache_read = counts.cache_read
            tokens.cache_write_5m = counts.cache_write_5m
            tokens.cache_write_1h = counts.cache_write_1h
            tokens.cache_write_30m = counts.cache_write_30m
            tokens.cache_write_12h = counts.cache_write_12h
            tokens.cache_write_other = counts.cache_write_other
            tokens.reasoning = counts.reasoning
        event.cost_nano_usd = cost.amount if cost is not None else 0
        if cost is None or cost.price_id != event.price_version:
            event.price_version = cost.price_id if cost is not None else ""
        event.outcome = _outcome_of(event, transcript)
        was_told = tally.is_reported or event.upstream_status >= 400
        self._close(usage_pb2.USAGE_KIND_FINAL if was_told else usage_pb2.USAGE_KIND_COUNTED)

    def leave(self) -> None:
        """Close an exchange whose caller went away before an answer was known."""
        self.event.outcome = usage_pb2.OUTCOME_CANCELLED
        self._close(self._kind_unknown())

    def break_off(self) -> None:
        """Close after a defect of ours, so that it is seen."""
        self.event.outcome = usage_pb2.OUTCOME_INTERNAL
        self._close(self._kind_unknown())

    def _kind_unknown(self) -> usage_pb2.UsageKind:
        # Once a request may have gone upstream, what stands in the event is the estimate made at admission.
        return usage_pb2.USAGE_KIND_ESTIMATED if self.was_admitted else usage_pb2.USAGE_KIND_FINAL

    def _close(self, kind: usage_pb2.UsageKind) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        event, ports = self.event, self._ports
        event.kind = kind
        event.client_status = self.client_status
        event.response_bytes = self.bytes_out
        event.chunks = self.chunks
        event.duration_us = self.elapsed_us()
        if event.organization_id:
            ports.usage.final(event.SerializeToString(), event.exchange_id, self.attempt)
        ports.meters.served(event.protocol, event.provider_name, _OUTCOME_NAMES[event.outcome], self.client_status)
        if self.was_admitted:
            ports.meters.observe(
                event.protocol,
                gateway_us=event.gateway_us,
                first_byte_us=event.first_byte_us,
                duration_us=event.duration_us,
            )


_OUTCOME_NAMES = {
    usage_pb2.OUTCOME_UNSPECIFIED: "internal",
    usage_pb2.OUTCOME_SERVED: "served",
    usage_pb2.OUTCOME_REFUSED: "refused",
    usage_pb2.OUTCOME_FAILED: "failed",
    usage_pb2.OUTCOME_CANCELLED: "cancelled",
    usage_pb2.OUTCOME_INTERNAL: "internal",
}


def _outcome_of(event: usage_pb2.UsageEvent, transcript: Transcript) -> usage_pb2.Outcome:
    if event.upstream_status >= 400 or transcript.tally.error_type:
        return usage_pb2.OUTCOME_FAILED
    if transcript.client_left:
        return usage_pb2.OUTCOME_CANCELLED
    return usage_pb2.OUTCOME_FAILED if transcript.was_cut else usage_pb2.OUTCOME_SERVED
