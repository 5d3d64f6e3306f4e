"""No call to an address that the deployment does not allow."""

import dataclasses
from collections.abc import Sequence

import pytest
import requests
from django.conf import settings
from django.test import override_settings

from control_plane.identity import outbound
from control_plane.identity.failures import ProviderUnreachable
from control_plane.identity.outbound import GuardedSession, fetch_text
from tests.fakes.identity_provider import IdentityProvider


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "http://10.1.2.3/",
        "http://[::1]:1/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0/",
    ],
)
def test_private_addresses_are_not_dialled(url: str) -> None:
    with pytest.raises(ProviderUnreachable) as failure:
        fetch_text(url, "The document")
    assert "not public" in str(failure.value) or "neither a host name" in str(failure.value)


def test_loopback_only_where_the_deployment_says_so(identity_provider: IdentityProvider) -> None:
    assert "issuer" in fetch_text(f"{identity_provider.issuer}/.well-known/openid-configuration", "It")
    strict = dataclasses.replace(settings.SWITCHYARD, private_networks=())
    with override_settings(SWITCHYARD=strict), pytest.raises(ProviderUnreachable):
        fetch_text(f"{identity_provider.issuer}/.well-known/openid-configuration", "It")
    assert len(identity_provider.calls) == 1


def test_a_name_that_resolves_to_something_else_the_second_time_is_still_checked(
    monkeypatch: pytest.MonkeyPatch, identity_provider: IdentityProvider
) -> None:
    answers: list[Sequence[str]] = [["127.0.0.1"], ["169.254.169.254"]]
    monkeypatch.setattr(outbound, "resolve", lambda host, port: answers.pop(0))
    url = identity_provider.issuer.replace("127.0.0.1", "idp.example.com") + "/keys"
    assert "keys" in fetch_text(url, "It")
    with pytest.raises(ProviderUnreachable, match="not public"):
        fetch_text(url, "It")


def test_redirects_are_not_followed(identity_provider: IdentityProvider) -> None:
    identity_provider.overrides["/oidc/keys"] = lambda: (302, f"{identity_provider.issuer}/userinfo", "")
    with pytest.raises(ProviderUnreachable, match="redirect"):
        fetch_text(f"{identity_provider.issuer}/keys", "It")
    assert identity_provider.calls == ["GET /oidc/keys"]


def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, identity_provider: IdentityProvider
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with GuardedSession() as session:
        assert session.get(f"{identity_provider.issuer}/keys").status_code == 200


def test_who_does_not_answer_is_told_as_that() -> None:
    with pytest.raises(ProviderUnreachable, match="no answer"):
        fetch_text("http://127.0.0.1:1/x", "The document")
    assert issubclass(outbound.AnswerTooLarge, requests.RequestException)
