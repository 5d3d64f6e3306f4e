"""TOML, edited by tomlkit: comments, order and spelling of everything else stay."""

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from deploy.remote.setup.document import ABSENT, Path, Unreadable


class TomlFile:
    """The text of one file. Raises Unreadable."""

    def __init__(self, text: str) -> None:
        try:
            self._document = tomlkit.parse(text)
        except TOMLKitError as failure:
            raise Unreadable(str(failure), int(getattr(failure, "line", 0) or 0)) from failure

    def text(self) -> str:
        return tomlkit.dumps(self._document)

    def is_empty(self) -> bool:
        return not self.text().strip()

    def get(self, path: Path) -> Any:
        found = self._find(path)
        return ABSENT if found is ABSENT else _plain(found)

    def set(self, path: Path, value: Any) -> None:
        if isinstance(value, Mapping) and self._find(path) is ABSENT and not self._is_inline_on_the_way(path):
            self._append_table(path, value)
            return
        container: Any = self._document
        for depth, name in enumerate(path[:-1]):
            if name not in container:
                # Only the innermost table gets a [header]; those on the way need none.
                inner = tomlkit.inline_table() if _is_inline(container) else tomlkit.table(is_super_table=True)
                container.append(name, inner)
            container = container[name]
            if not isinstance(container, Mapping):
                raise Unreadable(f"{'.'.join(path[: depth + 1])} is no table")
        item = _item(value, is_inline=_is_inline(container))
        if path[-1] in container:
            container[path[-1]] = item
        else:
            container.append(path[-1], item)

    def remove(self, path: Path) -> None:
        if self._find(path) is ABSENT:
            return
        container: Any = self._document
        for name in path[:-1]:
            container = container[name]
        del container[path[-1]]

    def _append_table(self, path: Path, value: Mapping[str, Any]) -> None:
        """Add a table at the end, as text: tables of one parent may lie apart, which tomlkit cannot append to."""
        nested: Any = _item(value, is_inline=False)
        for depth, name in reversed(list(enumerate(path))):
            outer = tomlkit.document() if depth == 0 else tomlkit.table(is_super_table=True)
            outer.append(name, nested)
            nested = outer
        text = self.text()
        gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        self._document = tomlkit.parse(text + gap + tomlkit.dumps(nested))

    def _is_inline_on_the_way(self, path: Path) -> bool:
        return any(_is_inline(self._find(path[:depth])) for depth in range(1, len(path)))

    def _find(self, path: Path) -> Any:
        found: Any = self._document
        for depth, name in enumerate(path):
            if not isinstance(found, Mapping):
                raise Unreadable(f"{'.'.join(path[:depth])} is no table")
            if name not in found:
                return ABSENT
            found = found[name]
        return found


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def _is_inline(container: Any) -> bool:
    return isinstance(container, InlineTable)


def _item(value: Any, *, is_inline: bool) -> Any:
    if not isinstance(value, Mapping):
        return tomlkit.item(value)
    table = tomlkit.inline_table() if is_inline else tomlkit.table()
    # Plain values first: behind a sub-table they would belong to it.
    for name, inner in sorted(value.items(), key=lambda pair: isinstance(pair[1], Mapping)):
        table.append(name, _item(inner, is_inline=is_inline))
    return table
