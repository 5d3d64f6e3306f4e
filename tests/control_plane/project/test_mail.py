"""The mail server, from one URL."""

import pytest

from control_plane.project.mail import mail_from_url


def test_nothing_means_no_mail() -> None:
    assert mail_from_url("") == {"EMAIL_HOST": ""}


@pytest.mark.parametrize(
    ("url", "port", "starttls", "tls"),
    [
        ("smtp://mail.example", 587, True, False),
        ("smtp://mail.example:2525?security=none", 2525, False, False),
        ("smtp://mail.example?security=tls", 465, False, True),
    ],
)
def test_ports_follow_the_security(url: str, port: int, starttls: bool, tls: bool) -> None:
    settings = mail_from_url(url)
    assert (settings["EMAIL_PORT"], settings["EMAIL_USE_TLS"], settings["EMAIL_USE_SSL"]) == (port, starttls, tls)


def test_names_and_passwords_are_unquoted() -> None:
    settings = mail_from_url("smtp://me%40example.com:p%2Fw@mail.example")
    assert (settings["EMAIL_HOST_USER"], settings["EMAIL_HOST_PASSWORD"]) == ("me@example.com", "p/w")


@pytest.mark.parametrize(
    "wrong", ["mail.example", "http://mail.example", "smtp://", "smtp://x?security=ssl3", "smtp://x?a=b"]
)
def test_what_is_no_mail_server_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"smtp|security"):
        mail_from_url(wrong)
