"""Policy files on this machine: found, joined to one text, and every line of it traced back to where it came from."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from deploy.remote.refused import Refused

SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 4 * 1024 * 1024
SEPARATOR = "---\n"


@dataclass(frozen=True, slots=True)
class PolicyText:
    """Several files as one. starts: the line at which each file begins, from 1."""

    text: str
    starts: tuple[tuple[int, str], ...]

    def where(self, line: int) -> str:
        """`teams.yaml:12`, for a line of the joined text."""
        if line < 1 or not self.starts:
            return ""
        first, name = self.starts[max(0, bisect_right([start for start, _ in self.starts], line) - 1)]
        return f"{name}:{max(1, line - first + 1)}"


def read_files(names: Sequence[str], standard_input: TextIO) -> PolicyText:
    """Read files, folders (every YAML below them) and `-` in the order given. Raises Refused."""
    parts: list[str] = []
    starts: list[tuple[int, str]] = []
    line = 1
    for name, text in _each(names, standard_input):
        text = text if text.endswith("\n") or not text else text + "\n"
        if parts:
            parts.append(SEPARATOR)
            line += 1
        starts.append((line, name))
        parts.append(text)
        line += text.count("\n")
    whole = "".join(parts)
    if len(whole.encode()) > MOST_BYTES:
        raise Refused(f"these files are larger than {MOST_BYTES // (1024 * 1024)} MiB together")
    return PolicyText(whole, tuple(starts))


def _each(names: Sequence[str], standard_input: TextIO) -> Iterator[tuple[str, str]]:
    for name in names:
        if name == "-":
            yield "<standard input>", standard_input.read(MOST_BYTES + 1)
            continue
        path = Path(name)
        found = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES) if path.is_dir() else [path]
        if not found:
            raise Refused(f"there is no {' or '.join(SUFFIXES)} file below {name}")
        for each in found:
            yield str(each), _text_of(each)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise Refused(f"{path} is no UTF-8 text") from failure
    except OSError as failure:
        raise Refused(f"{path} cannot be read: {failure.strerror or failure}") from failure
