"""A .env file: NAME=value lines, the last of a name counts, as it does for the tools that read it."""

import re
from typing import Any

from deploy.remote.setup.document import ABSENT, Path, Unreadable

_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=(?P<value>.*)$")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")
_COMMENT = re.compile(r"\s#.*$")


class EnvFile:
    """The text of one file; every text is one."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def text(self) -> str:
        return "\n".join(self._lines)

    def is_empty(self) -> bool:
        return not self.text().strip()

    def get(self, path: Path) -> Any:
        place = self._place(path)
        if place is None:
            return ABSENT
        found = _LINE.match(self._lines[place].rstrip("\r"))
        assert found is not None
        return _unquoted(found["value"].strip())

    def set(self, path: Path, value: Any) -> None:
        line = f"{path[0]}={_quoted(str(value))}"
        place = self._place(path)
        ending = "\r" if any(old.endswith("\r") for old in self._lines) else ""
        if place is not None:
            self._lines[place] = line + ending
        elif self._lines[-1] == "":
            self._lines[-1:] = [line + ending, ""]
        else:
            self._lines[-1] += ending
            self._lines += [line + ending, ""]

    def remove(self, path: Path) -> None:
        place = self._place(path)
        if place is not None:
            del self._lines[place]

    def names(self) -> list[str]:
        found = (_LINE.match(line.rstrip("\r")) for line in self._lines)
        return list(dict.fromkeys(match["name"] for match in found if match))

    def _place(self, path: Path) -> int | None:
        if len(path) != 1:
            raise Unreadable("a .env file has no sections")
        # dotenv lets the last line of a name win; the one that counts is the one to change.
        places = [
            number
            for number, line in enumerate(self._lines)
            if (found := _LINE.match(line.rstrip("\r"))) and found["name"] == path[0]
        ]
        return places[-1] if places else None


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"`":
        return text[1:-1]
    return _COMMENT.sub("", text).strip()


def _quoted(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise Unreadable("a value of a .env file is one line")
    if _PLAIN.fullmatch(value):
        return value
    return f"'{value}'" if "'" not in value else f'"{value}"'
