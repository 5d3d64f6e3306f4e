"""What a browser calls itself, in the words of people: "Firefox on Linux". Pure.

The family and the system only: versions in these texts have been frozen for years and tell nothing. What is not known
is not guessed.
"""

from typing import Final

_FAMILIES: Final = (
    # Most name others that they want to be taken for, so the order matters: who is named by nobody else comes first.
    (("Edg/", "EdgA/", "EdgiOS/"), "Edge"),
    (("OPR/", "Opera"), "Opera"),
    (("Vivaldi/",), "Vivaldi"),
    (("SamsungBrowser/",), "Samsung Internet"),
    (("Firefox/", "FxiOS/"), "Firefox"),
    (("Chrome/", "CriOS/", "Chromium/", "HeadlessChrome/"), "Chrome"),
    (("Safari/",), "Safari"),
    (("curl/",), "curl"),
    (("python-requests/", "python-httpx/", "Python-urllib/", "aiohttp/"), "a Python program"),
)
_SYSTEMS: Final = (
    (("Windows",), "Windows"),
    (("iPhone",), "iPhone"),
    (("iPad",), "iPad"),
    (("Android",), "Android"),
    (("CrOS",), "ChromeOS"),
    (("Mac OS X", "Macintosh"), "macOS"),
    (("Linux", "X11"), "Linux"),
)
UNKNOWN = "another program"


def browser_words(user_agent: str) -> str:
    """Family and system; one of them where the other is not known; empty where nothing was said."""
    if not user_agent.strip():
        return ""
    family, system = _first(user_agent, _FAMILIES), _first(user_agent, _SYSTEMS)
    if system and family not in ("curl", "a Python program"):
        return f"{family or UNKNOWN} on {system}"
    return family or UNKNOWN


def _first(text: str, known: tuple[tuple[tuple[str, ...], str], ...]) -> str:
    return next((name for marks, name in known if any(mark in text for mark in marks)), "")
