"""The files of the repository, as the architecture tests look at them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("control_plane", "data_plane", "deploy", "proto/switchyard_contract")


def tracked_files() -> tuple[Path, ...]:
    """Every file git knows or would add, relative to the root; without git (an unpacked release) every file."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return tuple(Path(name) for name in sorted(listed.split("\0")) if name and (ROOT / name).exists())


def python_files(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Each hand-written Python file below the folders with its syntax tree."""
    for path in tracked_files():
        if path.suffix == ".py" and "_pb2" not in path.name and any(path.is_relative_to(folder) for folder in folders):
            yield path, ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))
