"""No page of the console is left out of what is looked at and judged."""

from urllib.parse import urlsplit

import pytest
from django.urls import resolve
from django.urls.exceptions import Resolver404

from control_plane.web.places import PLACES
from control_plane.web.urls import urlpatterns
from tests.browser.places import Spot, admin_spots, first_run_spots, guarded_spots, member_spots, public_spots
from tests.browser.world import World
from tests.control_plane.web.test_access import POST_ONLY

pytestmark = [pytest.mark.browser, pytest.mark.django_db, pytest.mark.timeout(300)]

PARTS_OF_PAGES = {
    "audit-verify": "the verdict, within the audit",
    "checklist": "the first steps, within the overview",
    "key-changes": "what an edit will change, within the form",
    "key-check": "whether the first request came, within the new key",
    "key-rules-effect": "whom new rules touch, within the form",
    "my-key-sentence": "the live sentence of the form",
    "notices": "the notices, within every page",
    "rule-preview": "what a rule means, within its form",
    "palette": "the palette's results",
    "service-key-sentence": "the live sentence of the form",
}
FILES = {
    "audit-export",
    "policy-download",
    "policy-drift-download",
    "policy-revision-download",
    "rollout-file",
    "sso-metadata",
}
ON_THE_WAY = {
    "confirm-sso": "leads to the identity provider",
    "connection-test": "leads to the identity provider",
    "sso-begin": "leads to the identity provider",
    "sso-callback": "comes from it: test_sso.py goes through and looks at its failures",
    "sso-acs": "comes from it: test_sso.py",
    "sso-finish": "comes from it: test_sso.py",
}


def _visited(world: World) -> set[str]:
    spots: list[Spot] = [
        *admin_spots(world),
        *member_spots(world),
        *guarded_spots(),
        *public_spots(world),
        *first_run_spots(),
    ]
    names = {"sign-in-code"} if any(spot.opens == "code" for spot in spots) else set[str]()
    for spot in spots:
        try:
            names.add(resolve(urlsplit(spot.path).path).url_name or "")
        except Resolver404:
            continue  # the page that is not there
    return names


def test_every_page_is_looked_at(world: World) -> None:
    aside = {*POST_ONLY, *PARTS_OF_PAGES, *FILES, *ON_THE_WAY}
    visited = _visited(world)
    names = {str(pattern.name) for pattern in urlpatterns}
    assert names - visited - aside == set()
    assert aside & visited == set(), "visited, so not to be named aside"


def test_no_two_places_have_one_letter() -> None:
    letters = [place.letter for place in PLACES]
    assert len(letters) == len(set(letters))
    assert not {"", " "} & set(letters)


def test_each_name_of_a_spot_is_used_once(world: World) -> None:
    names = [
        spot.name
        for spots in (
            admin_spots(world),
            member_spots(world),
            guarded_spots(),
            public_spots(world),
            first_run_spots(),
        )
        for spot in spots
    ]
    assert len(names) == len(set(names))
