"""What a plan or an apply comes to, as a value."""

from dataclasses import dataclass, field

from control_plane.declarative.differences import Action, ObjectChange
from control_plane.declarative.effect import NO_EFFECT, Effect
from control_plane.declarative.kinds.kind import Gap, Key
from control_plane.declarative.reading import Deferred


@dataclass(frozen=True, slots=True)
class Removal:
    """What becomes of objects that are in no file. kinds: those of which they are taken away."""

    kinds: frozenset[str] = frozenset()
    is_confirmed: bool = False
    """Somebody said yes to taking away a great part."""


KEEP_ALL = Removal()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, or was: both come from the same run."""

    changes: tuple[ObjectChange, ...] = ()
    unmanaged: tuple[Key, ...] = ()
    """There, and in no file; they stay as they are."""
    deferred: tuple[Deferred, ...] = ()
    gaps: tuple[Gap, ...] = ()
    effect: Effect = NO_EFFECT
    version: int = 0
    """The policy's version before it: the newest change of the audit that is one of policy."""
    revision: int = 0
    """The number of the newest revision: after an apply that changed something, the one it made."""
    is_applied: bool = False
    unchanged: int = 0
    """Objects of the file that are so already."""
    removal: Removal = field(default=KEEP_ALL)

    @property
    def has_changes(self) -> bool:
        return any(change.action is not Action.KEEP for change in self.changes)

    def count(self, action: Action) -> int:
        return sum(1 for change in self.changes if change.action is action)

    @property
    def summary(self) -> str:
        """One sentence."""
        parts = [
            f"{self.count(action)} to {word}"
            for action, word in ((Action.CREATE, "create"), (Action.CHANGE, "change"), (Action.DELETE, "delete"))
            if self.count(action)
        ]
        return (", ".join(parts) or "no changes") + f"; {self.unchanged} as they are"
