from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrganizationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORGANIZATION_STATE_UNSPECIFIED: _ClassVar[OrganizationState]
    ORGANIZATION_STATE_KNOWN: _ClassVar[OrganizationState]
    ORGANIZATION_STATE_DISABLED: _ClassVar[OrganizationState]

class PrincipalKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRINCIPAL_KIND_UNSPECIFIED: _ClassVar[PrincipalKind]
    PRINCIPAL_KIND_USER: _ClassVar[PrincipalKind]
    PRINCIPAL_KIND_SERVICE_ACCOUNT: _ClassVar[PrincipalKind]

class RuleMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RULE_MODE_UNSPECIFIED: _ClassVar[RuleMode]
    RULE_MODE_ENFORCE: _ClassVar[RuleMode]
    RULE_MODE_SHADOW: _ClassVar[RuleMode]

class RateUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RATE_UNIT_UNSPECIFIED: _ClassVar[RateUnit]
    RATE_UNIT_REQUESTS: _ClassVar[RateUnit]
    RATE_UNIT_TOKENS: _ClassVar[RateUnit]
    RATE_UNIT_INPUT_TOKENS: _ClassVar[RateUnit]
    RATE_UNIT_OUTPUT_TOKENS: _ClassVar[RateUnit]
    RATE_UNIT_CONCURRENT_REQUESTS: _ClassVar[RateUnit]

class Bound(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BOUND_UNSPECIFIED: _ClassVar[Bound]
    BOUND_STRICT: _ClassVar[Bound]
    BOUND_CALIBRATED: _ClassVar[Bound]

class OutagePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTAGE_POLICY_UNSPECIFIED: _ClassVar[OutagePolicy]
    OUTAGE_POLICY_DENY: _ClassVar[OutagePolicy]
    OUTAGE_POLICY_BOUNDED: _ClassVar[OutagePolicy]
    OUTAGE_POLICY_ALLOW: _ClassVar[OutagePolicy]

class StageAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_ACTION_UNSPECIFIED: _ClassVar[StageAction]
    STAGE_ACTION_ALERT: _ClassVar[StageAction]
    STAGE_ACTION_DOWNGRADE: _ClassVar[StageAction]
    STAGE_ACTION_BLOCK: _ClassVar[StageAction]
ORGANIZATION_STATE_UNSPECIFIED: OrganizationState
ORGANIZATION_STATE_KNOWN: OrganizationState
ORGANIZATION_STATE_DISABLED: OrganizationState
PRINCIPAL_KIND_UNSPECIFIED: PrincipalKind
PRINCIPAL_KIND_USER: PrincipalKind
PRINCIPAL_KIND_SERVICE_ACCOUNT: PrincipalKind
RULE_MODE_UNSPECIFIED: RuleMode
RULE_MODE_ENFORCE: RuleMode
RULE_MODE_SHADOW: RuleMode
RATE_UNIT_UNSPECIFIED: RateUnit
RATE_UNIT_REQUESTS: RateUnit
RATE_UNIT_TOKENS: RateUnit
RATE_UNIT_INPUT_TOKENS: RateUnit
RATE_UNIT_OUTPUT_TOKENS: RateUnit
RATE_UNIT_CONCURRENT_REQUESTS: RateUnit
BOUND_UNSPECIFIED: Bound
BOUND_STRICT: Bound
BOUND_CALIBRATED: Bound
OUTAGE_POLICY_UNSPECIFIED: OutagePolicy
OUTAGE_POLICY_DENY: OutagePolicy
OUTAGE_POLICY_BOUNDED: OutagePolicy
OUTAGE_POLICY_ALLOW: OutagePolicy
STAGE_ACTION_UNSPECIFIED: StageAction
STAGE_ACTION_ALERT: StageAction
STAGE_ACTION_DOWNGRADE: StageAction
STAGE_ACTION_BLOCK: StageAction

class SealHeader(_message.Message):
    __slots__ = ("domain", "deployment", "shard", "epoch", "version", "payload_sha256", "raw_size", "issued_at_ms", "contract_revision", "min_reader", "signing_key_id")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_SHA256_FIELD_NUMBER: _ClassVar[int]
    RAW_SIZE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_REVISION_FIELD_NUMBER: _ClassVar[int]
    MIN_READER_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    domain: str
    deployment: str
    shard: str
    epoch: int
    version: int
    payload_sha256: bytes
    raw_size: int
    issued_at_ms: int
    contract_revision: int
    min_reader: int
    signing_key_id: str
    def __init__(self, domain: _Optional[str] = ..., deployment: _Optional[str] = ..., shard: _Optional[str] = ..., epoch: _Optional[int] = ..., version: _Optional[int] = ..., payload_sha256: _Optional[bytes] = ..., raw_size: _Optional[int] = ..., issued_at_ms: _Optional[int] = ..., contract_revision: _Optional[int] = ..., min_reader: _Optional[int] = ..., signing_key_id: _Optional[str] = ...) -> None: ...

class SealedShard(_message.Message):
    __slots__ = ("header", "signature", "payload")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    signature: bytes
    payload: bytes
    def __init__(self, header: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., payload: _Optional[bytes] = ...) -> None: ...

class OrganizationEntry(_message.Message):
    __slots__ = ("id", "name", "state", "key_buckets")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KEY_BUCKETS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: OrganizationState
    key_buckets: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[OrganizationState, str]] = ..., key_buckets: _Optional[int] = ...) -> None: ...

class GlobalShard(_message.Message):
    __slots__ = ("organizations", "list_prices", "audit_heads")
    ORGANIZATIONS_FIELD_NUMBER: _ClassVar[int]
    LIST_PRICES_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEADS_FIELD_NUMBER: _ClassVar[int]
    organizations: _containers.RepeatedCompositeFieldContainer[OrganizationEntry]
    list_prices: _containers.RepeatedCompositeFieldContainer[PriceRow]
    audit_heads: _containers.RepeatedCompositeFieldContainer[AuditHead]
    def __init__(self, organizations: _Optional[_Iterable[_Union[OrganizationEntry, _Mapping]]] = ..., list_prices: _Optional[_Iterable[_Union[PriceRow, _Mapping]]] = ..., audit_heads: _Optional[_Iterable[_Union[AuditHead, _Mapping]]] = ...) -> None: ...

class AuditHead(_message.Message):
    __slots__ = ("organization", "sequence", "hash", "at_ms", "signing_key_id", "signature")
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    organization: str
    sequence: int
    hash: bytes
    at_ms: int
    signing_key_id: str
    signature: bytes
    def __init__(self, organization: _Optional[str] = ..., sequence: _Optional[int] = ..., hash: _Optional[bytes] = ..., at_ms: _Optional[int] = ..., signing_key_id: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Rates(_message.Message):
    __slots__ = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_30m", "cache_write_12h", "output", "reasoning", "input_tool", "input_audio", "cache_read_audio", "output_audio", "input_image", "output_image")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_5M_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_30M_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_12H_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOOL_FIELD_NUMBER: _ClassVar[int]
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_AUDIO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    INPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_30m: int
    cache_write_12h: int
    output: int
    reasoning: int
    input_tool: int
    input_audio: int
    cache_read_audio: int
    output_audio: int
    input_image: int
    output_image: int
    def __init__(self, input: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write_5m: _Optional[int] = ..., cache_write_1h: _Optional[int] = ..., cache_write_30m: _Optional[int] = ..., cache_write_12h: _Optional[int] = ..., output: _Optional[int] = ..., reasoning: _Optional[int] = ..., input_tool: _Optional[int] = ..., input_audio: _Optional[int] = ..., cache_read_audio: _Optional[int] = ..., output_audio: _Optional[int] = ..., input_image: _Optional[int] = ..., output_image: _Optional[int] = ...) -> None: ...

class PriceBand(_message.Message):
    __slots__ = ("from_prompt_tokens", "rates")
    FROM_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    from_prompt_tokens: int
    rates: Rates
    def __init__(self, from_prompt_tokens: _Optional[int] = ..., rates: _Optional[_Union[Rates, _Mapping]] = ...) -> None: ...

class TierMultiplier(_message.Message):
    __slots__ = ("tier", "per_mille", "rates")
    TIER_FIELD_NUMBER: _ClassVar[int]
    PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    tier: str
    per_mille: int
    rates: Rates
    def __init__(self, tier: _Optional[str] = ..., per_mille: _Optional[int] = ..., rates: _Optional[_Union[Rates, _Mapping]] = ...) -> None: ...

class PriceRow(_message.Message):
    __slots__ = ("id", "vendor", "model", "valid_from_ms", "valid_to_ms", "rates", "bands", "tiers", "per_web_search_nano_usd", "source", "is_override", "us_geo_per_mille", "unit_nano_usd")
    class UnitNanoUsdEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_MS_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_MS_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    PER_WEB_SEARCH_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    IS_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    US_GEO_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    UNIT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    id: str
    vendor: str
    model: str
    valid_from_ms: int
    valid_to_ms: int
    rates: Rates
    bands: _containers.RepeatedCompositeFieldContainer[PriceBand]
    tiers: _containers.RepeatedCompositeFieldContainer[TierMultiplier]
    per_web_search_nano_usd: int
    source: str
    is_override: bool
    us_geo_per_mille: int
    unit_nano_usd: _containers.ScalarMap[str, int]
    def __init__(self, id: _Optional[str] = ..., vendor: _Optional[str] = ..., model: _Optional[str] = ..., valid_from_ms: _Optional[int] = ..., valid_to_ms: _Optional[int] = ..., rates: _Optional[_Union[Rates, _Mapping]] = ..., bands: _Optional[_Iterable[_Union[PriceBand, _Mapping]]] = ..., tiers: _Optional[_Iterable[_Union[TierMultiplier, _Mapping]]] = ..., per_web_search_nano_usd: _Optional[int] = ..., source: _Optional[str] = ..., is_override: _Optional[bool] = ..., us_geo_per_mille: _Optional[int] = ..., unit_nano_usd: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Provider(_message.Message):
    __slots__ = ("id", "name", "vendor", "base_url", "region", "account", "passthrough_caller", "credential", "models", "connect_timeout_ms", "first_byte_timeout_ms", "idle_timeout_ms", "allow_private_address", "protocols", "external", "limits")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    PASSTHROUGH_CALLER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    CONNECT_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    FIRST_BYTE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PRIVATE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    vendor: str
    base_url: str
    region: str
    account: str
    passthrough_caller: bool
    credential: SealedCredential
    models: _containers.RepeatedScalarFieldContainer[str]
    connect_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    allow_private_address: bool
    protocols: _containers.RepeatedScalarFieldContainer[str]
    external: bool
    limits: ProviderLimits
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., vendor: _Optional[str] = ..., base_url: _Optional[str] = ..., region: _Optional[str] = ..., account: _Optional[str] = ..., passthrough_caller: _Optional[bool] = ..., credential: _Optional[_Union[SealedCredential, _Mapping]] = ..., models: _Optional[_Iterable[str]] = ..., connect_timeout_ms: _Optional[int] = ..., first_byte_timeout_ms: _Optional[int] = ..., idle_timeout_ms: _Optional[int] = ..., allow_private_address: _Optional[bool] = ..., protocols: _Optional[_Iterable[str]] = ..., external: _Optional[bool] = ..., limits: _Optional[_Union[ProviderLimits, _Mapping]] = ...) -> None: ...

class ProviderLimits(_message.Message):
    __slots__ = ("concurrent_requests", "requests_per_minute", "tokens_per_minute")
    CONCURRENT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    concurrent_requests: int
    requests_per_minute: int
    tokens_per_minute: int
    def __init__(self, concurrent_requests: _Optional[int] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ...) -> None: ...

class SealedCredential(_message.Message):
    __slots__ = ("key_version", "nonce", "ciphertext", "version")
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    key_version: int
    nonce: bytes
    ciphertext: bytes
    version: int
    def __init__(self, key_version: _Optional[int] = ..., nonce: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "provider_id", "model", "display_name", "context_tokens", "max_output_tokens", "created_at_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    provider_id: str
    model: str
    display_name: str
    context_tokens: int
    max_output_tokens: int
    created_at_ms: int
    def __init__(self, id: _Optional[str] = ..., provider_id: _Optional[str] = ..., model: _Optional[str] = ..., display_name: _Optional[str] = ..., context_tokens: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., created_at_ms: _Optional[int] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("provider_id", "model")
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    provider_id: str
    model: str
    def __init__(self, provider_id: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class VirtualModel(_message.Message):
    __slots__ = ("name", "targets")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    name: str
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    def __init__(self, name: _Optional[str] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ...) -> None: ...

class Team(_message.Message):
    __slots__ = ("id", "name", "cost_centre", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COST_CENTRE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    cost_centre: str
    tags: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., cost_centre: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("id", "kind", "name", "active", "tags", "role")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: PrincipalKind
    name: str
    active: bool
    tags: _containers.ScalarMap[str, str]
    role: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[PrincipalKind, str]] = ..., name: _Optional[str] = ..., active: _Optional[bool] = ..., tags: _Optional[_Mapping[str, str]] = ..., role: _Optional[str] = ...) -> None: ...

class PolicyShard(_message.Message):
    __slots__ = ("organization_id", "name", "teams", "principals", "providers", "models", "virtual_models", "prices", "max_stale_ms", "gateway_public_url", "contact", "access_rules", "rate_limits", "budgets", "session_caps", "metadata_keys", "budget_status", "counter_generation", "model_facts", "console_url", "unknown_models", "discounts")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEAMS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_MODELS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    MAX_STALE_MS_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_PUBLIC_URL_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    ACCESS_RULES_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    SESSION_CAPS_FIELD_NUMBER: _ClassVar[int]
    METADATA_KEYS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_STATUS_FIELD_NUMBER: _ClassVar[int]
    COUNTER_GENERATION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FACTS_FIELD_NUMBER: _ClassVar[int]
    CONSOLE_URL_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_MODELS_FIELD_NUMBER: _ClassVar[int]
    DISCOUNTS_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    name: str
    teams: _containers.RepeatedCompositeFieldContainer[Team]
    principals: _containers.RepeatedCompositeFieldContainer[Principal]
    providers: _containers.RepeatedCompositeFieldContainer[Provider]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    virtual_models: _containers.RepeatedCompositeFieldContainer[VirtualModel]
    prices: _containers.RepeatedCompositeFieldContainer[PriceRow]
    max_stale_ms: int
    gateway_public_url: str
    contact: str
    access_rules: _containers.RepeatedCompositeFieldContainer[AccessRule]
    rate_limits: _containers.RepeatedCompositeFieldContainer[RateLimit]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    session_caps: _containers.RepeatedCompositeFieldContainer[SessionCap]
    metadata_keys: _containers.RepeatedCompositeFieldContainer[MetadataKey]
    budget_status: str
    counter_generation: int
    model_facts: _containers.RepeatedCompositeFieldContainer[ModelFacts]
    console_url: str
    unknown_models: str
    discounts: _containers.RepeatedCompositeFieldContainer[Discount]
    def __init__(self, organization_id: _Optional[str] = ..., name: _Optional[str] = ..., teams: _Optional[_Iterable[_Union[Team, _Mapping]]] = ..., principals: _Optional[_Iterable[_Union[Principal, _Mapping]]] = ..., providers: _Optional[_Iterable[_Union[Provider, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., virtual_models: _Optional[_Iterable[_Union[VirtualModel, _Mapping]]] = ..., prices: _Optional[_Iterable[_Union[PriceRow, _Mapping]]] = ..., max_stale_ms: _Optional[int] = ..., gateway_public_url: _Optional[str] = ..., contact: _Optional[str] = ..., access_rules: _Optional[_Iterable[_Union[AccessRule, _Mapping]]] = ..., rate_limits: _Optional[_Iterable[_Union[RateLimit, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ..., session_caps: _Optional[_Iterable[_Union[SessionCap, _Mapping]]] = ..., metadata_keys: _Optional[_Iterable[_Union[MetadataKey, _Mapping]]] = ..., budget_status: _Optional[str] = ..., counter_generation: _Optional[int] = ..., model_facts: _Optional[_Iterable[_Union[ModelFacts, _Mapping]]] = ..., console_url: _Optional[str] = ..., unknown_models: _Optional[str] = ..., discounts: _Optional[_Iterable[_Union[Discount, _Mapping]]] = ...) -> None: ...

class Discount(_message.Message):
    __slots__ = ("id", "vendor", "model_glob", "per_mille", "valid_from_ms", "valid_to_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_GLOB_FIELD_NUMBER: _ClassVar[int]
    PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_MS_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    vendor: str
    model_glob: str
    per_mille: int
    valid_from_ms: int
    valid_to_ms: int
    def __init__(self, id: _Optional[str] = ..., vendor: _Optional[str] = ..., model_glob: _Optional[str] = ..., per_mille: _Optional[int] = ..., valid_from_ms: _Optional[int] = ..., valid_to_ms: _Optional[int] = ...) -> None: ...

class ModelFacts(_message.Message):
    __slots__ = ("vendor", "model", "context_tokens", "max_output_tokens", "retired_at_ms", "bytes_per_token_milli", "expected_per_mille", "calibrated_per_mille")
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RETIRED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_TOKEN_MILLI_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATED_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    vendor: str
    model: str
    context_tokens: int
    max_output_tokens: int
    retired_at_ms: int
    bytes_per_token_milli: int
    expected_per_mille: int
    calibrated_per_mille: int
    def __init__(self, vendor: _Optional[str] = ..., model: _Optional[str] = ..., context_tokens: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., retired_at_ms: _Optional[int] = ..., bytes_per_token_milli: _Optional[int] = ..., expected_per_mille: _Optional[int] = ..., calibrated_per_mille: _Optional[int] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("subjects", "models", "metadata", "clients", "protocols", "hours")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    PROTOCOLS_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.RepeatedCompositeFieldContainer[MetadataMatch]
    clients: _containers.RepeatedScalarFieldContainer[str]
    protocols: _containers.RepeatedScalarFieldContainer[str]
    hours: Hours
    def __init__(self, subjects: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Iterable[_Union[MetadataMatch, _Mapping]]] = ..., clients: _Optional[_Iterable[str]] = ..., protocols: _Optional[_Iterable[str]] = ..., hours: _Optional[_Union[Hours, _Mapping]] = ...) -> None: ...

class MetadataMatch(_message.Message):
    __slots__ = ("key", "values")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    key: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class Hours(_message.Message):
    __slots__ = ("spans", "text")
    SPANS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    text: str
    def __init__(self, spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ..., text: _Optional[str] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start_ms", "end_ms")
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    start_ms: int
    end_ms: int
    def __init__(self, start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ...) -> None: ...

class Periods(_message.Message):
    __slots__ = ("starts_ms", "fixed_ms", "anchor_ms", "timezone", "unit")
    STARTS_MS_FIELD_NUMBER: _ClassVar[int]
    FIXED_MS_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_MS_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    starts_ms: _containers.RepeatedScalarFieldContainer[int]
    fixed_ms: int
    anchor_ms: int
    timezone: str
    unit: str
    def __init__(self, starts_ms: _Optional[_Iterable[int]] = ..., fixed_ms: _Optional[int] = ..., anchor_ms: _Optional[int] = ..., timezone: _Optional[str] = ..., unit: _Optional[str] = ...) -> None: ...

class AccessRule(_message.Message):
    __slots__ = ("id", "name", "mode", "when", "when_not", "allow", "deny")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    WHEN_NOT_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    DENY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    mode: RuleMode
    when: Condition
    when_not: _containers.RepeatedCompositeFieldContainer[Condition]
    allow: Parts
    deny: Parts
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., mode: _Optional[_Union[RuleMode, str]] = ..., when: _Optional[_Union[Condition, _Mapping]] = ..., when_not: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., allow: _Optional[_Union[Parts, _Mapping]] = ..., deny: _Optional[_Union[Parts, _Mapping]] = ...) -> None: ...

class Parts(_message.Message):
    __slots__ = ("models", "providers", "regions", "external")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    providers: _containers.RepeatedScalarFieldContainer[str]
    regions: _containers.RepeatedScalarFieldContainer[str]
    external: bool
    def __init__(self, models: _Optional[_Iterable[str]] = ..., providers: _Optional[_Iterable[str]] = ..., regions: _Optional[_Iterable[str]] = ..., external: _Optional[bool] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("id", "name", "mode", "when", "when_not", "group", "per", "unit", "limit", "burst", "periods", "contact")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    WHEN_NOT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    PERIODS_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    mode: RuleMode
    when: Condition
    when_not: _containers.RepeatedCompositeFieldContainer[Condition]
    group: str
    per: _containers.RepeatedScalarFieldContainer[str]
    unit: RateUnit
    limit: int
    burst: int
    periods: Periods
    contact: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., mode: _Optional[_Union[RuleMode, str]] = ..., when: _Optional[_Union[Condition, _Mapping]] = ..., when_not: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., group: _Optional[str] = ..., per: _Optional[_Iterable[str]] = ..., unit: _Optional[_Union[RateUnit, str]] = ..., limit: _Optional[int] = ..., burst: _Optional[int] = ..., periods: _Optional[_Union[Periods, _Mapping]] = ..., contact: _Optional[str] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("at_percent", "action", "to", "uncached_input_tokens_below", "cache_aware", "told")
    AT_PERCENT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    UNCACHED_INPUT_TOKENS_BELOW_FIELD_NUMBER: _ClassVar[int]
    CACHE_AWARE_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    at_percent: int
    action: StageAction
    to: _containers.RepeatedScalarFieldContainer[str]
    uncached_input_tokens_below: int
    cache_aware: bool
    told: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, at_percent: _Optional[int] = ..., action: _Optional[_Union[StageAction, str]] = ..., to: _Optional[_Iterable[str]] = ..., uncached_input_tokens_below: _Optional[int] = ..., cache_aware: _Optional[bool] = ..., told: _Optional[_Iterable[str]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("id", "name", "mode", "when", "when_not", "group", "per", "limit_nano_usd", "periods", "stages", "bound", "on_counter_outage", "outage_allowance_nano_usd", "grace_turn_nano_usd", "raises", "contact", "counts")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    WHEN_NOT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    PERIODS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    ON_COUNTER_OUTAGE_FIELD_NUMBER: _ClassVar[int]
    OUTAGE_ALLOWANCE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    GRACE_TURN_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    RAISES_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    mode: RuleMode
    when: Condition
    when_not: _containers.RepeatedCompositeFieldContainer[Condition]
    group: str
    per: _containers.RepeatedScalarFieldContainer[str]
    limit_nano_usd: int
    periods: Periods
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    bound: Bound
    on_counter_outage: OutagePolicy
    outage_allowance_nano_usd: int
    grace_turn_nano_usd: int
    raises: _containers.RepeatedCompositeFieldContainer[Raise]
    contact: str
    counts: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., mode: _Optional[_Union[RuleMode, str]] = ..., when: _Optional[_Union[Condition, _Mapping]] = ..., when_not: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., group: _Optional[str] = ..., per: _Optional[_Iterable[str]] = ..., limit_nano_usd: _Optional[int] = ..., periods: _Optional[_Union[Periods, _Mapping]] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., bound: _Optional[_Union[Bound, str]] = ..., on_counter_outage: _Optional[_Union[OutagePolicy, str]] = ..., outage_allowance_nano_usd: _Optional[int] = ..., grace_turn_nano_usd: _Optional[int] = ..., raises: _Optional[_Iterable[_Union[Raise, _Mapping]]] = ..., contact: _Optional[str] = ..., counts: _Optional[str] = ...) -> None: ...

class Raise(_message.Message):
    __slots__ = ("counter", "amount_nano_usd", "from_ms", "until_ms", "id")
    COUNTER_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    counter: str
    amount_nano_usd: int
    from_ms: int
    until_ms: int
    id: str
    def __init__(self, counter: _Optional[str] = ..., amount_nano_usd: _Optional[int] = ..., from_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., id: _Optional[str] = ...) -> None: ...

class SessionCap(_message.Message):
    __slots__ = ("id", "name", "mode", "when", "when_not", "group", "max_cost_nano_usd", "max_turns", "max_request_retries", "max_consecutive_failed_tool_results", "max_repeats_of_same_tool_call", "per_key_hour_factor", "contact")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    WHEN_NOT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    MAX_TURNS_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_RETRIES_FIELD_NUMBER: _ClassVar[int]
    MAX_CONSECUTIVE_FAILED_TOOL_RESULTS_FIELD_NUMBER: _ClassVar[int]
    MAX_REPEATS_OF_SAME_TOOL_CALL_FIELD_NUMBER: _ClassVar[int]
    PER_KEY_HOUR_FACTOR_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    mode: RuleMode
    when: Condition
    when_not: _containers.RepeatedCompositeFieldContainer[Condition]
    group: str
    max_cost_nano_usd: int
    max_turns: int
    max_request_retries: int
    max_consecutive_failed_tool_results: int
    max_repeats_of_same_tool_call: int
    per_key_hour_factor: int
    contact: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., mode: _Optional[_Union[RuleMode, str]] = ..., when: _Optional[_Union[Condition, _Mapping]] = ..., when_not: _Optional[_Iterable[_Union[Condition, _Mapping]]] = ..., group: _Optional[str] = ..., max_cost_nano_usd: _Optional[int] = ..., max_turns: _Optional[int] = ..., max_request_retries: _Optional[int] = ..., max_consecutive_failed_tool_results: _Optional[int] = ..., max_repeats_of_same_tool_call: _Optional[int] = ..., per_key_hour_factor: _Optional[int] = ..., contact: _Optional[str] = ...) -> None: ...

class MetadataKey(_message.Message):
    __slots__ = ("key", "is_required", "values", "pattern", "counts_unknown_as_other")
    KEY_FIELD_NUMBER: _ClassVar[int]
    IS_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    COUNTS_UNKNOWN_AS_OTHER_FIELD_NUMBER: _ClassVar[int]
    key: str
    is_required: bool
    values: _containers.RepeatedScalarFieldContainer[str]
    pattern: str
    counts_unknown_as_other: bool
    def __init__(self, key: _Optional[str] = ..., is_required: _Optional[bool] = ..., values: _Optional[_Iterable[str]] = ..., pattern: _Optional[str] = ..., counts_unknown_as_other: _Optional[bool] = ...) -> None: ...

class VirtualKey(_message.Message):
    __slots__ = ("id", "digest", "pepper_version", "principal_id", "team_id", "models", "expires_at_ms", "tags", "name", "prefix", "routes", "source_networks")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PEPPER_VERSION_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_NETWORKS_FIELD_NUMBER: _ClassVar[int]
    id: str
    digest: bytes
    pepper_version: int
    principal_id: str
    team_id: str
    models: _containers.RepeatedScalarFieldContainer[str]
    expires_at_ms: int
    tags: _containers.ScalarMap[str, str]
    name: str
    prefix: str
    routes: _containers.RepeatedScalarFieldContainer[str]
    source_networks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., digest: _Optional[bytes] = ..., pepper_version: _Optional[int] = ..., principal_id: _Optional[str] = ..., team_id: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., expires_at_ms: _Optional[int] = ..., tags: _Optional[_Mapping[str, str]] = ..., name: _Optional[str] = ..., prefix: _Optional[str] = ..., routes: _Optional[_Iterable[str]] = ..., source_networks: _Optional[_Iterable[str]] = ...) -> None: ...

class KeyShard(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[VirtualKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[VirtualKey, _Mapping]]] = ...) -> None: ...

class Revocation(_message.Message):
    __slots__ = ("key_id", "revoked_at_ms", "cut_streams", "note")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    CUT_STREAMS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    revoked_at_ms: int
    cut_streams: bool
    note: str
    def __init__(self, key_id: _Optional[str] = ..., revoked_at_ms: _Optional[int] = ..., cut_streams: _Optional[bool] = ..., note: _Optional[str] = ...) -> None: ...

class DenyShard(_message.Message):
    __slots__ = ("keys", "principal_ids")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_IDS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[Revocation]
    principal_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[_Union[Revocation, _Mapping]]] = ..., principal_ids: _Optional[_Iterable[str]] = ...) -> None: ...
