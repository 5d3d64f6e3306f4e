"""`switchyard up`: the whole platform on one machine, in the foreground, until one Ctrl-C."""

import asyncio
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import banner
from deploy.local.binaries import EngineMissing
from deploy.local.engines import last_words
from deploy.local.first_run import FirstRun, SeedFailed, read_seed_answer
from deploy.local.installation import Installation, open_installation, secret_path
from deploy.local.local_file import NAME as LOCAL_FILE_NAME
from deploy.local.local_file import LocalFile
from deploy.local.ports import is_port_free
from deploy.local.postgresql import PostgresqlFailed
from deploy.local.private_file import write_private
from deploy.local.program import Program
from deploy.local.readiness import (
    WORKER_HEARTBEAT,
    Probe,
    answers_200,
    engine_answers,
    free_bytes,
    grpc_serves,
    has_key,
    lives,
)
from deploy.local.stores import Stores, choose_stores
from deploy.local.supervisor import Service, StartFailed, Supervisor, keep_log_small
from deploy.local.surroundings import (
    LocalSettings,
    control_environment,
    current_environment,
    plain_environment,
    pod_environment,
    pod_name,
    read_local_settings,
)
from switchyard_contract.settings import InvalidSettings

LEAST_FREE_BYTES = 500 * 1000 * 1000
STEP_TIMEOUT_S = 300
MOST_DESCRIPTORS = 65536


class CannotStart(Exception):
    """Something on this machine is in the way; each line names what and how to mend it."""


def main() -> int:
    """Run until stopped; 0 after an orderly stop, 1 when the start failed, 2 when settings are wrong."""
    started_s = time.monotonic()
    environment = current_environment()
    try:
        settings = read_local_settings(environment)
    except InvalidSettings as failure:
        print("Switchyard cannot start; these settings are wrong:", file=sys.stderr)
        for problem in failure.problems:
            print(f"  {problem}", file=sys.stderr)
        return 2
    try:
        with _sole_owner(settings):
            check_machine(settings)
            raise_descriptor_limit()
            platform = Platform(settings, environment, started_s)
            return asyncio.run(platform.run())
    except (CannotStart, EngineMissing, PostgresqlFailed, SeedFailed) as failure:
        print(f"\nSwitchyard cannot start: {failure}", file=sys.stderr)
        return 1
    except StartFailed as failure:
        log_path = failure.program.log_path
        print(f"\nSwitchyard cannot start: {failure}. The end of {log_path}:", file=sys.stderr)
        print(f"\n{last_words(log_path)}\n", file=sys.stderr)
        return 1


def check_machine(settings: LocalSettings) -> None:
    """Raise CannotStart with everything that is in the way, before anything is started."""
    problems = []
    free = free_bytes(settings.home)
    if free < LEAST_FREE_BYTES:
        problems.append(
            f"only {free // 1_000_000} MB are free below {settings.home}; at least {LEAST_FREE_BYTES // 1_000_000} MB "
            "are needed. Make room, or set SWITCHYARD_HOME to a folder on a larger disk."
        )
    for name, host, port in settings.wanted_ports():
        if port > 65535:
            problems.append(f"{name}: {port} is no port; choose a lower start, one port is needed per pod")
        elif not is_port_free(port, host):
            problems.append(f"port {port} is taken. Stop what listens there, or set {name} to another port.")
    if problems:
        raise CannotStart("\n  ".join(["", *problems]) if len(problems) > 1 else problems[0])


def raise_descriptor_limit() -> None:
    """Let children open as many files as the system allows: each stream through a pod needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _sole_owner(settings: LocalSettings) -> Iterator[None]:
    """Hold the home's lock: two platforms on one set of files would destroy them."""
    try:
        # The embedded PostgreSQL may run under another user id and must be able to step through; every secret in
        # here has a mode of its own.
        settings.home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        descriptor = os.open(settings.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        raise CannotStart(
            f"{settings.home} cannot be written: {failure.strerror}. Set SWITCHYARD_HOME to another folder."
        ) from failure
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as failure:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise CannotStart(
                f"Switchyard is already up on {settings.home} (process {owner}). Stop it there, or set SWITCHYARD_HOME "
                "and the ports for a second one."
            ) from failure
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is known once the engines are chosen."""

    installation: Installation
    stores: Stores
    control: Mapping[str, str]


class Platform:
    """One run of the platform: start in order, wait for a signal, stop in the reverse order."""

    def __init__(self, settings: LocalSettings, environment: Mapping[str, str], started_s: float) -> None:
        self._settings = settings
        self._environment = environment
        self._started_s = started_s
        self._is_first_start = not (settings.home / "first-run.json").exists()
        self._local_file: LocalFile | None = None
        self._children = Supervisor(say=self._say, on_change=self._note_process_ids)

    async def run(self) -> int:
        """Start, stay, stop. Raises what makes a start impossible, after stopping what had started."""
        asked_to_stop = asyncio.Event()
        self._listen(asked_to_stop)
        (self._settings.home / LOCAL_FILE_NAME).unlink(missing_ok=True)
        starting = asyncio.create_task(self._start())
        waiting = asyncio.create_task(asked_to_stop.wait())
        try:
            await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await waiting
            print("\nStopping ...", flush=True)
        finally:
            for task in (starting, waiting):
                task.cancel()
            await asyncio.gather(starting, waiting, return_exceptions=True)
            await self._children.stop()
            self._local_file = None
            (self._settings.home / LOCAL_FILE_NAME).unlink(missing_ok=True)
        print("Switchyard is down. The data is kept.", flush=True)
        return 0

    def _listen(self, asked_to_stop: asyncio.Event) -> None:
        """Before the first child starts: a stop in the middle of the start must not leave any behind."""

        def stop() -> None:
            if asked_to_stop.is_set():
                self._children.kill()
            asked_to_stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop)

    async def _start(self) -> None:
        print("Starting Switchyard (Ctrl-C stops it)", flush=True)
        prepared = self._prepare()
        await self._start_engines(prepared.stores)
        await self._run_step(prepared, "migrate", "-m", "deploy.command", "migrate")
        self._say("database is migrated")
        output = await self._run_step(prepared, "seed", "-m", "control_plane.project.seed")
        first_run = read_seed_answer(output, self._settings.home / "first-run.json")
        write_private(secret_path(self._settings.secrets_folder, "SWITCHYARD_POD_TOKEN"), first_run.pod_token + "\n")
        await self._start_services(prepared, first_run)
        self._local_file = LocalFile(
            self._settings.home / LOCAL_FILE_NAME, self._settings, prepared.stores.urls, first_run
        )
        self._note_process_ids(self._children.process_ids)
        took_s = time.monotonic() - self._started_s
        print(banner.text(self._settings, first_run, self._environment, took_s, self._is_first_start), flush=True)

    def _prepare(self) -> _Prepared:
        installation = open_installation(self._settings.secrets_folder)
        wanted = frozenset(port for _, _, port in self._settings.wanted_ports())
        stores = choose_stores(self._environment, installation, self._settings.home, avoid=wanted)
        control = control_environment(self._settings, stores.urls, installation, self._environment)
        return _Prepared(installation, stores, control)

    async def _start_engines(self, stores: Stores) -> None:
        services = []
        for engine in stores.embedded:
            # Also before a restart: a killed server leaves a lock behind.
            await asyncio.to_thread(engine.prepare)
            services.append(Service(engine.program(), engine_answers(engine.is_ready), engine.prepare))
        if not services:
            return
        for service in services:
            keep_log_small(service.program)
        await self._children.start(services)
        self._say(f"{', '.join(service.program.name for service in services)}: ready")

    async def _start_services(self, prepared: _Prepared, first_run: FirstRun) -> None:
        settings = self._settings
        web = self._service("web", prepared.control, answers_200(f"{settings.console_url}/readyz"))
        grpc = self._service("grpc", prepared.control, grpc_serves(settings.grpc_address))
        simulated = self._service(
            "simulated-provider",
            plain_environment(self._environment),
            answers_200(f"{settings.simulated_provider_url}/healthz"),
            "--port",
            str(settings.simulated_provider_port),
        )
        pods = [
            self._pod(prepared, number, answers_200(f"{admin_url}/readyz"))
            for number, admin_url in enumerate(settings.pod_admin_urls)
        ]
        heartbeat = has_key(prepared.stores.urls.redis_url, WORKER_HEARTBEAT)
        worker = self._service("worker", prepared.control, heartbeat)
        beat = self._service("beat", prepared.control, lives)
        await self._children.begin([web, grpc, simulated])
        await self._children.begin(pods)
        await self._children.until_ready(["web"])
        self._say("web: ready")
        # Seven Pythons that start at once on two cores only wait for each other.
        await self._children.begin([worker, beat])
        names = [service.program.name for service in (grpc, simulated, *pods)]
        await self._children.until_ready(names)
        self._say(f"{', '.join(names)}: ready")
        await self._children.until_ready(["worker", "beat"])
        self._say("worker, beat: ready")

    def _service(self, name: str, environment: Mapping[str, str], is_ready: Probe, *arguments: str) -> Service:
        program = Program(
            name,
            (sys.executable, "-m", "deploy.command", name, *arguments),
            self._settings.home / "logs" / f"{name}.log",
            environment,
        )
        keep_log_small(program)
        return Service(program, is_ready)

    def _pod(self, prepared: _Prepared, number: int, is_ready: Probe) -> Service:
        environment = pod_environment(
            self._settings, prepared.stores.urls, prepared.installation, self._environment, number
        )
        name = f"pod-{number + 1}"
        state = Path(environment["SWITCHYARD_POD_STATE"])
        for folder in (state.parent, state):
            folder.mkdir(mode=0o700, exist_ok=True)
        log_path = self._settings.home / "logs" / f"{pod_name(number)}.log"
        program = Program(name, (sys.executable, "-m", "deploy.command", "pod"), log_path, environment)
        keep_log_small(program)
        return Service(program, is_ready)

    async def _run_step(self, prepared: _Prepared, name: str, *arguments: str) -> str:
        """Run a step of the start to its end; give what it printed. Raises StartFailed."""
        log_path = self._settings.home / "logs" / f"{name}.log"
        program = Program(name, (sys.executable, *arguments), log_path, prepared.control)
        keep_log_small(program)
        log = program.open_log()
        try:
            keywords = program.popen_arguments(log) | {"stdout": subprocess.PIPE}
            process = await asyncio.create_subprocess_exec(*program.command_line(), **keywords)
        finally:
            os.close(log)
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                output, _ = await process.communicate()
        except TimeoutError:
            raise StartFailed(program, f"was not done after {STEP_TIMEOUT_S} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise StartFailed(program, f"ended with status {process.returncode}")
        return output.decode()

    def _say(self, text: str) -> None:
        print(f"  {time.monotonic() - self._started_s:5.1f} s  {text}", flush=True)

    def _note_process_ids(self, process_ids: Mapping[str, int]) -> None:
        if self._local_file is not None:
            self._local_file.write(process_ids)
