"""The embedded PostgreSQL: only the wheel's programs, started by us.

PostgreSQL refuses to run as root. Started by root, it therefore runs as an unprivileged user id, in a folder of its
own that this id can reach; where a parent folder is closed to it, in a user namespace; where that is forbidden too,
its data alone moves to the system's state folder. It also refuses to run under an id without a name, as containers
often give; the user namespace helps there as well (docs/decisions/0021-embedded-engines.md).
"""

import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psycopg
from psycopg import sql

from deploy.local.binaries import PostgresqlTree, find_postgresql
from deploy.local.entry import UNPRIVILEGED_ID
from deploy.local.program import Identity, Program, can_make_user_namespace

NAME = "switchyard"
"""Of the role and of the database."""
SYSTEM_STATE = Path("/var/lib/switchyard")
INITDB_TIMEOUT_S = 120
QUIET_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C"}


class PostgresqlFailed(Exception):
    """The embedded PostgreSQL could not be prepared; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the data lies, which programs are run, and as whom."""

    folder: Path
    bin: Path
    identity: Identity


class Postgresql:
    """One embedded server.

    home: folder below which everything of this server lies. durable: False lets a test database forget what a power
    cut would take; a killed server keeps its data either way. settings: more of the server's own, by name.
    """

    def __init__(
        self,
        home: Path,
        log_path: Path,
        port: int,
        password: str,
        *,
        durable: bool = True,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.port = port
        self._home = home
        self._log_path = log_path
        self._password = password
        self._durable = durable
        self._settings = settings
        self._placement: Placement | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{NAME}:{self._password}@127.0.0.1:{self.port}/{NAME}"

    @property
    def placement(self) -> Placement:
        if self._placement is None:
            self._placement = place(self._home, find_postgresql())
        return self._placement

    def prepare(self) -> None:
        """Make the data folder on the first start; afterwards only clear away what a killed server left.

        Raises EngineMissing or PostgresqlFailed.
        """
        place_ = self.placement
        data = place_.folder / "data"
        if (data / "PG_VERSION").exists():
            _forget_dead_server(data)
        else:
            self._make_data_folder(place_, data)

    def program(self) -> Program:
        """Say how the server is run. SIGINT is its fast shutdown: it rolls back what is open and leaves no repair."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            # Reads go through the operating system's cache here; worker processes for them only cost memory.
            "io_method": "sync",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
            # A young server fills each new file of its log with zeros; an old one takes its used files again.
            settings["wal_init_zero"] = "off"
        settings |= self._settings
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        place_ = self.placement
        return Program(
            name="postgresql",
            arguments=(str(place_.bin / "postgres"), "-D", str(place_.folder / "data"), *options),
            log_path=self._log_path,
            environment=QUIET_ENVIRONMENT,
            identity=place_.identity,
            stop_signal=signal.SIGINT,
        )

    def is_ready(self) -> bool:
        """Say whether our database answers; makes it when the server is up and it is not there yet."""
        server = f"postgresql://{NAME}:{self._password}@127.0.0.1:{self.port}/postgres"
        try:
            with psycopg.connect(server, autocommit=True, connect_timeout=2) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone()
                if known is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
        except psycopg.errors.InvalidPassword as failure:
            raise PostgresqlFailed(
                f"PostgreSQL in {self.placement.folder} was made with another password than the one in the "
                "installation's secrets. Put those back, or move the folder away to start afresh."
            ) from failure
        except psycopg.OperationalError:
            return False
        return True

    def _make_data_folder(self, place_: Placement, data: Path) -> None:
        # What an interrupted first start left is worth nothing: PG_VERSION is written early, but data is used only
        # once the folder has its final name.
        unfinished = place_.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = place_.folder / "password"
        password_file.unlink(missing_ok=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(self._password)
            if place_.identity is Identity.UNPRIVILEGED:
                os.chown(password_file, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
            self._run_initdb(place_, unfinished, password_file)
        finally:
            password_file.unlink(missing_ok=True)
        unfinished.rename(data)

    def _run_initdb(self, place_: Placement, data: Path, password_file: Path) -> None:
        arguments = [
            str(place_.bin / "initdb"),
            f"--pgdata={data}",
            f"--username={NAME}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ]
        if self._has_builtin_locale(place_):
            arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self._durable:
            arguments.append("--no-sync")
        program = Program("initdb", tuple(arguments), self._log_path, QUIET_ENVIRONMENT, place_.identity)
        log = program.open_log()
        try:
            done = subprocess.run(
                program.command_line(),
                **program.popen_arguments(log),
                timeout=INITDB_TIMEOUT_S,
                check=False,
                cwd=place_.folder,
            )
        finally:
            os.close(log)
        if done.returncode != 0:
            raise PostgresqlFailed(f"initdb ended with {done.returncode}; its words are in {self._log_path}")

    def _has_builtin_locale(self, place_: Placement) -> bool:
        """The builtin provider came with PostgreSQL 17; an older one installed on the machine serves too."""
        command = [str(place_.bin / "postgres"), "--version"]
        told = subprocess.run(command, env=QUIET_ENVIRONMENT, capture_output=True, text=True, check=True)
        version = re.search(r"\d+", told.stdout)
        return version is not None and int(version.group()) >= 17


def place(home: Path, tree: PostgresqlTree) -> Placement:
    """Choose folder, programs and identity for a server below `home`, and make the folder.

    Raises PostgresqlFailed when no way is open.
    """
    folder = home.resolve() / "postgresql"
    if os.geteuid() != 0:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Placement(folder, tree.bin, _identity_of_ordinary_user(os.geteuid()))
    if not _has_name(UNPRIVILEGED_ID):
        raise PostgresqlFailed(
            f"PostgreSQL does not run as root, and user id {UNPRIVILEGED_ID} (nobody) is not in /etc/passwd. "
            "Start Switchyard as an ordinary user, or set DATABASE_URL."
        )
    # A folder that one route made is not readable for the other, so a route once taken is kept.
    made_by_root = (folder / "data").exists() and (folder / "data").stat().st_uid == 0
    if not made_by_root and _is_open_to_all(home.resolve()):
        return _place_unprivileged(folder, tree)
    if can_make_user_namespace():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Placement(folder, tree.bin, Identity.NAMESPACE)
    mark = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    elsewhere = SYSTEM_STATE / f"postgresql-{mark}"
    try:
        elsewhere.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as failure:
        raise PostgresqlFailed(
            f"PostgreSQL does not run as root, and neither {home} nor {SYSTEM_STATE} can be used by another user id. "
            "Start Switchyard as an ordinary user, or set DATABASE_URL."
        ) from failure
    return _place_unprivileged(elsewhere, tree)


def _identity_of_ordinary_user(user_id: int) -> Identity:
    if _has_name(user_id):
        return Identity.SAME
    if _has_name(UNPRIVILEGED_ID) and can_make_user_namespace():
        return Identity.NAMESPACE
    raise PostgresqlFailed(
        f"PostgreSQL needs a name for the user it runs as, and user id {user_id} has none. "
        "Add a line for it to /etc/passwd, or set DATABASE_URL."
    )


def _has_name(user_id: int) -> bool:
    try:
        pwd.getpwuid(user_id)
    except KeyError:
        return False
    return True


def _place_unprivileged(folder: Path, tree: PostgresqlTree) -> Placement:
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    os.chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    return Placement(folder, _reachable_programs(folder, tree), Identity.UNPRIVILEGED)


def _reachable_programs(folder: Path, tree: PostgresqlTree) -> Path:
    """Give programs that the unprivileged id may run: where they are when it can read them there, else a copy.

    The copy keeps the parts' places relative to each other, since the programs find their libraries that way.
    """
    if tree.root is None or _is_readable_by_all(tree.root, tree.parts):
        return tree.bin
    mark = hashlib.sha256(str(tree.bin.stat().st_mtime_ns).encode()).hexdigest()[:12]
    copy = folder / f"programs-{mark}"
    if not copy.exists():
        unfinished = folder / "programs.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        for part in tree.parts:
            shutil.copytree(tree.root / part, unfinished / part)
        for path in (unfinished, *unfinished.rglob("*")):
            os.chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID, follow_symlinks=False)
        unfinished.rename(copy)
    return copy / tree.bin.relative_to(tree.root)


def _is_open_to_all(folder: Path) -> bool:
    """Say whether any user id can step through this folder (or, until it exists, its parents)."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents) if path.exists())


def _is_readable_by_all(root: Path, parts: tuple[str, ...]) -> bool:
    if not _is_open_to_all(root):
        return False
    for part in parts:
        for path in (root / part, *(root / part).rglob("*")):
            mode = path.stat().st_mode
            wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0)
            if mode & wanted != wanted:
                return False
    return True


def _forget_dead_server(data: Path) -> None:
    """Remove the lock of a server that is gone.

    PostgreSQL does so itself unless its former process id belongs to somebody now, which is common in containers,
    where ids are small and start anew.
    """
    lock = data / "postmaster.pid"
    try:
        process_id = int(lock.read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    command = Path(f"/proc/{process_id}/cmdline")
    if Path("/proc/self").exists() and (not command.exists() or b"postgres" not in command.read_bytes()):
        lock.unlink(missing_ok=True)
