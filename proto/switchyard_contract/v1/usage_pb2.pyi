from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UsageKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USAGE_KIND_UNSPECIFIED: _ClassVar[UsageKind]
    USAGE_KIND_FINAL: _ClassVar[UsageKind]
    USAGE_KIND_COUNTED: _ClassVar[UsageKind]
    USAGE_KIND_ESTIMATED: _ClassVar[UsageKind]
    USAGE_KIND_ORPHAN_ESTIMATED: _ClassVar[UsageKind]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_SERVED: _ClassVar[Outcome]
    OUTCOME_REFUSED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_CANCELLED: _ClassVar[Outcome]
    OUTCOME_INTERNAL: _ClassVar[Outcome]

class PrincipalKindOfEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRINCIPAL_KIND_OF_EVENT_UNSPECIFIED: _ClassVar[PrincipalKindOfEvent]
    PRINCIPAL_KIND_OF_EVENT_USER: _ClassVar[PrincipalKindOfEvent]
    PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT: _ClassVar[PrincipalKindOfEvent]
USAGE_KIND_UNSPECIFIED: UsageKind
USAGE_KIND_FINAL: UsageKind
USAGE_KIND_COUNTED: UsageKind
USAGE_KIND_ESTIMATED: UsageKind
USAGE_KIND_ORPHAN_ESTIMATED: UsageKind
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_SERVED: Outcome
OUTCOME_REFUSED: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_CANCELLED: Outcome
OUTCOME_INTERNAL: Outcome
PRINCIPAL_KIND_OF_EVENT_UNSPECIFIED: PrincipalKindOfEvent
PRINCIPAL_KIND_OF_EVENT_USER: PrincipalKindOfEvent
PRINCIPAL_KIND_OF_EVENT_SERVICE_ACCOUNT: PrincipalKindOfEvent

class Tokens(_message.Message):
    __slots__ = ("input_fresh", "input_tool", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_30m", "cache_write_12h", "cache_write_other", "output", "reasoning")
    INPUT_FRESH_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOOL_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_5M_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_30M_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_12H_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_OTHER_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    input_fresh: int
    input_tool: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_30m: int
    cache_write_12h: int
    cache_write_other: int
    output: int
    reasoning: int
    def __init__(self, input_fresh: _Optional[int] = ..., input_tool: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write_5m: _Optional[int] = ..., cache_write_1h: _Optional[int] = ..., cache_write_30m: _Optional[int] = ..., cache_write_12h: _Optional[int] = ..., cache_write_other: _Optional[int] = ..., output: _Optional[int] = ..., reasoning: _Optional[int] = ...) -> None: ...

class UsageEvent(_message.Message):
    __slots__ = ("exchange_id", "attempt", "kind", "revision", "outcome", "reason", "organization_id", "key_id", "principal_id", "principal_kind", "team_id", "tags", "request_tags", "protocol", "operation", "requested_model", "model", "provider_id", "provider_name", "vendor", "account", "host", "region", "client", "client_version", "session_id", "agent_id", "parent_session_id", "session_is_derived", "started_at_ms", "gateway_us", "first_byte_us", "first_token_us", "duration_us", "streamed", "client_status", "upstream_status", "request_bytes", "response_bytes", "stop_reason", "error_type", "error_text", "upstream_request_id", "chunks", "tokens", "web_searches", "service_tier", "inference_geo", "cost_nano_usd", "price_version", "usage_is_inconsistent", "is_subscription", "policy_epoch", "policy_version", "pod_id", "path", "traceparent", "charges", "rules", "counters_answer", "downgrade", "dropped", "degraded", "session_facts", "turn_facts", "saved_cache_nano_usd", "stage", "units", "parts", "price_note")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class RequestTagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EXCHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_ID_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_KIND_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TAGS_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_IS_DERIVED_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_US_FIELD_NUMBER: _ClassVar[int]
    FIRST_BYTE_US_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_US_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    STREAMED_FIELD_NUMBER: _ClassVar[int]
    CLIENT_STATUS_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    ERROR_TEXT_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    WEB_SEARCHES_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_GEO_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    USAGE_IS_INCONSISTENT_FIELD_NUMBER: _ClassVar[int]
    IS_SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    POLICY_EPOCH_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    POD_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_ANSWER_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    SESSION_FACTS_FIELD_NUMBER: _ClassVar[int]
    TURN_FACTS_FIELD_NUMBER: _ClassVar[int]
    SAVED_CACHE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_NOTE_FIELD_NUMBER: _ClassVar[int]
    exchange_id: str
    attempt: int
    kind: UsageKind
    revision: int
    outcome: Outcome
    reason: str
    organization_id: str
    key_id: str
    principal_id: str
    principal_kind: PrincipalKindOfEvent
    team_id: str
    tags: _containers.ScalarMap[str, str]
    request_tags: _containers.ScalarMap[str, str]
    protocol: str
    operation: str
    requested_model: str
    model: str
    provider_id: str
    provider_name: str
    vendor: str
    account: str
    host: str
    region: str
    client: str
    client_version: str
    session_id: str
    agent_id: str
    parent_session_id: str
    session_is_derived: bool
    started_at_ms: int
    gateway_us: int
    first_byte_us: int
    first_token_us: int
    duration_us: int
    streamed: bool
    client_status: int
    upstream_status: int
    request_bytes: int
    response_bytes: int
    stop_reason: str
    error_type: str
    error_text: str
    upstream_request_id: str
    chunks: int
    tokens: Tokens
    web_searches: int
    service_tier: str
    inference_geo: str
    cost_nano_usd: int
    price_version: str
    usage_is_inconsistent: bool
    is_subscription: bool
    policy_epoch: int
    policy_version: int
    pod_id: str
    path: str
    traceparent: str
    charges: _containers.RepeatedCompositeFieldContainer[Charge]
    rules: RulesSeen
    counters_answer: bytes
    downgrade: Downgrade
    dropped: _containers.RepeatedCompositeFieldContainer[Dropped]
    degraded: str
    session_facts: SessionFacts
    turn_facts: TurnFacts
    saved_cache_nano_usd: int
    stage: str
    units: _containers.RepeatedCompositeFieldContainer[BilledUnit]
    parts: _containers.RepeatedCompositeFieldContainer[BilledPart]
    price_note: str
    def __init__(self, exchange_id: _Optional[str] = ..., attempt: _Optional[int] = ..., kind: _Optional[_Union[UsageKind, str]] = ..., revision: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[str] = ..., organization_id: _Optional[str] = ..., key_id: _Optional[str] = ..., principal_id: _Optional[str] = ..., principal_kind: _Optional[_Union[PrincipalKindOfEvent, str]] = ..., team_id: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., request_tags: _Optional[_Mapping[str, str]] = ..., protocol: _Optional[str] = ..., operation: _Optional[str] = ..., requested_model: _Optional[str] = ..., model: _Optional[str] = ..., provider_id: _Optional[str] = ..., provider_name: _Optional[str] = ..., vendor: _Optional[str] = ..., account: _Optional[str] = ..., host: _Optional[str] = ..., region: _Optional[str] = ..., client: _Optional[str] = ..., client_version: _Optional[str] = ..., session_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., parent_session_id: _Optional[str] = ..., session_is_derived: _Optional[bool] = ..., started_at_ms: _Optional[int] = ..., gateway_us: _Optional[int] = ..., first_byte_us: _Optional[int] = ..., first_token_us: _Optional[int] = ..., duration_us: _Optional[int] = ..., streamed: _Optional[bool] = ..., client_status: _Optional[int] = ..., upstream_status: _Optional[int] = ..., request_bytes: _Optional[int] = ..., response_bytes: _Optional[int] = ..., stop_reason: _Optional[str] = ..., error_type: _Optional[str] = ..., error_text: _Optional[str] = ..., upstream_request_id: _Optional[str] = ..., chunks: _Optional[int] = ..., tokens: _Optional[_Union[Tokens, _Mapping]] = ..., web_searches: _Optional[int] = ..., service_tier: _Optional[str] = ..., inference_geo: _Optional[str] = ..., cost_nano_usd: _Optional[int] = ..., price_version: _Optional[str] = ..., usage_is_inconsistent: _Optional[bool] = ..., is_subscription: _Optional[bool] = ..., policy_epoch: _Optional[int] = ..., policy_version: _Optional[int] = ..., pod_id: _Optional[str] = ..., path: _Optional[str] = ..., traceparent: _Optional[str] = ..., charges: _Optional[_Iterable[_Union[Charge, _Mapping]]] = ..., rules: _Optional[_Union[RulesSeen, _Mapping]] = ..., counters_answer: _Optional[bytes] = ..., downgrade: _Optional[_Union[Downgrade, _Mapping]] = ..., dropped: _Optional[_Iterable[_Union[Dropped, _Mapping]]] = ..., degraded: _Optional[str] = ..., session_facts: _Optional[_Union[SessionFacts, _Mapping]] = ..., turn_facts: _Optional[_Union[TurnFacts, _Mapping]] = ..., saved_cache_nano_usd: _Optional[int] = ..., stage: _Optional[str] = ..., units: _Optional[_Iterable[_Union[BilledUnit, _Mapping]]] = ..., parts: _Optional[_Iterable[_Union[BilledPart, _Mapping]]] = ..., price_note: _Optional[str] = ...) -> None: ...

class BilledUnit(_message.Message):
    __slots__ = ("kind", "count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    count: int
    def __init__(self, kind: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class BilledPart(_message.Message):
    __slots__ = ("model", "tokens", "cost_nano_usd", "price_version", "units")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    model: str
    tokens: Tokens
    cost_nano_usd: int
    price_version: str
    units: _containers.RepeatedCompositeFieldContainer[BilledUnit]
    def __init__(self, model: _Optional[str] = ..., tokens: _Optional[_Union[Tokens, _Mapping]] = ..., cost_nano_usd: _Optional[int] = ..., price_version: _Optional[str] = ..., units: _Optional[_Iterable[_Union[BilledUnit, _Mapping]]] = ...) -> None: ...

class TurnFacts(_message.Message):
    __slots__ = ("tools_digest", "system_digest", "history_marks", "history_bytes", "request_digest", "tool_results", "failed_tool_results", "calls_digest", "tools", "is_typed")
    TOOLS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HISTORY_MARKS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOOL_RESULTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_TOOL_RESULTS_FIELD_NUMBER: _ClassVar[int]
    CALLS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    IS_TYPED_FIELD_NUMBER: _ClassVar[int]
    tools_digest: bytes
    system_digest: bytes
    history_marks: bytes
    history_bytes: int
    request_digest: bytes
    tool_results: int
    failed_tool_results: int
    calls_digest: bytes
    tools: _containers.RepeatedScalarFieldContainer[str]
    is_typed: bool
    def __init__(self, tools_digest: _Optional[bytes] = ..., system_digest: _Optional[bytes] = ..., history_marks: _Optional[bytes] = ..., history_bytes: _Optional[int] = ..., request_digest: _Optional[bytes] = ..., tool_results: _Optional[int] = ..., failed_tool_results: _Optional[int] = ..., calls_digest: _Optional[bytes] = ..., tools: _Optional[_Iterable[str]] = ..., is_typed: _Optional[bool] = ...) -> None: ...

class Charge(_message.Message):
    __slots__ = ("budget_id", "counter", "period", "is_shadow")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    IS_SHADOW_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    counter: str
    period: str
    is_shadow: bool
    def __init__(self, budget_id: _Optional[str] = ..., counter: _Optional[str] = ..., period: _Optional[str] = ..., is_shadow: _Optional[bool] = ...) -> None: ...

class RulesSeen(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[RuleSeen]
    def __init__(self, rules: _Optional[_Iterable[_Union[RuleSeen, _Mapping]]] = ...) -> None: ...

class RuleSeen(_message.Message):
    __slots__ = ("kind", "id", "name", "is_shadow", "matched", "why_not", "counter", "period", "limit", "resets_at_ms", "candidates", "verdict")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    IS_SHADOW_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    WHY_NOT_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    name: str
    is_shadow: bool
    matched: bool
    why_not: str
    counter: str
    period: str
    limit: int
    resets_at_ms: int
    candidates: int
    verdict: str
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., is_shadow: _Optional[bool] = ..., matched: _Optional[bool] = ..., why_not: _Optional[str] = ..., counter: _Optional[str] = ..., period: _Optional[str] = ..., limit: _Optional[int] = ..., resets_at_ms: _Optional[int] = ..., candidates: _Optional[int] = ..., verdict: _Optional[str] = ...) -> None: ...

class Downgrade(_message.Message):
    __slots__ = ("budget_id", "from_model", "to_model", "is_taken", "stay_nano_usd", "move_nano_usd", "why")
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_MODEL_FIELD_NUMBER: _ClassVar[int]
    TO_MODEL_FIELD_NUMBER: _ClassVar[int]
    IS_TAKEN_FIELD_NUMBER: _ClassVar[int]
    STAY_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    MOVE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    budget_id: str
    from_model: str
    to_model: str
    is_taken: bool
    stay_nano_usd: int
    move_nano_usd: int
    why: str
    def __init__(self, budget_id: _Optional[str] = ..., from_model: _Optional[str] = ..., to_model: _Optional[str] = ..., is_taken: _Optional[bool] = ..., stay_nano_usd: _Optional[int] = ..., move_nano_usd: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("model", "why")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    model: str
    why: str
    def __init__(self, model: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class SessionFacts(_message.Message):
    __slots__ = ("failed_tool_results", "same_tool_call", "is_tool_loop", "has_signed_thinking", "request_digest", "turn")
    FAILED_TOOL_RESULTS_FIELD_NUMBER: _ClassVar[int]
    SAME_TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    IS_TOOL_LOOP_FIELD_NUMBER: _ClassVar[int]
    HAS_SIGNED_THINKING_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    failed_tool_results: int
    same_tool_call: int
    is_tool_loop: bool
    has_signed_thinking: bool
    request_digest: bytes
    turn: int
    def __init__(self, failed_tool_results: _Optional[int] = ..., same_tool_call: _Optional[int] = ..., is_tool_loop: _Optional[bool] = ..., has_signed_thinking: _Optional[bool] = ..., request_digest: _Optional[bytes] = ..., turn: _Optional[int] = ...) -> None: ...

class SequencedEvent(_message.Message):
    __slots__ = ("sequence", "event")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    event: UsageEvent
    def __init__(self, sequence: _Optional[int] = ..., event: _Optional[_Union[UsageEvent, _Mapping]] = ...) -> None: ...

class UsageBatch(_message.Message):
    __slots__ = ("pod_id", "boot_id", "events", "failed_authentications", "former_runs")
    POD_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_AUTHENTICATIONS_FIELD_NUMBER: _ClassVar[int]
    FORMER_RUNS_FIELD_NUMBER: _ClassVar[int]
    pod_id: str
    boot_id: bytes
    events: _containers.RepeatedCompositeFieldContainer[SequencedEvent]
    failed_authentications: _containers.RepeatedCompositeFieldContainer[FailedAuthentications]
    former_runs: FormerRuns
    def __init__(self, pod_id: _Optional[str] = ..., boot_id: _Optional[bytes] = ..., events: _Optional[_Iterable[_Union[SequencedEvent, _Mapping]]] = ..., failed_authentications: _Optional[_Iterable[_Union[FailedAuthentications, _Mapping]]] = ..., former_runs: _Optional[_Union[FormerRuns, _Mapping]] = ...) -> None: ...

class FormerRuns(_message.Message):
    __slots__ = ("run", "whole_since")
    RUN_FIELD_NUMBER: _ClassVar[int]
    WHOLE_SINCE_FIELD_NUMBER: _ClassVar[int]
    run: int
    whole_since: int
    def __init__(self, run: _Optional[int] = ..., whole_since: _Optional[int] = ...) -> None: ...

class FailedAuthentications(_message.Message):
    __slots__ = ("minute_ms", "reason", "source", "count")
    MINUTE_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    minute_ms: int
    reason: str
    source: str
    count: int
    def __init__(self, minute_ms: _Optional[int] = ..., reason: _Optional[str] = ..., source: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class UsageReceipt(_message.Message):
    __slots__ = ("boot_id", "stored_through", "floors", "book")
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    STORED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    FLOORS_FIELD_NUMBER: _ClassVar[int]
    BOOK_FIELD_NUMBER: _ClassVar[int]
    boot_id: bytes
    stored_through: int
    floors: _containers.RepeatedCompositeFieldContainer[Floor]
    book: FloorBook
    def __init__(self, boot_id: _Optional[bytes] = ..., stored_through: _Optional[int] = ..., floors: _Optional[_Iterable[_Union[Floor, _Mapping]]] = ..., book: _Optional[_Union[FloorBook, _Mapping]] = ...) -> None: ...

class FloorBook(_message.Message):
    __slots__ = ("organization_id", "generation", "attempt", "before", "is_last")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    IS_LAST_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    generation: int
    attempt: str
    before: int
    is_last: bool
    def __init__(self, organization_id: _Optional[str] = ..., generation: _Optional[int] = ..., attempt: _Optional[str] = ..., before: _Optional[int] = ..., is_last: _Optional[bool] = ...) -> None: ...

class Floor(_message.Message):
    __slots__ = ("organization_id", "budget_id", "counter", "period", "posted_nano_usd")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    BUDGET_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    POSTED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    budget_id: str
    counter: str
    period: str
    posted_nano_usd: int
    def __init__(self, organization_id: _Optional[str] = ..., budget_id: _Optional[str] = ..., counter: _Optional[str] = ..., period: _Optional[str] = ..., posted_nano_usd: _Optional[int] = ...) -> None: ...
