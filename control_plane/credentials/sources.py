"""Where a provider's credential comes from, and what the deployment allows to be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control_plane.credentials.models import CredentialSource

MAX_CREDENTIAL_BYTES = 64 * 1024


class UnreadableCredential(ValueError):
    """The credential may not be read or is not there. The message is for people and never holds a secret."""


@dataclass(frozen=True, slots=True)
class CredentialChoice:
    """What an admin chose: the source, and the value (VALUE), the variable's name (ENV) or the path (FILE)."""

    source: CredentialSource
    text: str = field(default="", repr=False)


NO_CREDENTIAL = CredentialChoice(CredentialSource.NONE)


def read_credential(
    choice: CredentialChoice,
    *,
    environment: Mapping[str, str],
    allowed_names: tuple[str, ...],
    allowed_folder: str,
) -> str:
    """Read the secret; empty for sources that have none. Raises UnreadableCredential."""
    match choice.source:
        case CredentialSource.NONE | CredentialSource.PASSTHROUGH:
            return ""
        case CredentialSource.VALUE:
            secret = choice.text.strip()
        case CredentialSource.ENV:
            if choice.text not in allowed_names:
                raise UnreadableCredential(
                    f"The deployment does not allow {choice.text[:80]!r}; SWITCHYARD_CREDENTIAL_ENV names what it does."
                )
            secret = environment.get(choice.text, "").strip()
            if not secret:
                raise UnreadableCredential(f"The environment variable {choice.text} is not set.")
        case CredentialSource.FILE:
            secret = _read_file(choice.text, allowed_folder)
    if not secret:
        raise UnreadableCredential("The credential is empty.")
    # It becomes a header: what would split or corrupt one is no credential.
    if any(ord(char) < 33 or ord(char) > 126 for char in secret) or len(secret) > MAX_CREDENTIAL_BYTES:
        raise UnreadableCredential("The credential holds characters that no API key has.")
    return secret


def _read_file(path_text: str, allowed_folder: str) -> str:
    if not allowed_folder:
        raise UnreadableCredential(
            "The deployment allows no credential files; SWITCHYARD_CREDENTIAL_DIR names the folder."
        )
    folder = Path(allowed_folder).resolve()
    # Resolved before the comparison, so that neither .. nor a link leads out of the folder.
    path = (folder / path_text).resolve()
    if not path.is_relative_to(folder):
        raise UnreadableCredential("The file is not below SWITCHYARD_CREDENTIAL_DIR.")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_CREDENTIAL_BYTES + 1)
        if len(raw) > MAX_CREDENTIAL_BYTES:
            raise UnreadableCredential("The credential file is too large.")
        return raw.decode().strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise UnreadableCredential("The credential file cannot be read.") from failure
