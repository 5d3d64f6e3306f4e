"""Messages with every field set to something of its own, for the golden files.

`python -m tests.contract.golden_messages` writes the files of the present revision that are not there yet. A file once
committed is never written again: it stands for the bytes that pods and control planes of that revision send.
"""

import json
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from switchyard_contract.revision import REVISION
from switchyard_contract.seal import ShardVersion, SigningKey, seal, seal_beacon
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2, usage_pb2

GOLDEN = Path(__file__).parent / "golden"
KEY = SigningKey("golden", bytes(range(32)))
DEPLOYMENT = "golden-deployment"
PAYLOAD = b"golden payload, sealed once and for all"


def filled(message_type: type[Message], arm: str = "") -> Message:
    """Make a message with every field set; of a oneof only `arm`."""
    message = message_type()
    _fill(message, arm)
    return message


def _fill(message: Message, arm: str) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is not None and not _is_optional(field) and field.name != arm:
            continue
        if _is_map(field):
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            getattr(message, field.name)[_scalar(key)] = _scalar(value)
        elif field.is_repeated:
            for number in (0, 1):
                if field.message_type is not None:
                    _fill(getattr(message, field.name).add(), arm)
                else:
                    getattr(message, field.name).append(_scalar(field, number))
        elif field.message_type is not None:
            _fill(getattr(message, field.name), arm)
            getattr(message, field.name).SetInParent()
        else:
            setattr(message, field.name, _scalar(field))


def _scalar(field: FieldDescriptor, number: int = 0) -> object:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = f"{field.name} {number} ä"
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_ENUM:
            return field.enum_type.values[-1].number
        case FieldDescriptor.CPPTYPE_INT64 | FieldDescriptor.CPPTYPE_UINT64:
            return (1 << 40) + 1000 * field.number + number
    return 1000 * field.number + number


def _is_map(field: FieldDescriptor) -> bool:
    kind: Descriptor | None = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _is_optional(field: FieldDescriptor) -> bool:
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"


def messages() -> dict[str, Message]:
    """Every message that crosses between the planes or lies on a disk, by the name of its file."""
    at = ShardVersion(epoch=3, version=41)
    found: dict[str, Message] = {
        "sealed": seal(PAYLOAD, deployment=DEPLOYMENT, shard="global", at=at, issued_at_ms=1_790_000_000_000, key=KEY),
        "sealed_beacon": seal_beacon(delivery_pb2.BeaconBody(deployment=DEPLOYMENT, sequence=7), KEY),
        "key_material": filled(delivery_pb2.KeyMaterial),
    }
    for kind in (snapshot_pb2.GlobalShard, snapshot_pb2.PolicyShard, snapshot_pb2.KeyShard, snapshot_pb2.DenyShard):
        found[kind.DESCRIPTOR.name] = filled(kind)
    for kind in (usage_pb2.UsageBatch, usage_pb2.UsageReceipt, snapshot_pb2.SealHeader, delivery_pb2.BeaconBody):
        found[kind.DESCRIPTOR.name] = filled(kind)
    for kind in (delivery_pb2.PodMessage, delivery_pb2.ControlMessage):
        for arm in kind.DESCRIPTOR.oneofs_by_name["message"].fields:
            found[f"{kind.DESCRIPTOR.name}.{arm.name}"] = filled(kind, arm.name)
    return found


def meaning(message: Message) -> object:
    """What a message says, as plain values."""
    return MessageToDict(message, preserving_proto_field_name=True)


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, message in messages().items():
        path = folder / f"{name}.bin"
        if not path.exists():
            path.write_bytes(message.SerializeToString(deterministic=True))
            text = json.dumps(meaning(message), indent=1, ensure_ascii=False, sort_keys=True)
            (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(GOLDEN / f"revision-{REVISION}")
