"""Records survive damage around them."""

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.usage.record import Damage, Record, RecordKind, encode_record, read_records

PAYLOADS = st.lists(st.binary(max_size=300), min_size=1, max_size=12)


def written(tmp_path: Path, content: bytes) -> int:
    path = tmp_path / "segment"
    path.write_bytes(content)
    return os.open(path, os.O_RDWR)


def read_back(content: bytes, folder: Path) -> tuple[list[bytes], list[Damage]]:
    file = written(folder, content)
    try:
        found = list(read_records(file))
    finally:
        os.close(file)
    return [each.payload for each in found if isinstance(each, Record)], [
        each for each in found if isinstance(each, Damage)
    ]


def encoded(payloads: list[bytes]) -> list[bytes]:
    return [encode_record(RecordKind.FINAL, number, "01J", 1, each) for number, each in enumerate(payloads, 1)]


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    content = encode_record(RecordKind.PROGRESS, 0, "01JD0000000000000000000000", 3, b"payload")
    file = written(tmp_path, content + bytes(5000))
    assert list(read_records(file)) == [
        Record(RecordKind.PROGRESS, 0, "01JD0000000000000000000000", 3, b"payload", len(content))
    ]
    os.close(file)


@settings(max_examples=60, deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_a_cut_anywhere_costs_only_what_it_cut(tmp_path_factory, payloads: list[bytes], data: st.DataObject) -> None:
    records = encoded(payloads)
    whole = b"".join(records)
    cut = data.draw(st.integers(0, len(whole)))
    kept, end = 0, 0
    for record in records:
        end += len(record)
        kept += end <= cut
    found, _ = read_back(whole[:cut], tmp_path_factory.mktemp("cut"))
    assert found == payloads[:kept]


@settings(max_examples=60, deadline=None)
@given(payloads=PAYLOADS, data=st.data())
def test_a_flipped_bit_costs_only_its_record(tmp_path_factory, payloads: list[bytes], data: st.DataObject) -> None:
    records = encoded(payloads)
    hit = data.draw(st.integers(0, len(records) - 1))
    at, bit = data.draw(st.integers(0, len(records[hit]) - 1)), data.draw(st.integers(0, 7))
    broken = bytearray(records[hit])
    broken[at] ^= 1 << bit
    content = b"".join(records[:hit]) + bytes(broken) + b"".join(records[hit + 1 :])
    found, damage = read_back(content + bytes(100), tmp_path_factory.mktemp("flip"))
    assert found == payloads[:hit] + payloads[hit + 1 :]
    assert [each.is_tail for each in damage] == [hit == len(records) - 1]


def test_records_lie_across_the_blocks_a_file_is_read_in(tmp_path: Path) -> None:
    payloads = [bytes([number % 251]) * 700_001 for number in range(15)]
    found, damage = read_back(b"".join(encoded(payloads)), tmp_path)
    assert (found, damage) == (payloads, [])


def test_damage_across_a_block_border_is_stepped_over(tmp_path: Path) -> None:
    first = encode_record(RecordKind.FINAL, 1, "a", 1, b"first")
    last = encode_record(RecordKind.FINAL, 2, "b", 1, b"last")
    for size in (4 * 1024 * 1024 - len(first) - 2, 9 * 1024 * 1024):
        found, damage = read_back(first + b"\xee" * size + last, tmp_path)
        assert found == [b"first", b"last"]
        assert damage == [Damage(len(first), size, is_tail=False)]
