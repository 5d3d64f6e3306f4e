"""The engines of local mode and of the tests: PostgreSQL and two Valkeys, the same programs as in production.

`Engines` starts and stops them without an event loop, for test fixtures. `switchyard up` hands the same engines to
its supervisor, which also restarts them.
"""

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from deploy.local.program import Program

POLL_S = 0.01
START_TIMEOUT_S = 60.0


class Engine(Protocol):
    """What is needed of an engine to run it."""

    @property
    def url(self) -> str: ...
    def prepare(self) -> None: ...
    def program(self) -> Program: ...
    def is_ready(self) -> bool: ...


class EngineFailed(Exception):
    """An engine ended or did not answer in time; the message carries the end of its log."""


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]


class Engines:
    """Engines started together, ready when the block is entered, gone when it is left."""

    def __init__(self, engines: Iterable[Engine]) -> None:
        self._engines = tuple(engines)
        self._running: list[_Running] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all, then wait for each. Raises EngineFailed, after stopping what had started."""
        try:
            for engine in self._engines:
                engine.prepare()
                self._running.append(_spawn(engine.program()))
            for engine, running in zip(self._engines, self._running, strict=True):
                _wait_until_ready(engine, running)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask all to end, in reverse order, then wait for them; one that does not is killed."""
        for running in reversed(self._running):
            if running.process.poll() is None:
                running.process.send_signal(running.program.stop_signal)
        for running in reversed(self._running):
            try:
                running.process.wait(running.program.stop_grace_s)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
        self._running.clear()

    def process_ids(self) -> dict[str, int]:
        """Give the process id of each, by name."""
        return {running.program.name: running.process.pid for running in self._running}


def last_words(log_path: Path, lines: int = 12) -> str:
    """Give the end of a log, for a message that explains why its writer ended."""
    try:
        with log_path.open("rb") as stream:
            stream.seek(max(0, log_path.stat().st_size - 8192))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    except OSError as failure:
        return f"({log_path} cannot be read: {failure.strerror})"


def _spawn(program: Program) -> _Running:
    log = program.open_log()
    try:
        return _Running(program, subprocess.Popen(program.command_line(), **program.popen_arguments(log)))
    finally:
        os.close(log)


def _wait_until_ready(engine: Engine, running: _Running) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not engine.is_ready():
        program = running.program
        status = running.process.poll()
        if status is not None:
            raise EngineFailed(f"{program.name} ended with {status}:\n{last_words(program.log_path)}")
        if time.monotonic() > deadline:
            raise EngineFailed(f"{program.name} did not answer in time:\n{last_words(program.log_path)}")
        time.sleep(POLL_S)
