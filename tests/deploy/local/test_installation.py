"""The secrets of a local installation: made once, kept, private."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from deploy.local.installation import new_installation, open_installation, secret_path, verify_keys_of
from deploy.local.private_file import write_private
from switchyard_contract.seal import SigningKey


def test_an_installation_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    first, second = open_installation(tmp_path / "secrets"), open_installation(tmp_path / "secrets")
    assert first == second
    assert new_installation() != new_installation()


def test_what_is_missing_is_made_and_what_is_there_stays(tmp_path: Path) -> None:
    first = open_installation(tmp_path)
    secret_path(tmp_path, "SWITCHYARD_PEPPER").unlink()
    second = open_installation(tmp_path)
    changed = {name for name in first.secrets if first.secrets[name] != second.secrets[name]}
    assert changed == {"SWITCHYARD_PEPPER"}


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    open_installation(tmp_path / "secrets")
    files = list((tmp_path / "secrets").iterdir())
    assert len(files) == 10
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_pods_trust_the_public_half_of_the_signing_key(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    key_id, _, private = installation.secrets["SWITCHYARD_SIGNING_KEY"].partition(":")
    trusted_id, _, public = installation.secrets["SWITCHYARD_VERIFY_KEYS"].partition(":")
    signature = SigningKey(key_id, base64.b64decode(private)).sign(b"message")
    Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(signature, b"message")
    assert key_id == trusted_id
    assert private not in secret_path(tmp_path, "SWITCHYARD_VERIFY_KEYS").read_text()


def test_a_signing_key_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="<key id>:<base64 of 32 bytes>"):
        verify_keys_of("no colon here")


def test_secrets_never_show_in_a_repr(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    shown = repr(installation)
    assert not [value for value in (*installation.secrets.values(), *installation.passwords.values()) if value in shown]


def test_a_private_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_private_file_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "file", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
