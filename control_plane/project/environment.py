"""The environment, read once into one frozen object; nothing else in the control plane reads it.

Reached everywhere as `django.conf.settings.SWITCHYARD`.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from control_plane.project.mail import mail_from_url
from switchyard_contract.seal import SigningKey
from switchyard_contract.settings import InvalidSettings, Value, read_settings

Network = IPv4Network | IPv6Network
Parsed = TypeVar("Parsed")

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class VersionedKeys:
    """Secrets by version, the newest last. Never shows its bytes."""

    by_version: Mapping[int, bytes] = field(repr=False)

    @property
    def newest(self) -> tuple[int, bytes]:
        version = max(self.by_version)
        return version, self.by_version[version]


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The control plane's rows of the settings table, checked and converted."""

    deployment_id: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    counters_url: str = field(repr=False)
    gateway_public_url: str
    console_public_url: str
    secret_key: str = field(repr=False)
    signing_key: SigningKey
    peppers: VersionedKeys
    sealing_keys: VersionedKeys
    console_host: str
    console_port: int
    grpc_host: str
    grpc_port: int
    grpc_tls_cert: str
    grpc_tls_key: str
    allowed_hosts: tuple[str, ...]
    is_debug: bool
    has_secure_cookies: bool
    credential_env: tuple[str, ...]
    credential_dir: str
    private_networks: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]
    web_threads: int
    worker_processes: int
    ledger_days: int
    minutes_days: int
    quarantine_days: int
    failed_authentication_days: int
    metadata_keys: int
    metadata_values: int
    requires_reasons: bool
    """Whether dangerous actions need a reason over REST too."""
    audit_heads_file: str
    audit_heads_minutes: int
    mail: Mapping[str, object] = field(repr=False)
    """Django's settings of the mail server."""
    mail_from: str
    environment: Mapping[str, str] = field(repr=False)
    """The process's environment, from which only the names in `credential_env` may be read."""


def read_control_settings(environment: Mapping[str, str]) -> ControlSettings:
    """Read the control plane's settings; raises InvalidSettings with every problem at once."""
    values = read_settings("control", environment)
    problems: list[str] = []

    def parse(name: str, reader: Callable[[str], Parsed]) -> Parsed | None:
        try:
            return reader(_text(values, name))
        except ValueError as failure:
            problems.append(f"{name}: {failure}")
            return None

    signing_key = parse("SWITCHYARD_SIGNING_KEY", read_signing_key)
    peppers = parse("SWITCHYARD_PEPPER", read_versioned_keys)
    sealing_keys = parse("SWITCHYARD_SEALING_KEY", read_versioned_keys)
    parse("DATABASE_URL", database_from_url)
    mail = parse("SWITCHYARD_MAIL_URL", mail_from_url)
    networks: list[Network] = []
    for text in _list(values, "SWITCHYARD_PRIVATE_NETWORKS"):
        try:
            networks.append(ip_network(text))
        except ValueError:
            problems.append(f"SWITCHYARD_PRIVATE_NETWORKS: {text!r} is no network such as 10.0.0.0/8")
    proxies: list[Network] = []
    for text in _list(values, "SWITCHYARD_TRUSTED_PROXIES"):
        try:
            proxies.append(ip_network(text))
        except ValueError:
            problems.append(f"SWITCHYARD_TRUSTED_PROXIES: {text!r} is no network such as 10.0.0.0/8")
    if bool(_text(values, "SWITCHYARD_GRPC_TLS_CERT")) != bool(_text(values, "SWITCHYARD_GRPC_TLS_KEY")):
        problems.append("SWITCHYARD_GRPC_TLS_CERT: set it together with SWITCHYARD_GRPC_TLS_KEY, or neither")
    if problems or signing_key is None or peppers is None or sealing_keys is None:
        raise InvalidSettings(tuple(problems))
    return ControlSettings(
        deployment_id=_text(values, "SWITCHYARD_DEPLOYMENT_ID"),
        database_url=_text(values, "DATABASE_URL"),
        redis_url=_text(values, "REDIS_URL"),
        counters_url=_text(values, "COUNTERS_URL"),
        gateway_public_url=_text(values, "SWITCHYARD_GATEWAY_PUBLIC_URL").rstrip("/"),
        console_public_url=_text(values, "SWITCHYARD_CONSOLE_PUBLIC_URL").rstrip("/"),
        secret_key=_text(values, "SWITCHYARD_SECRET_KEY"),
        signing_key=signing_key,
        peppers=peppers,
        sealing_keys=sealing_keys,
        console_host=_text(values, "SWITCHYARD_CONSOLE_HOST"),
        console_port=_integer(values, "SWITCHYARD_CONSOLE_PORT"),
        grpc_host=_text(values, "SWITCHYARD_GRPC_HOST"),
        grpc_port=_integer(values, "SWITCHYARD_GRPC_PORT"),
        grpc_tls_cert=_text(values, "SWITCHYARD_GRPC_TLS_CERT"),
        grpc_tls_key=_text(values, "SWITCHYARD_GRPC_TLS_KEY"),
        allowed_hosts=_list(values, "SWITCHYARD_ALLOWED_HOSTS"),
        is_debug=_flag(values, "SWITCHYARD_DEBUG"),
        has_secure_cookies=_flag(values, "SWITCHYARD_SECURE_COOKIES"),
        credential_env=_list(values, "SWITCHYARD_CREDENTIAL_ENV"),
        credential_dir=_text(values, "SWITCHYARD_CREDENTIAL_DIR"),
        private_networks=tuple(networks),
        trusted_proxies=tuple(proxies),
        web_threads=_integer(values, "SWITCHYARD_WEB_THREADS"),
        worker_processes=_integer(values, "SWITCHYARD_WORKER_PROCESSES"),
        ledger_days=_integer(values, "SWITCHYARD_LEDGER_DAYS"),
        minutes_days=_integer(values, "SWITCHYARD_MINUTES_DAYS"),
        quarantine_days=_integer(values, "SWITCHYARD_QUARANTINE_DAYS"),
        failed_authentication_days=_integer(values, "SWITCHYARD_FAILED_AUTHENTICATION_DAYS"),
        metadata_keys=_integer(values, "SWITCHYARD_METADATA_KEYS"),
        metadata_values=_integer(values, "SWITCHYARD_METADATA_VALUES"),
        requires_reasons=_text(values, "SWITCHYARD_REASONS") == "everywhere",
        audit_heads_file=_text(values, "SWITCHYARD_AUDIT_HEADS_FILE"),
        audit_heads_minutes=_integer(values, "SWITCHYARD_AUDIT_HEADS_MINUTES"),
        mail=mail or {},
        mail_from=_text(values, "SWITCHYARD_MAIL_FROM"),
        environment=environment,
    )


def read_signing_key(text: str) -> SigningKey:
    """Read `<key id>:<base64 of 32 bytes>`; raises ValueError without repeating the secret."""
    key_id, _, encoded = text.partition(":")
    if not key_id or not encoded:
        raise ValueError("is not <key id>:<base64 of 32 bytes>")
    return SigningKey(key_id, _secret_bytes(encoded))


def read_versioned_keys(text: str) -> VersionedKeys:
    """Read `<version>:<base64 of 32 bytes>`, comma between; raises ValueError without repeating a secret."""
    keys: dict[int, bytes] = {}
    for part in text.split(","):
        version, _, encoded = part.strip().partition(":")
        if not version.isdigit() or int(version) < 1:
            raise ValueError("is not <version>:<base64 of 32 bytes>, version 1 or higher")
        if int(version) in keys:
            raise ValueError(f"names version {version} twice")
        keys[int(version)] = _secret_bytes(encoded)
    return VersionedKeys(keys)


def database_from_url(url: str) -> dict[str, object]:
    """Turn a postgresql:// URL into Django's settings of one database; raises ValueError.

    Connections are kept per thread (threads are few and fixed in every process) and checked before reuse, which serves
    as a pool without one more moving part, and is safe in Celery's forked children.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("is no postgresql:// URL")
    options: dict[str, object] = dict(parse_qsl(parts.query))
    # A unix socket's folder comes as ?host=/folder, as in libpq.
    host = options.pop("host", None) or parts.hostname or ""
    port = options.pop("port", None) or parts.port or ""
    options.setdefault("connect_timeout", 5)
    # Sums over many columns are short statements to run and long ones to compile; a month's groups fit in 16 MiB.
    options.setdefault("options", "-c jit=off -c work_mem=16MB")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "switchyard",
        "USER": unquote(parts.username or options.pop("user", None) or ""),  # type: ignore[arg-type]  # query values are text
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": options,
    }


def _secret_bytes(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("holds no valid base64") from None
    if len(raw) != SECRET_BYTES:
        raise ValueError(f"holds {len(raw)} bytes, not {SECRET_BYTES}")
    return raw


def _text(values: Mapping[str, Value], name: str) -> str:
    return str(values[name])


def _integer(values: Mapping[str, Value], name: str) -> int:
    value = values[name]
    assert isinstance(value, int)
    return value


def _flag(values: Mapping[str, Value], name: str) -> bool:
    return values[name] is True


def _list(values: Mapping[str, Value], name: str) -> tuple[str, ...]:
    value = values[name]
    assert isinstance(value, tuple)
    return value
