from data_plane.counters.packing import Aim, PackedClaims
from data_plane.policy.claims import REQUEST, SESSION, Claims, RateKind
from tests.data_plane.counters.builders import ORGANIZATION, a_budget, a_rate, claims_of


def claims() -> Claims:
    """A session's turns, its repeated requests, and a budget of the session."""
    return claims_of(
        a_rate(id="turns", kind=RateKind.PERIOD, period="0", counts_session=True),
        a_rate(id="retries", kind=RateKind.PERIOD, period="0", counts_session=True, counter=f"{REQUEST}/"),
        a_budget(counts_session=True),
    )


def seen(aim: Aim) -> tuple[object, ...]:
    return aim.rate_keys, aim.budget_keys, aim.reserve((1,), [(2,)]), aim.extend((1,)), aim.settle((1,), [(2,)])


def test_a_counter_is_of_its_session_and_its_request() -> None:
    aim = PackedClaims(claims()).aim("s/1", b"\x01" * 8)

    assert aim.rate_keys == (
        f"r:{{{ORGANIZATION}}}:turns:0:s%2F1",
        f"r:{{{ORGANIZATION}}}:retries:0:{'01' * 8}/s%2F1",
    )
    assert aim.budget_keys == (f"b:{{{ORGANIZATION}}}:budget:0:s%2F1",)
    assert SESSION not in str(seen(aim))


def test_a_request_put_into_the_bytes_that_are_there_is_what_writing_them_anew_gives() -> None:
    packed = PackedClaims(claims())
    first = packed.aim("s", b"\x01" * 8)

    again = packed.aim("s", b"\x02" * 8)

    assert seen(again) == seen(PackedClaims(claims())._write("s", b"\x02" * 8))
    assert seen(again) != seen(first)
    assert packed.aim("s", b"\x02" * 8) is again


def test_a_request_of_another_length_is_written_by_itself() -> None:
    packed = PackedClaims(claims())

    assert packed.aim("s", b"abc").rate_keys[1].endswith(":616263/s")


def test_where_nothing_counts_requests_all_of_a_session_are_one() -> None:
    packed = PackedClaims(claims_of(a_budget(counts_session=True)))

    assert packed.aim("s", b"\x01" * 8) is packed.aim("s", b"\x02" * 8)
    assert packed.aim("s") is not packed.aim("t")


def test_only_so_many_are_remembered() -> None:
    packed = PackedClaims(claims())

    for number in range(1000):
        packed.aim(f"s{number % 7}", number.to_bytes(8, "big"))

    assert len(packed._aims) <= 64
