"""The console as a browser without scripts sees it: sign in with the form, then read pages."""

import html
import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from tests.end_to_end.stack import Stack

_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_TAG = re.compile(r"<[^>]+>")


class Console:
    """One signed-in session: the first administrator's, or that of whoever has this e-mail and password."""

    def __init__(self, stack: Stack, email: str = "", password: str = "") -> None:
        self._url = stack.console_url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        found = _CSRF.search(self.page("/sign-in"))
        assert found is not None, "the sign-in page has no form"
        form = {
            "csrfmiddlewaretoken": found[1],
            "email": email or stack.local["admin_email"],
            "password": password or stack.local["admin_password"],
        }
        request = urllib.request.Request(
            f"{self._url}/sign-in", data=urllib.parse.urlencode(form).encode(), headers={"referer": self._url}
        )
        with self._opener.open(request, timeout=20) as answer:
            assert answer.status == 200
            assert not answer.url.endswith("/sign-in"), "the console did not let us in"

    def page(self, path: str) -> str:
        """The HTML of a page."""
        with self._opener.open(f"{self._url}{path}", timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    def text(self, path: str) -> str:
        """What a page says, without its tags."""
        return " ".join(html.unescape(_TAG.sub("", self.page(path))).split())

    def fleet_row(self, pod_id: str) -> str:
        """The row of a pod on the fleet page: its text and the hints behind it, tags taken out; empty: no such row."""
        for row in re.findall(r"<tr data-href=.*?</tr>", self.page("/fleet"), re.DOTALL):
            if f">{pod_id}</a>" in row:
                hints = re.findall(r'title="([^"]*)"', row)
                return html.unescape(" ".join([_TAG.sub(" ", row), *hints]))
        return ""
