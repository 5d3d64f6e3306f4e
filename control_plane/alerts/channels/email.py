"""Mail through the deployment's server: one message to all addresses of the channel."""

import smtplib
from contextlib import suppress
from email.utils import parseaddr
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from control_plane.alerts.channels.channel import Channel, Destination, Message, NotDelivered, Parting

MOST_ADDRESSES = 20
NO_SERVER = "No mail server is set up (SWITCHYARD_MAIL_URL)."
_PERMANENT = range(500, 600)


def check(destination: Destination) -> None:
    addresses = destination.addresses
    if not addresses:
        raise ValidationError({"addresses": "At least one e-mail address."})
    if len(addresses) > MOST_ADDRESSES:
        raise ValidationError({"addresses": f"At most {MOST_ADDRESSES}; a mailing list reaches more."})
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError as failure:
            raise ValidationError({"addresses": f"{address[:100]!r} is no e-mail address."}) from failure


def deliver(message: Message, destination: Destination) -> Parting:
    if not settings.EMAIL_HOST:
        raise NotDelivered(NO_SERVER, is_final=True)
    server = get_connection(timeout=10)
    mail = EmailMessage(
        message.subject,
        message.text,
        settings.DEFAULT_FROM_EMAIL,
        list(destination.addresses),
        headers={
            # The same at every try: whoever gets it twice after a crash sees it once.
            "Message-ID": f"<{message.id}@{_domain()}>",
            "Auto-Submitted": "auto-generated",
            "X-Switchyard-Event": message.event,
        },
        connection=server,
    )
    try:
        # Opened here and not by `send`, which would say goodbye before anybody hears that the message was taken.
        server.open()
        mail.send()
    except OSError as failure:  # smtplib's errors are OSErrors
        _part(server)
        raise _not_delivered(failure) from failure
    return partial(_part, server)


def _not_delivered(failure: OSError) -> NotDelivered:
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        codes = {code for code, _ in failure.recipients.values()}
        return NotDelivered(
            f"The mail server refused the recipients ({_codes(codes)}).",
            is_final=all(code in _PERMANENT for code in codes),
        )
    if isinstance(failure, smtplib.SMTPResponseException):
        return NotDelivered(
            f"The mail server answered {failure.smtp_code}.",
            # A refused login is mended by an operator, and then the message should still go.
            is_final=failure.smtp_code in _PERMANENT and not isinstance(failure, smtplib.SMTPAuthenticationError),
        )
    return NotDelivered(f"The mail server could not be reached ({type(failure).__name__}).")


def _part(server: BaseEmailBackend) -> None:
    # A server that is gone by then has taken the message all the same.
    with suppress(OSError):
        server.close()


def _codes(codes: set[int]) -> str:
    return ", ".join(str(code) for code in sorted(codes))


def _domain() -> str:
    """The right side of message ids: the sender's domain, else the console's host."""
    _, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    domain = address.rpartition("@")[2]
    return domain or urlsplit(settings.SWITCHYARD.console_public_url).hostname or "switchyard.invalid"


CHANNEL = Channel(type="email", label="E-mail", takes=("addresses",), check=check, deliver=deliver)
