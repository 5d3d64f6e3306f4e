"""Where a provider's credential comes from, and what the deployment allows to be read."""

from collections.abc import Mapping, Sequence
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
    allowed_names: frozenset[str],
    allowed_folder: Path | None,
) -> str:
    """Read the secret; empty for sources that have none. Raises UnreadableCredential.

    allowed_names, allowed_folder: what this one organization may read; see `names_of` and `folder_of`.
    """
    match choice.source:
        case CredentialSource.NONE | CredentialSource.PASSTHROUGH:
            return ""
        case CredentialSource.VALUE:
            secret = choice.text.strip()
        case CredentialSource.ENV:
            if choice.text not in allowed_names:
                raise UnreadableCredential(
                    f"The deployment does not allow {choice.text[:80]!r} here; "
                    "SWITCHYARD_CREDENTIAL_ENV names what it does, for which organization."
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


def names_of(slug: str, entries: Sequence[str], *, is_first: bool) -> frozenset[str]:
    """The variables an organization's providers may name.

    An entry is `<slug>:<NAME>`, or a plain `<NAME>`, which is for the installation's first organization alone: whoever
    runs it gave the name for their own use, not for every tenant that came later.
    """
    owned = {name for owner, colon, name in (entry.partition(":") for entry in entries) if colon and owner == slug}
    plain = {entry for entry in entries if ":" not in entry} if is_first else set()
    return frozenset(owned | plain)


def folder_of(slug: str, folder: str) -> Path | None:
    """The folder below which an organization's credential files lie; None: the deployment allows none."""
    return Path(folder).resolve() / slug if folder else None


def _read_file(path_text: str, folder: Path | None) -> str:
    if folder is None:
        raise UnreadableCredential(
            "The deployment allows no credential files; SWITCHYARD_CREDENTIAL_DIR names the folder."
        )
    # Resolved before the comparison, so that neither .. nor a link leads out of the folder.
    path = (folder / path_text).resolve()
    if not path.is_relative_to(folder):
        raise UnreadableCredential(f"The file is not in the folder {folder.name} below SWITCHYARD_CREDENTIAL_DIR.")
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_CREDENTIAL_BYTES + 1)
        if len(raw) > MAX_CREDENTIAL_BYTES:
            raise UnreadableCredential("The credential file is too large.")
        return raw.decode().strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise UnreadableCredential("The credential file cannot be read.") from failure
