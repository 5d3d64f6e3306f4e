"""Every relative link of the documentation leads to something."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_IMAGE = re.compile(r"!\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_NAMED_PAGE = re.compile(r"`((?:how-to|operations|reference|decisions|protocols|clients)/[a-z0-9-]+\.md)`")
"""Pages that are named in text rather than linked."""
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchor_of(heading: str) -> str:
    """The name that a heading is linked by."""
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.replace(" ", "-")


def broken_links(page: Path) -> Iterator[str]:
    text = _FENCED.sub("", page.read_text())
    for target in (*_LINK.findall(text), *_IMAGE.findall(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists():
            yield f"{target} is not there"
        elif anchor and anchor not in {anchor_of(each) for each in _HEADING.findall(found.read_text())}:
            yield f"{target}: there is no such heading"
    for named in _NAMED_PAGE.findall(text):
        if not (ROOT / "docs" / named).exists():
            yield f"{named} is named and not there"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []
