"""The control plane's settings: everything that is wrong is named at once, and no secret is repeated."""

import base64
import re

import pytest

from control_plane.project.environment import (
    database_from_url,
    read_control_settings,
    read_signing_key,
    read_versioned_keys,
)
from switchyard_contract.settings import InvalidSettings
from tests.environment import choose_places

SECRET = base64.b64encode(b"x" * 32).decode()


def test_the_tests_own_environment_is_a_valid_one() -> None:
    environment = choose_places().settings()
    found = read_control_settings(environment)
    assert found.deployment_id == environment["SWITCHYARD_DEPLOYMENT_ID"]
    assert found.has_secure_cookies is False
    shown = repr(found)
    for name in ("SWITCHYARD_SIGNING_KEY", "SWITCHYARD_PEPPER", "SWITCHYARD_SEALING_KEY"):
        assert environment[name].split(":")[1] not in shown
    assert environment["SWITCHYARD_SECRET_KEY"] not in shown
    assert environment["DATABASE_URL"] not in shown


def test_every_wrong_setting_is_named_at_once() -> None:
    environment = {
        **choose_places().settings(),
        "SWITCHYARD_PEPPER": "nonsense",
        "SWITCHYARD_SIGNING_KEY": f"only-{SECRET}",
        "SWITCHYARD_PRIVATE_NETWORKS": "10.0.0.0/8, everywhere",
        "SWITCHYARD_GRPC_TLS_CERT": "/some/cert.pem",
        "DATABASE_URL": "mysql://x",
    }
    with pytest.raises(InvalidSettings) as failure:
        read_control_settings(environment)
    named = {problem.split(":")[0] for problem in failure.value.problems}
    assert named == {
        "SWITCHYARD_PEPPER",
        "SWITCHYARD_SIGNING_KEY",
        "SWITCHYARD_PRIVATE_NETWORKS",
        "SWITCHYARD_GRPC_TLS_CERT",
        "DATABASE_URL",
    }
    assert SECRET not in str(failure.value)


def test_versioned_keys_know_their_newest() -> None:
    newer = base64.b64encode(b"y" * 32).decode()
    keys = read_versioned_keys(f"1:{SECRET},2:{newer}")
    assert keys.newest == (2, b"y" * 32)


@pytest.mark.parametrize("text", ["", "1", f"0:{SECRET}", f"x:{SECRET}", "1:short", f"1:{SECRET},1:{SECRET}", "1:*"])
def test_malformed_keys_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is not|holds|names)") as failure:
        read_versioned_keys(text)
    assert SECRET not in str(failure.value)


def test_a_signing_key_has_a_name() -> None:
    assert read_signing_key(f"2026-11:{SECRET}").key_id == "2026-11"
    with pytest.raises(ValueError, match="key id"):
        read_signing_key(SECRET)


def test_a_database_url_is_taken_apart() -> None:
    found = database_from_url("postgresql://ada:p%40ss@db.example.com:5433/yard?sslmode=require")
    assert {name: found[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")} == {
        "USER": "ada",
        "PASSWORD": "p@ss",
        "HOST": "db.example.com",
        "PORT": "5433",
        "NAME": "yard",
        "OPTIONS": {"sslmode": "require", "connect_timeout": 5, "options": "-c jit=off -c work_mem=16MB"},
    }
    socket = database_from_url("postgresql:///yard?host=/run/postgresql&user=ada")
    assert (socket["HOST"], socket["PORT"], socket["USER"]) == ("/run/postgresql", "", "ada")
    given = database_from_url("postgresql://db/yard?options=-c%20work_mem%3D64MB")
    assert given["OPTIONS"] == {"options": "-c work_mem=64MB", "connect_timeout": 5}, "what is chosen is left alone"
    with pytest.raises(ValueError, match=re.escape("postgresql://")):
        database_from_url("sqlite:///x")
