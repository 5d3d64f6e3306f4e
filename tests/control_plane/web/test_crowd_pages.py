"""No page of the console is left out of what `make crowd` measures."""

from control_plane.web.urls import urlpatterns
from tests.load.crowd_pages import NOT_MEASURED, POSTED_TO, ids

ALL = {str(pattern.name) for pattern in urlpatterns}


def test_every_page_is_measured_or_named_aside() -> None:
    known = ids()
    left_out = [
        str(pattern.name)
        for pattern in urlpatterns
        if (converters := list(pattern.pattern.converters))
        and pattern.name not in NOT_MEASURED
        and not {str(pattern.name), ",".join(converters)} & known.keys()
    ]
    assert left_out == []


def test_what_stands_aside_is_a_page_of_the_console() -> None:
    assert {*NOT_MEASURED, *POSTED_TO} <= ALL
