"""Commands of whoever runs the installation: what they make, and what they tell once."""

from pathlib import Path

import pytest
from django.contrib.auth import authenticate

from control_plane.keys.selectors import pod_tokens
from control_plane.keys.services import pod_token_authenticate
from control_plane.organizations.models import Membership, Organization, Role
from control_plane.project.operator_commands import run_bootstrap, run_pod_token
from control_plane.snapshots.selectors import organizations_without_shards
from tests.builders.tenants import a_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_join_token_is_made_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_pod_token(["create", "--name", "eu pods"]) == 0
    token = capsys.readouterr().out.strip()
    assert pod_token_authenticate(token) is not None

    assert run_pod_token(["list"]) == 0
    listed = capsys.readouterr().out
    assert "eu pods" in listed
    assert token not in listed

    assert run_pod_token(["revoke", "eu pods"]) == 0
    assert pod_token_authenticate(token) is None
    assert not pod_tokens().exists()
    assert run_pod_token(["revoke", "eu pods"]) == 1
    assert "0 tokens in force" in capsys.readouterr().err


def test_a_first_organization_gets_an_owner_who_can_sign_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_bootstrap(["--organization", "Initech Ltd", "--email", "Ada@initech.example"]) == 0
    told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())

    assert told["organization"] == "Initech Ltd (initech-ltd)"
    assert authenticate(username="ada@initech.example", password=told["password"]) is not None
    assert Membership.objects.get().role == Role.OWNER
    assert organizations_without_shards() == []
    assert run_bootstrap(["--organization", "Initech Ltd", "--email", "ada@initech.example"]) == 1
    assert "already" in capsys.readouterr().err


def test_a_password_from_a_file_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "password"
    file.write_text("chosen by the operator\n")
    arguments = ["--organization", "Acme", "--email", "ada@acme.example", "--password-file", str(file)]

    assert run_bootstrap(arguments) == 0

    assert "chosen" not in capsys.readouterr().out
    assert authenticate(username="ada@acme.example", password="chosen by the operator") is not None


def test_a_weak_password_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "password"
    file.write_text("short")

    assert run_bootstrap(["--organization", "A", "--email", "a@a.example", "--password-file", str(file)]) == 1

    assert "password" in capsys.readouterr().err
    assert not Organization.objects.exists()


def test_the_operator_brings_an_account_into_another_organization(capsys: pytest.CaptureFixture[str]) -> None:
    run_bootstrap(["--organization", "Acme", "--email", "ada@acme.example"])
    person = a_user("bob@globex.example")
    before = person.password

    assert run_bootstrap(["--organization", "Acme", "--email", person.email, "--role", "member"]) == 0

    person.refresh_from_db()
    assert person.password == before
    assert Membership.objects.get(user=person).role == Role.MEMBER
