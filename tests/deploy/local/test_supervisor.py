"""The supervisor: order, readiness, restarts with growing pauses, a stop that leaves nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local import supervisor as supervisor_module
from deploy.local.program import Program
from deploy.local.supervisor import Service, StartFailed, Supervisor

DEADLINE_S = 20.0


class Observed:
    """What a supervisor told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.process_ids: dict[str, int] = {}

    def say(self, text: str) -> None:
        self.said.append(text)

    def changed(self, process_ids: Mapping[str, int]) -> None:
        self.process_ids = dict(process_ids)

    def supervisor(self) -> Supervisor:
        return Supervisor(say=self.say, on_change=self.changed)


def a_service(folder: Path, name: str, code: str, *, grace_s: float = 8.0) -> Service:
    """A child that runs Python code; it is ready when it has made the file `<name>.ready`."""
    ready = folder / f"{name}.ready"
    source = f"import os, pathlib, signal, sys, time\nready = pathlib.Path({str(ready)!r})\n{code}"
    program = Program(
        name,
        (sys.executable, "-c", source),
        folder / f"{name}.log",
        {"PATH": os.environ["PATH"]},
        stop_grace_s=grace_s,
    )

    async def is_ready() -> bool:
        return ready.exists()

    return Service(program, is_ready, ready_timeout_s=DEADLINE_S)


STAYS = "ready.touch(); signal.pause()"


async def until(claim: object, what: str) -> None:
    assert callable(claim)
    async with asyncio.timeout(DEADLINE_S):
        while not claim():
            await asyncio.sleep(0.02)


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def is_running(process_id: int) -> bool:
    """Like is_alive, but a dead child that nobody has waited for does not count."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_children_stop_in_reverse_order_of_their_groups(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = f"""
def stop(number, frame):
    with open({str(order)!r}, "a") as stream: stream.write(NAME + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
{STAYS}"""
    observed = Observed()
    children = observed.supervisor()
    for name in ("engine", "web", "worker"):
        await children.start([a_service(tmp_path, name, f"NAME = {name!r}\n{code}")])
    assert list(observed.process_ids) == ["engine", "web", "worker"]
    await children.stop()
    assert order.read_text() == "worker web engine "
    assert not any(is_alive(process_id) for process_id in observed.process_ids.values())


async def test_a_child_that_dies_comes_back_with_a_new_process_id(tmp_path: Path) -> None:
    observed = Observed()
    children = observed.supervisor()
    await children.start([a_service(tmp_path, "pod", STAYS)])
    first = observed.process_ids["pod"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: observed.process_ids.get("pod") not in (None, first), "restarted")
    assert children.process_ids["pod"] != first
    assert observed.said == ["pod was ended by SIGKILL; starting it again in 0.5 s"]
    await children.stop()


async def test_the_pause_doubles_while_a_child_keeps_dying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_BACK_OFF_S", 0.05)
    monkeypatch.setattr(supervisor_module, "LONGEST_BACK_OFF_S", 0.2)
    code = f"""
if ready.exists(): sys.exit(4)
{STAYS}"""
    observed = Observed()
    children = observed.supervisor()
    await children.start([a_service(tmp_path, "web", code)])
    os.kill(observed.process_ids["web"], signal.SIGKILL)
    await until(lambda: len(observed.said) >= 5, "died again and again")
    await children.stop()
    pauses = [line.rpartition(" in ")[2] for line in observed.said[:5]]
    assert pauses == ["0.05 s", "0.1 s", "0.2 s", "0.2 s", "0.2 s"]
    assert observed.said[1].startswith("web ended with status 4;")


async def test_what_a_dead_child_had_started_is_gone_before_it_comes_back(tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"
    code = f"""
child = os.fork()
if child == 0:
    signal.pause()
pathlib.Path({str(grandchild)!r}).write_text(str(child))
{STAYS}"""
    observed = Observed()
    children = observed.supervisor()
    await children.start([a_service(tmp_path, "web", code)])
    orphan = int(grandchild.read_text())
    os.kill(observed.process_ids["web"], signal.SIGKILL)
    await until(lambda: observed.said and not is_running(orphan), "orphan gone")
    await children.stop()


async def test_a_child_that_dies_during_the_start_fails_it_by_name(tmp_path: Path) -> None:
    observed = Observed()
    children = observed.supervisor()
    broken = a_service(tmp_path, "web", "print('no database'); sys.exit(3)")
    with pytest.raises(StartFailed, match="web ended with status 3") as failed:
        await children.start([a_service(tmp_path, "grpc", STAYS), broken])
    assert failed.value.program.log_path.read_text() == "no database\n"
    await children.stop()
    assert children.process_ids == {}


async def test_a_child_that_never_gets_ready_fails_the_start(tmp_path: Path) -> None:
    slow = a_service(tmp_path, "pod", "signal.pause()")
    children = Observed().supervisor()
    with pytest.raises(StartFailed, match=r"pod was not ready after 0\.3 s"):
        await children.start([Service(slow.program, slow.is_ready, ready_timeout_s=0.3)])
    await children.stop()


async def test_a_child_that_ignores_the_stop_is_killed(tmp_path: Path) -> None:
    observed = Observed()
    children = observed.supervisor()
    code = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{STAYS}"
    await children.start([a_service(tmp_path, "pod", code, grace_s=0.2)])
    process_id = observed.process_ids["pod"]
    await children.stop()
    assert observed.said == ["pod did not end within 0.2 s and is killed"]
    assert not is_alive(process_id)


async def test_the_log_is_appended_to_over_restarts(tmp_path: Path) -> None:
    observed = Observed()
    children = observed.supervisor()
    await children.start([a_service(tmp_path, "pod", f"print('born', flush=True)\n{STAYS}")])
    log = tmp_path / "pod.log"
    os.kill(observed.process_ids["pod"], signal.SIGKILL)
    await until(lambda: log.read_text() == "born\nborn\n", "second start")
    await children.stop()
    assert log.stat().st_mode & 0o077 == 0


async def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """The kernel sees to it, so not even kill -9 of the supervisor leaves children behind."""
    born = tmp_path / "born"
    source = f"""
import asyncio, pathlib, sys
from deploy.local.program import Program
from deploy.local.supervisor import Service, Supervisor
async def always(): return True
async def main():
    children = Supervisor(say=print, on_change=lambda ids: None)
    arguments = (sys.executable, "-c", "import signal; signal.pause()")
    program = Program("child", arguments, pathlib.Path({str(tmp_path)!r}) / "log")
    await children.start([Service(program, always)])
    pathlib.Path({str(born)!r}).write_text(str(children.process_ids["child"]))
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", source)
    await until(lambda: born.exists() and born.read_text(), "child born")
    child = int(born.read_text())
    parent.kill()
    await parent.wait()
    await until(lambda: not is_running(child), "gone")
