"""The exchanges that are under way: found by key, so that a revocation or a stop can end them."""

import asyncio
from collections.abc import Container

from data_plane.policy.decision import Refusal


class Live:
    """One running exchange. Cutting it cancels what it waits for; the stage that notices asks `refusal` why."""

    __slots__ = ("_running", "_task", "drains", "key_id", "principal_id", "refusal")

    def __init__(self, task: "asyncio.Task[object]", running: "Running") -> None:
        self._task, self._running = task, running
        self.drains = False
        """Its caller has left, and its answer is read on."""
        self.key_id = ""
        self.principal_id = ""
        self.refusal: Refusal | None = None

    def cut(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal
            self._task.cancel()

    def drain(self) -> bool:
        """Take a place among those whose answers are read on for their usage alone; False: there is none."""
        self.drains = self.drains or self._running.take_drain()
        return self.drains

    def take_cut(self) -> Refusal | None:
        """Own up to a cancellation that was a cut of ours; None: somebody else cancelled, let it travel on."""
        if self.refusal is not None:
            self._task.uncancel()
        return self.refusal


class Running:
    """All live exchanges of the pod.

    most_drains: so many answers may be read on at once after their callers have left. Whoever hangs up again and again
    must not fill a pod with answers that nobody reads.
    """

    def __init__(self, most_drains: int = 1_000) -> None:
        self._live: set[Live] = set()
        self.drains = 0
        self._most_drains = most_drains
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._live)

    def enter(self) -> Live:
        if self._loop is None:
            # Kept, since to ask for it is a system call.
            self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None
        live = Live(task, self)
        self._live.add(live)
        return live

    def leave(self, live: Live) -> None:
        self._live.discard(live)
        if live.drains:
            live.drains = False
            self.drains -= 1

    def take_drain(self) -> bool:
        """Count one more answer that is read on; False: there are too many."""
        if self.drains >= self._most_drains:
            return False
        self.drains += 1
        return True

    def cut_callers(self, key_ids: Container[str], principal_ids: Container[str], refusal: Refusal) -> int:
        """End every exchange of these keys and people; say how many."""
        found = [live for live in self._live if live.key_id in key_ids or live.principal_id in principal_ids]
        for live in found:
            live.cut(refusal)
        return len(found)

    def cut_all(self, refusal: Refusal) -> None:
        for live in list(self._live):
            live.cut(refusal)
