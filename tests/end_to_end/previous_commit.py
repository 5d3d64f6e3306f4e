"""The source of the commit before this one, taken out of git's history into a folder of its own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.stack import ROOT


@dataclass(frozen=True, slots=True)
class Previous:
    """commit: its id; empty where this clone has no history, and the present source stands in for it."""

    commit: str

    def __str__(self) -> str:
        return f"commit {self.commit[:12]}" if self.commit else "the present source, for want of history"

    def unpack(self, folder: Path) -> Path:
        """Give the folder with the source."""
        if not self.commit:
            return ROOT
        packed = _git("archive", "--format=tar", self.commit)
        # Not `tarfile`: how it is told to take nothing from outside the folder came with 3.11.4.
        subprocess.run(["tar", "--extract", "--directory", str(folder)], input=packed, check=True)
        return folder


def find_previous() -> Previous:
    """Look for the parent of HEAD, or what PREVIOUS_COMMIT names (a release, say).

    Fails where git is there and cannot answer: that must not pass for "no history".
    """
    if not (ROOT / ".git").exists():
        return Previous("")
    if named := os.environ.get("PREVIOUS_COMMIT"):
        return Previous(_git("rev-parse", "--verify", f"{named}^{{commit}}").decode().strip())
    parents = _git("rev-list", "--parents", "--max-count=1", "HEAD").decode().split()[1:]
    return Previous(parents[0] if parents else "")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, timeout=60).stdout
