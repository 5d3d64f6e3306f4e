"""The console's icons: Lucide's strokes, one file each in `icons/`, drawn into the page to take its colour."""

from functools import cache
from pathlib import Path

from django.utils.safestring import SafeString, mark_safe

FOLDER = Path(__file__).parent / "icons"


class UnknownIcon(LookupError):
    """No such file in `icons/`."""


@cache
def strokes(name: str) -> str:
    """The inner elements of an icon's SVG. Raises UnknownIcon."""
    path = FOLDER / f"{name}.svg"
    if not path.is_file():
        raise UnknownIcon(f"no icon is called {name!r}; add {path.name} to control_plane/web/icons")
    return path.read_text(encoding="utf-8").strip()


def icon_svg(name: str, size: int = 16, classes: str = "") -> SafeString:
    """An icon that screen readers pass over: what it stands for is always written beside it or on its button."""
    # Files of our own: nothing in them comes from a request.
    return mark_safe(  # noqa: S308
        f'<svg width="{size}" height="{size}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
        f' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"'
        f"{f' class={chr(34)}{classes}{chr(34)}' if classes else ''}>{strokes(name)}</svg>"
    )
