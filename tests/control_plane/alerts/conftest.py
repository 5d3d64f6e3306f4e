"""A tenant, and the two ends of the wire."""

from typing import Any

import pytest

from control_plane.alerts import crossings
from tests.builders.tenants import Tenant, a_tenant
from tests.fakes.mail_server import MailServer, mail_server
from tests.fakes.webhook_receiver import webhook_receiver

__all__ = ["mail_server", "webhook_receiver"]


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def globex(db: None) -> Tenant:
    return a_tenant("globex")


@pytest.fixture
def mail(mail_server: MailServer, settings: Any) -> MailServer:
    """The deployment's mail server is the fake."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_server.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.DEFAULT_FROM_EMAIL = "Switchyard <switchyard@acme.example>"
    return mail_server


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hints that would go to the broker; rows are what counts."""
    sent: list[str] = []

    def send_task(name: str, *arguments: object, **options: object) -> None:
        sent.append(name)

    monkeypatch.setattr(crossings.current_app, "send_task", send_task)
    return sent
