"""The secrets of a local installation: made once, kept in files that only their owner reads.

In production they come from the operator, as files or from the environment; nothing here runs there.
"""

import base64
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.private_file import write_private

SIGNING_KEY_ID = "local-1"
CONTROL_SECRETS = ("SWITCHYARD_SECRET_KEY", "SWITCHYARD_SIGNING_KEY", "SWITCHYARD_PEPPER", "SWITCHYARD_SEALING_KEY")
DATA_SECRETS = ("SWITCHYARD_VERIFY_KEYS", "SWITCHYARD_SHELF_KEY")
ENGINE_PASSWORDS = ("postgresql", "broker", "counters")


@dataclass(frozen=True, slots=True)
class Installation:
    """What an installation keeps for itself. Its values never show in a repr.

    secrets: by the name of the setting. passwords: by the name of the engine.
    """

    deployment_id: str
    secrets: Mapping[str, str]
    passwords: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Installation({self.deployment_id})"


def new_installation() -> Installation:
    """Make one from random bytes."""
    values = {
        "SWITCHYARD_SECRET_KEY": secrets.token_urlsafe(48),
        "SWITCHYARD_SIGNING_KEY": f"{SIGNING_KEY_ID}:{_random_base64()}",
        "SWITCHYARD_PEPPER": f"1:{_random_base64()}",
        "SWITCHYARD_SEALING_KEY": f"1:{_random_base64()}",
        "SWITCHYARD_SHELF_KEY": _random_base64(),
    }
    values["SWITCHYARD_VERIFY_KEYS"] = verify_keys_of(values["SWITCHYARD_SIGNING_KEY"])
    passwords = {name: secrets.token_urlsafe(24) for name in ENGINE_PASSWORDS}
    return Installation(f"local-{uuid.uuid4().hex[:12]}", values, passwords)


def open_installation(folder: Path) -> Installation:
    """Read the installation kept in a folder; what is not there yet is made and kept first.

    A file that is there is never replaced, except the public keys, which follow from the signing key.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = new_installation()
    deployment_id = _kept(folder / "deployment-id", fresh.deployment_id)
    values = {
        name: _kept(secret_path(folder, name), value)
        for name, value in fresh.secrets.items()
        if name != "SWITCHYARD_VERIFY_KEYS"
    }
    values["SWITCHYARD_VERIFY_KEYS"] = verify_keys_of(values["SWITCHYARD_SIGNING_KEY"])
    write_private(secret_path(folder, "SWITCHYARD_VERIFY_KEYS"), values["SWITCHYARD_VERIFY_KEYS"] + "\n")
    passwords = {name: _kept(folder / f"{name}-password", value) for name, value in fresh.passwords.items()}
    return Installation(deployment_id, values, passwords)


def secret_path(folder: Path, setting: str) -> Path:
    """Give the file of a secret: SWITCHYARD_SIGNING_KEY is kept in signing-key."""
    return folder / setting.removeprefix("SWITCHYARD_").lower().replace("_", "-")


def verify_keys_of(signing_key: str) -> str:
    """Give the public half that pods trust. Raises ValueError when the text is no signing key."""
    key_id, colon, encoded = signing_key.partition(":")
    if not colon:
        raise ValueError("a signing key is written <key id>:<base64 of 32 bytes>")
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(encoded, validate=True))
    return f"{key_id}:{base64.b64encode(private.public_key().public_bytes_raw()).decode()}"


def _random_base64() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _kept(path: Path, fresh: str) -> str:
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    write_private(path, fresh + "\n")
    return fresh
