from switchyard_contract.v1 import snapshot_pb2 as _snapshot_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NackCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NACK_CODE_UNSPECIFIED: _ClassVar[NackCode]
    NACK_CODE_BAD_SIGNATURE: _ClassVar[NackCode]
    NACK_CODE_UNKNOWN_SIGNING_KEY: _ClassVar[NackCode]
    NACK_CODE_WRONG_DEPLOYMENT: _ClassVar[NackCode]
    NACK_CODE_WRONG_SHARD: _ClassVar[NackCode]
    NACK_CODE_ROLLBACK: _ClassVar[NackCode]
    NACK_CODE_DIGEST_MISMATCH: _ClassVar[NackCode]
    NACK_CODE_TOO_LARGE: _ClassVar[NackCode]
    NACK_CODE_UNREADABLE: _ClassVar[NackCode]
    NACK_CODE_INVALID: _ClassVar[NackCode]
    NACK_CODE_READER_TOO_OLD: _ClassVar[NackCode]
    NACK_CODE_CRASHED: _ClassVar[NackCode]
NACK_CODE_UNSPECIFIED: NackCode
NACK_CODE_BAD_SIGNATURE: NackCode
NACK_CODE_UNKNOWN_SIGNING_KEY: NackCode
NACK_CODE_WRONG_DEPLOYMENT: NackCode
NACK_CODE_WRONG_SHARD: NackCode
NACK_CODE_ROLLBACK: NackCode
NACK_CODE_DIGEST_MISMATCH: NackCode
NACK_CODE_TOO_LARGE: NackCode
NACK_CODE_UNREADABLE: NackCode
NACK_CODE_INVALID: NackCode
NACK_CODE_READER_TOO_OLD: NackCode
NACK_CODE_CRASHED: NackCode

class PodMessage(_message.Message):
    __slots__ = ("hello", "ack", "nack", "status")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    ack: Ack
    nack: Nack
    status: Status
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., nack: _Optional[_Union[Nack, _Mapping]] = ..., status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class Have(_message.Message):
    __slots__ = ("shard", "epoch", "version", "payload_sha256")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_SHA256_FIELD_NUMBER: _ClassVar[int]
    shard: str
    epoch: int
    version: int
    payload_sha256: bytes
    def __init__(self, shard: _Optional[str] = ..., epoch: _Optional[int] = ..., version: _Optional[int] = ..., payload_sha256: _Optional[bytes] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("pod_id", "boot_id", "contract_revision", "x25519_public_key", "have", "software_version", "address")
    POD_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_REVISION_FIELD_NUMBER: _ClassVar[int]
    X25519_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    pod_id: str
    boot_id: bytes
    contract_revision: int
    x25519_public_key: bytes
    have: _containers.RepeatedCompositeFieldContainer[Have]
    software_version: str
    address: str
    def __init__(self, pod_id: _Optional[str] = ..., boot_id: _Optional[bytes] = ..., contract_revision: _Optional[int] = ..., x25519_public_key: _Optional[bytes] = ..., have: _Optional[_Iterable[_Union[Have, _Mapping]]] = ..., software_version: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("nonce", "shard", "epoch", "version")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    shard: str
    epoch: int
    version: int
    def __init__(self, nonce: _Optional[bytes] = ..., shard: _Optional[str] = ..., epoch: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("nonce", "shard", "epoch", "offered", "running", "code", "detail")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    shard: str
    epoch: int
    offered: int
    running: int
    code: NackCode
    detail: str
    def __init__(self, nonce: _Optional[bytes] = ..., shard: _Optional[str] = ..., epoch: _Optional[int] = ..., offered: _Optional[int] = ..., running: _Optional[int] = ..., code: _Optional[_Union[NackCode, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("in_flight", "spool_records", "spool_bytes", "counters_reachable", "draining", "loop_lag_ms", "have", "degraded")
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    SPOOL_RECORDS_FIELD_NUMBER: _ClassVar[int]
    SPOOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_REACHABLE_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    LOOP_LAG_MS_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    in_flight: int
    spool_records: int
    spool_bytes: int
    counters_reachable: bool
    draining: bool
    loop_lag_ms: int
    have: _containers.RepeatedCompositeFieldContainer[Have]
    degraded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, in_flight: _Optional[int] = ..., spool_records: _Optional[int] = ..., spool_bytes: _Optional[int] = ..., counters_reachable: _Optional[bool] = ..., draining: _Optional[bool] = ..., loop_lag_ms: _Optional[int] = ..., have: _Optional[_Iterable[_Union[Have, _Mapping]]] = ..., degraded: _Optional[_Iterable[str]] = ...) -> None: ...

class ControlMessage(_message.Message):
    __slots__ = ("nonce", "update", "beacon", "keys", "forget")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    BEACON_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    FORGET_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    update: Update
    beacon: Beacon
    keys: KeyEnvelope
    forget: Forget
    def __init__(self, nonce: _Optional[bytes] = ..., update: _Optional[_Union[Update, _Mapping]] = ..., beacon: _Optional[_Union[Beacon, _Mapping]] = ..., keys: _Optional[_Union[KeyEnvelope, _Mapping]] = ..., forget: _Optional[_Union[Forget, _Mapping]] = ...) -> None: ...

class Update(_message.Message):
    __slots__ = ("shard",)
    SHARD_FIELD_NUMBER: _ClassVar[int]
    shard: _snapshot_pb2.SealedShard
    def __init__(self, shard: _Optional[_Union[_snapshot_pb2.SealedShard, _Mapping]] = ...) -> None: ...

class Beacon(_message.Message):
    __slots__ = ("body", "signature")
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    signature: bytes
    def __init__(self, body: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class BeaconBody(_message.Message):
    __slots__ = ("domain", "deployment", "sequence", "issued_at_ms", "shards_sha256", "live_pods", "signing_key_id")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SHARDS_SHA256_FIELD_NUMBER: _ClassVar[int]
    LIVE_PODS_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    domain: str
    deployment: str
    sequence: int
    issued_at_ms: int
    shards_sha256: bytes
    live_pods: int
    signing_key_id: str
    def __init__(self, domain: _Optional[str] = ..., deployment: _Optional[str] = ..., sequence: _Optional[int] = ..., issued_at_ms: _Optional[int] = ..., shards_sha256: _Optional[bytes] = ..., live_pods: _Optional[int] = ..., signing_key_id: _Optional[str] = ...) -> None: ...

class KeyEnvelope(_message.Message):
    __slots__ = ("ephemeral_public_key", "nonce", "ciphertext")
    EPHEMERAL_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    ephemeral_public_key: bytes
    nonce: bytes
    ciphertext: bytes
    def __init__(self, ephemeral_public_key: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ...) -> None: ...

class KeyMaterial(_message.Message):
    __slots__ = ("peppers", "sealing_keys")
    class PeppersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: bytes
        def __init__(self, key: _Optional[int] = ..., value: _Optional[bytes] = ...) -> None: ...
    class SealingKeysEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: bytes
        def __init__(self, key: _Optional[int] = ..., value: _Optional[bytes] = ...) -> None: ...
    PEPPERS_FIELD_NUMBER: _ClassVar[int]
    SEALING_KEYS_FIELD_NUMBER: _ClassVar[int]
    peppers: _containers.ScalarMap[int, bytes]
    sealing_keys: _containers.ScalarMap[int, bytes]
    def __init__(self, peppers: _Optional[_Mapping[int, bytes]] = ..., sealing_keys: _Optional[_Mapping[int, bytes]] = ...) -> None: ...

class Forget(_message.Message):
    __slots__ = ("shard",)
    SHARD_FIELD_NUMBER: _ClassVar[int]
    shard: str
    def __init__(self, shard: _Optional[str] = ...) -> None: ...
