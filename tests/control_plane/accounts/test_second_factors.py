"""Second factors from set-up to removal."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.exceptions import ValidationError

from control_plane.accounts.models import RecoveryCode, SecondFactor, User
from control_plane.accounts.selectors import has_second_factor, recovery_codes_left
from control_plane.accounts.services import (
    FreshFactor,
    recovery_codes_renew,
    second_factor_begin,
    second_factor_confirm,
    second_factor_remove,
    second_factor_verify,
)
from control_plane.accounts.totp import STEP_S, code_at
from control_plane.audit.selectors import changes_of
from tests.builders.tenants import SYSTEM, a_user

pytestmark = pytest.mark.django_db
NOW_S = 1_800_000_000.0


def app_code(fresh: FreshFactor, *, at_s: float = NOW_S) -> str:
    """What the app on the phone shows."""
    (secret,) = parse_qs(urlsplit(fresh.uri).query)["secret"]
    return code_at(base64.b32decode(secret), int(at_s // STEP_S))


def with_factor(user: User) -> tuple[FreshFactor, list[str]]:
    fresh = second_factor_begin(user=user)
    return fresh, second_factor_confirm(user=user, code=app_code(fresh), actor=SYSTEM)


@time_machine.travel(NOW_S, tick=False)
def test_a_factor_counts_from_the_first_code_on() -> None:
    user = a_user()
    fresh = second_factor_begin(user=user)
    assert not has_second_factor(user)
    assert not second_factor_verify(user=user, code=app_code(fresh), actor=SYSTEM)
    with pytest.raises(ValidationError):
        second_factor_confirm(user=user, code="000000", actor=SYSTEM)
    codes = second_factor_confirm(user=user, code=app_code(fresh), actor=SYSTEM)
    assert has_second_factor(user)
    assert len(set(codes)) == recovery_codes_left(user) == 10


@time_machine.travel(NOW_S, tick=False)
def test_a_set_up_left_half_way_shows_the_same_secret_again() -> None:
    user = a_user()
    assert second_factor_begin(user=user) == second_factor_begin(user=user)


def test_a_code_is_good_once() -> None:
    user = a_user()
    with time_machine.travel(NOW_S, tick=False) as clock:
        fresh, _ = with_factor(user)
        assert not second_factor_verify(user=user, code=app_code(fresh), actor=SYSTEM)
        clock.move_to(NOW_S + 30)
        assert second_factor_verify(user=user, code=app_code(fresh, at_s=NOW_S + 30), actor=SYSTEM)
        assert not second_factor_verify(user=user, code=app_code(fresh, at_s=NOW_S + 30), actor=SYSTEM)


@time_machine.travel(NOW_S, tick=False)
def test_a_recovery_code_is_good_once_and_for_its_owner_alone() -> None:
    user, other = a_user(), a_user("other@example.com")
    _, codes = with_factor(user)
    with_factor(other)
    assert not second_factor_verify(user=other, code=codes[0], actor=SYSTEM)
    assert second_factor_verify(user=user, code=codes[0].upper(), actor=SYSTEM)
    assert not second_factor_verify(user=user, code=codes[0], actor=SYSTEM)
    assert recovery_codes_left(user) == 9


@time_machine.travel(NOW_S, tick=False)
def test_new_recovery_codes_end_the_old_ones() -> None:
    user = a_user()
    _, old = with_factor(user)
    fresh = recovery_codes_renew(user=user, actor=SYSTEM)
    assert not second_factor_verify(user=user, code=old[0], actor=SYSTEM)
    assert second_factor_verify(user=user, code=fresh[0], actor=SYSTEM)


@time_machine.travel(NOW_S, tick=False)
def test_a_removed_factor_leaves_nothing_behind() -> None:
    user = a_user()
    with_factor(user)
    second_factor_remove(user=user, actor=SYSTEM)
    assert not has_second_factor(user)
    assert not RecoveryCode.objects.filter(user=user).exists()
    with pytest.raises(ValidationError):
        recovery_codes_renew(user=user, actor=SYSTEM)


@time_machine.travel(NOW_S, tick=False)
def test_neither_row_nor_audit_holds_a_secret() -> None:
    user = a_user()
    fresh, codes = with_factor(user)
    row = SecondFactor.objects.get(user=user)
    stored = bytes(row.sealed_ciphertext) + bytes(row.sealed_nonce)
    assert base64.b32decode(fresh.secret).hex().encode() not in stored
    written = " ".join(f"{row.action} {row.before} {row.after}" for row in changes_of(None))
    assert "user.second_factor_added" in written
    assert fresh.secret not in written
    assert not any(code in written for code in codes)
    assert fresh.secret not in repr(fresh)
