"""Codes of authenticator apps, against the numbers of the standard."""

import pytest

from control_plane.accounts.totp import code_at, provisioning_uri, recovery_code, recovery_digest, step_of

SECRET = b"12345678901234567890"
NOW_S = 1_111_111_109.0
STEP = int(NOW_S // 30)


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_the_codes_of_rfc_6238_come_out(at_s: int, code: str) -> None:
    assert code_at(SECRET, at_s // 30) == code


def test_a_code_is_good_one_step_either_way() -> None:
    found = [step_of(SECRET, code_at(SECRET, STEP + off), now_s=NOW_S, after_step=0) for off in (-2, -1, 0, 1, 2)]
    assert found == [None, STEP - 1, STEP, STEP + 1, None]


def test_a_code_is_good_once_and_so_is_every_code_before_it() -> None:
    assert step_of(SECRET, code_at(SECRET, STEP), now_s=NOW_S, after_step=STEP) is None
    assert step_of(SECRET, code_at(SECRET, STEP - 1), now_s=NOW_S, after_step=STEP) is None
    assert step_of(SECRET, code_at(SECRET, STEP + 1), now_s=NOW_S, after_step=STEP) == STEP + 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-81804", "0818 0", "²²²²²²"])
def test_what_is_no_code_is_no_code(typed: str) -> None:
    assert step_of(SECRET, typed, now_s=NOW_S, after_step=0) is None


def test_spaces_in_a_code_do_not_matter() -> None:
    assert step_of(SECRET, " 081 804 ", now_s=NOW_S, after_step=0) == STEP


def test_the_address_in_the_qr_code_names_both() -> None:
    assert provisioning_uri(SECRET, account="ada@example.com", issuer="Switch yard") == (
        "otpauth://totp/Switch%20yard:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Switch%20yard"
    )


def test_a_recovery_code_is_the_same_however_it_is_typed() -> None:
    code = recovery_code(bytes(range(10)))
    assert code == "aaaq-eaye-auda-ocaj"
    assert recovery_digest("u", code) == recovery_digest("u", code.upper().replace("-", " "))
    assert recovery_digest("u", code) != recovery_digest("v", code)
