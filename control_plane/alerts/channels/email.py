"""Mail through the deployment's server: one message to all addresses of the channel."""

import smtplib
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.validators import validate_email

from control_plane.alerts.channels.channel import Channel, Destination, Message, NotDelivered

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


def deliver(message: Message, destination: Destination) -> None:
    if not settings.EMAIL_HOST:
        raise NotDelivered(NO_SERVER, is_final=True)
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
        connection=get_connection(timeout=10),
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as failure:
        codes = {code for code, _ in failure.recipients.values()}
        raise NotDelivered(
            f"The mail server refused the recipients ({_codes(codes)}).",
            is_final=all(code in _PERMANENT for code in codes),
        ) from failure
    except smtplib.SMTPResponseException as failure:
        raise NotDelivered(
            f"The mail server answered {failure.smtp_code}.",
            # A refused login is mended by an operator, and then the message should still go.
            is_final=failure.smtp_code in _PERMANENT and not isinstance(failure, smtplib.SMTPAuthenticationError),
        ) from failure
    except OSError as failure:  # smtplib's errors are OSErrors
        raise NotDelivered(f"The mail server could not be reached ({type(failure).__name__}).") from failure


def _codes(codes: set[int]) -> str:
    return ", ".join(str(code) for code in sorted(codes))


def _domain() -> str:
    """The right side of message ids: the sender's domain, else the console's host."""
    _, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    domain = address.rpartition("@")[2]
    return domain or urlsplit(settings.SWITCHYARD.console_public_url).hostname or "switchyard.invalid"


CHANNEL = Channel(type="email", label="E-mail", takes=("addresses",), check=check, deliver=deliver)
