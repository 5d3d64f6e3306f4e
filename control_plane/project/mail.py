"""The mail server, from one URL."""

from urllib.parse import parse_qsl, unquote, urlsplit

SECURITIES = ("starttls", "tls", "none")


def mail_from_url(url: str) -> dict[str, object]:
    """Turn smtp://[user:password@]host[:port][?security=starttls|tls|none] into Django's settings; raises ValueError.

    Empty: no mail is sent, and what would be mailed is seen in the console only.
    """
    if not url:
        return {"EMAIL_HOST": ""}
    parts = urlsplit(url)
    if parts.scheme != "smtp" or not parts.hostname:
        raise ValueError("is no smtp://[user:password@]host[:port] URL")
    options = dict(parse_qsl(parts.query))
    security = options.pop("security", "starttls")
    if options or security not in SECURITIES:
        raise ValueError(f"knows only ?security=, one of {', '.join(SECURITIES)}")
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if security == "tls" else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": security == "starttls",
        "EMAIL_USE_SSL": security == "tls",
        "EMAIL_TIMEOUT": 10,
    }
