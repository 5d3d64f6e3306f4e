"""Looks after child processes: starts them in order, knows when they are ready, restarts what dies, stops all.

One event loop, one task per child. Children stop in the reverse order of their groups, the members of a group
together. A child that dies before it was ever ready is a failed start; one that dies later is started again, at first
at once and then ever more slowly.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deploy.local.program import Program

FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 30.0
STEADY_AFTER_S = 60.0
"""A child that lived this long starts with the shortest back-off again."""
POLL_S = 0.1
READY_TIMEOUT_S = 120.0
LOG_LIMIT_BYTES = 20 * 1024 * 1024


class StartFailed(Exception):
    """A child ended, or did not get ready, during the start. `program` names its log."""

    def __init__(self, program: Program, why: str) -> None:
        super().__init__(f"{program.name} {why}")
        self.program = program


@dataclass(frozen=True, slots=True)
class Service:
    """A child to look after. is_ready asks it; before_start runs ahead of each start, a restart too."""

    program: Program
    is_ready: Callable[[], Awaitable[bool]]
    before_start: Callable[[], None] | None = None
    ready_timeout_s: float = READY_TIMEOUT_S


class Supervisor:
    """The children of one process.

    say: told what a person should know. on_change: told the process ids by name after each start, in `start` too.
    """

    def __init__(self, *, say: Callable[[str], None], on_change: Callable[[Mapping[str, int]], None]) -> None:
        self._say = say
        self._on_change = on_change
        self._groups: list[list[_Child]] = []

    @property
    def process_ids(self) -> dict[str, int]:
        return {
            child.service.program.name: child.process.pid
            for group in self._groups
            for child in group
            if child.process is not None and child.process.returncode is None
        }

    async def start(self, services: Sequence[Service]) -> None:
        """Start a group; return when each is ready. Raises StartFailed."""
        await self.begin(services)
        await self.until_ready(service.program.name for service in services)

    async def begin(self, services: Sequence[Service]) -> None:
        """Start a group without waiting."""
        group = [_Child(service, self._say, self._changed) for service in services]
        self._groups.append(group)
        for child in group:
            child.keeper = asyncio.create_task(child.keep(), name=f"keep {child.service.program.name}")

    async def until_ready(self, names: Iterable[str]) -> None:
        """Wait for children by name. Raises StartFailed."""
        wanted = frozenset(names)
        children = [child for group in self._groups for child in group if child.service.program.name in wanted]
        try:
            async with asyncio.TaskGroup() as waiting:
                for child in children:
                    waiting.create_task(child.until_ready())
        except ExceptionGroup as failures:
            # People mend one thing at a time; the others are in their logs.
            raise failures.exceptions[0] from None

    async def stop(self) -> None:
        """Stop all children, the last group first. Every child is gone afterwards."""
        for group in reversed(self._groups):
            await asyncio.gather(*(child.stop() for child in group))
        self._groups.clear()

    def kill(self) -> None:
        """Stop being patient: whoever still runs is killed, `stop` then returns at once."""
        for group in self._groups:
            for child in group:
                child.kill()

    def _changed(self) -> None:
        self._on_change(self.process_ids)


class _Child:
    def __init__(self, service: Service, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.service = service
        self.process: asyncio.subprocess.Process | None = None
        self.keeper: asyncio.Task[None] | None = None
        self._say = say
        self._changed = changed
        self._was_ready = False
        self._stopping = asyncio.Event()
        self._ended: str | None = None
        """Set when it ended before it was ever ready: what became of it."""

    async def keep(self) -> None:
        """Run it, again and again, until it is told to stop."""
        name = self.service.program.name
        back_off_s = FIRST_BACK_OFF_S
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started_s = clock()
            try:
                what = await self._run_once()
            except OSError as failure:
                what = f"could not be started: {failure}"
            if self._stopping.is_set():
                return
            if not self._was_ready:
                self._ended = what
                return
            if clock() - started_s > STEADY_AFTER_S:
                back_off_s = FIRST_BACK_OFF_S
            self._say(f"{name} {what}; starting it again in {back_off_s:g} s")
            with suppress(TimeoutError):
                async with asyncio.timeout(back_off_s):
                    await self._stopping.wait()
            back_off_s = min(2 * back_off_s, LONGEST_BACK_OFF_S)

    async def _run_once(self) -> str:
        program = self.service.program
        if self.service.before_start is not None:
            self.service.before_start()
        log = program.open_log()
        try:
            self.process = await asyncio.create_subprocess_exec(*program.command_line(), **program.popen_arguments(log))
        finally:
            os.close(log)
        self._changed()
        if self._stopping.is_set():
            self.process.send_signal(program.stop_signal)
        status = await self.process.wait()
        # What it started itself must not hold its port or its files against the next one.
        self._signal_group(self.process.pid, signal.SIGKILL)
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    async def until_ready(self) -> None:
        program = self.service.program
        try:
            async with asyncio.timeout(self.service.ready_timeout_s):
                while self._ended is None:
                    if self.process is not None and await self.service.is_ready():
                        self._was_ready = True
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            why = f"was not ready after {self.service.ready_timeout_s:g} s"
            raise StartFailed(program, why) from None
        raise StartFailed(program, self._ended)

    async def stop(self) -> None:
        self._stopping.set()
        if self.keeper is None:
            return
        program = self.service.program
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(program.stop_signal)
        done, _ = await asyncio.wait([self.keeper], timeout=program.stop_grace_s)
        if not done:
            self._say(f"{program.name} did not end within {program.stop_grace_s:g} s and is killed")
            self.kill()
        await self.keeper

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self._signal_group(self.process.pid, signal.SIGKILL)

    @staticmethod
    def _signal_group(process_id: int, number: signal.Signals) -> None:
        # Each child leads a session and so a group of its own; PermissionError: it runs under another user id and
        # looks after its own.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process_id, number)


def keep_log_small(program: Program) -> None:
    """Set a long log aside as `<name>.1`; one older generation is kept."""
    with suppress(FileNotFoundError):
        if program.log_path.stat().st_size > LOG_LIMIT_BYTES:
            program.log_path.replace(program.log_path.with_name(program.log_path.name + ".1"))
