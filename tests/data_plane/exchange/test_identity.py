import re

from data_plane.exchange.identity import continue_trace, make_exchange_id


def test_an_exchange_id_is_a_ulid_that_sorts_by_time() -> None:
    early = make_exchange_id(1_700_000_000_000, b"\xff" * 16)
    late = make_exchange_id(1_700_000_000_001, b"\x00" * 16)
    assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", early)
    assert early < late


def test_an_exchange_id_is_the_known_ulid_of_its_parts() -> None:
    # The ULID specification's own example instant.
    assert make_exchange_id(1_469_918_176_385, bytes(16)) == "01ARYZ6S41" + "0" * 16


def test_every_character_of_chance_is_as_likely_as_any_other() -> None:
    signs = "".join(make_exchange_id(0, bytes(range(at, at + 16)))[10:] for at in range(0, 256, 16))
    assert {signs.count(sign) for sign in "0123456789ABCDEFGHJKMNPQRSTVWXYZ"} == {8}


def test_a_callers_trace_goes_on_with_a_span_of_ours() -> None:
    offered = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    assert continue_trace(offered, bytes(range(16))) == "00-4bf92f3577b34da6a3ce929d0e0e4736-0001020304050607-00"


def test_a_malformed_or_empty_trace_is_replaced() -> None:
    for offered in (None, b"garbage", b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"):
        assert continue_trace(offered, b"\x01" * 16) == "00-" + "01" * 16 + "-" + "01" * 8 + "-01"
