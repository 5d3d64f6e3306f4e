"""The one table of settings: name, default, unit, range, meaning.

Each process reads its own rows once at start into a mapping of checked values; nothing else reads the environment. A
wrong value stops the start with every problem listed by name. A secret may come from `<NAME>_FILE` instead.
`docs/operations/settings.md` is generated from this table (`switchyard doctor --settings-page`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Plane = Literal["control", "data", "local"]
Kind = Literal["text", "integer", "flag", "url", "path", "secret", "list", "choice"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. default None: required. Integers are in `unit`, within [lowest, highest]."""

    name: str
    planes: tuple[Plane, ...]
    kind: Kind
    default: str | None
    meaning: str
    unit: str = ""
    lowest: int | None = None
    highest: int | None = None
    choices: tuple[str, ...] = ()


Value = str | int | bool | tuple[str, ...]


class InvalidSettings(Exception):
    """At least one setting is missing or wrong; `problems` holds a sentence for each, led by the setting's name."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _port(name: str, planes: tuple[Plane, ...], default: str, meaning: str) -> Setting:
    return Setting(name, planes, "integer", default, meaning, "port", 1, 65535)


SETTINGS: tuple[Setting, ...] = (
    # Where things are.
    Setting(
        "SWITCHYARD_DEPLOYMENT_ID", ("control", "data"), "text", None, "names this installation in every signature"
    ),
    Setting("DATABASE_URL", ("control",), "url", None, "PostgreSQL 15 or newer"),
    Setting("REDIS_URL", ("control",), "url", None, "broker and cache: Redis 7.2 or Valkey 8 and newer"),
    Setting(
        "COUNTERS_URL",
        ("control", "data"),
        "url",
        None,
        "counters and tombstones; a store of its own; redis://, rediss://, redis+sentinel:// (losing-the-counters.md)",
    ),
    Setting("SWITCHYARD_GATEWAY_PUBLIC_URL", ("control",), "url", "http://127.0.0.1:8080", "what tools are pointed at"),
    Setting(
        "SWITCHYARD_CONSOLE_PUBLIC_URL", ("control",), "url", "http://127.0.0.1:8000", "where people open the console"
    ),
    # Secrets of the installation.
    Setting("SWITCHYARD_SECRET_KEY", ("control",), "secret", None, "signs console sessions"),
    Setting(
        "SWITCHYARD_SIGNING_KEY",
        ("control",),
        "secret",
        None,
        "Ed25519 key that signs snapshots: <key id>:<base64 of 32 bytes>",
    ),
    Setting(
        "SWITCHYARD_VERIFY_KEYS",
        ("data",),
        "secret",
        None,
        "public keys that pods trust: <key id>:<base64>, comma between; two during a rotation",
    ),
    Setting(
        "SWITCHYARD_PEPPER",
        ("control",),
        "secret",
        None,
        "peppers of key digests: <version>:<base64 of 32 bytes>, newest last",
    ),
    Setting(
        "SWITCHYARD_SEALING_KEY",
        ("control",),
        "secret",
        None,
        "keys that seal provider credentials: <version>:<base64 of 32 bytes>, newest last",
    ),
    Setting("SWITCHYARD_POD_TOKEN", ("data",), "secret", None, "join token of the fleet (sypod_...)"),
    Setting(
        "SWITCHYARD_SHELF_KEY",
        ("data",),
        "secret",
        "",
        "base64 of 32 bytes; wraps key material on the pod's disk. Empty: a pod cannot start without the control plane",
    ),
    # Control plane processes.
    Setting("SWITCHYARD_CONSOLE_HOST", ("control", "local"), "text", "127.0.0.1", "address the console listens on"),
    _port("SWITCHYARD_CONSOLE_PORT", ("control", "local"), "8000", "port of the console"),
    Setting("SWITCHYARD_GRPC_HOST", ("control", "local"), "text", "127.0.0.1", "address the gRPC services listen on"),
    _port("SWITCHYARD_GRPC_PORT", ("control", "local"), "50051", "port of the gRPC services"),
    Setting(
        "SWITCHYARD_GRPC_TLS_CERT", ("control",), "path", "", "certificate of the gRPC services; empty: plain text"
    ),
    Setting("SWITCHYARD_GRPC_TLS_KEY", ("control",), "path", "", "its private key"),
    Setting(
        "SWITCHYARD_ALLOWED_HOSTS", ("control",), "list", "127.0.0.1,localhost", "host names the console answers to"
    ),
    Setting("SWITCHYARD_DEBUG", ("control",), "flag", "false", "development only: readable error pages"),
    Setting(
        "SWITCHYARD_SECURE_COOKIES", ("control",), "flag", "true", "cookies only over https; local mode turns it off"
    ),
    Setting(
        "SWITCHYARD_CREDENTIAL_ENV",
        ("control",),
        "list",
        "",
        "environment variables a provider's credential may name: `<organization slug>:<NAME>`, "
        "or `<NAME>` for the first organization alone",
    ),
    Setting(
        "SWITCHYARD_CREDENTIAL_DIR",
        ("control",),
        "path",
        "",
        "folder of credential files; an organization's lie below `<folder>/<organization slug>/`",
    ),
    Setting(
        "SWITCHYARD_PRIVATE_NETWORKS",
        ("control", "data"),
        "list",
        "",
        "CIDRs in which providers may live besides public ones",
    ),
    Setting("SWITCHYARD_WEB_THREADS", ("control",), "integer", "4", "threads of the web process", "threads", 1, 64),
    Setting("SWITCHYARD_WORKER_PROCESSES", ("control",), "integer", "2", "Celery worker processes", "processes", 1, 64),
    Setting("SWITCHYARD_LEDGER_DAYS", ("control",), "integer", "396", "ledger partitions are kept", "days", 1, 3660),
    Setting("SWITCHYARD_MINUTES_DAYS", ("control",), "integer", "14", "sums by the minute are kept", "days", 1, 400),
    Setting(
        "SWITCHYARD_QUARANTINE_DAYS",
        ("control",),
        "integer",
        "90",
        "usage events that were not believed are kept",
        "days",
        1,
        3660,
    ),
    Setting(
        "SWITCHYARD_FAILED_AUTHENTICATION_DAYS",
        ("control",),
        "integer",
        "90",
        "counts of failed authentications are kept",
        "days",
        1,
        3660,
    ),
    Setting(
        "SWITCHYARD_METADATA_KEYS",
        ("control",),
        "integer",
        "50",
        "keys of metadata that an organization has sums for",
        "keys",
        0,
        1000,
    ),
    Setting(
        "SWITCHYARD_METADATA_VALUES",
        ("control",),
        "integer",
        "1000",
        "values of one key of metadata that have sums of their own; those beyond are summed as (other)",
        "values",
        1,
        100_000,
    ),
    Setting(
        "SWITCHYARD_REASONS",
        ("control",),
        "choice",
        "console",
        "where a dangerous action (revoke, delete, make an owner, replace a credential) needs a reason; the REST API "
        "takes one with every change",
        choices=("console", "everywhere"),
    ),
    Setting(
        "SWITCHYARD_AUDIT_HEADS_FILE",
        ("control",),
        "path",
        "",
        "file to which signed heads of the audit chains are appended, best on a disk that the database's "
        "administrators cannot write; empty: none",
    ),
    Setting(
        "SWITCHYARD_AUDIT_HEADS_MINUTES",
        ("control",),
        "integer",
        "5",
        "how often the audit chains are signed where they have grown",
        "minutes",
        1,
        1440,
    ),
    Setting(
        "SWITCHYARD_MAIL_URL",
        ("control",),
        "secret",
        "",
        "mail server: smtp://[user:password@]host[:port][?security=starttls|tls|none]; empty: notices are in the "
        "console only",
    ),
    Setting("SWITCHYARD_MAIL_FROM", ("control",), "text", "switchyard@localhost", "sender of the mails"),
    # Pods.
    Setting(
        "SWITCHYARD_POD_ID",
        ("data",),
        "text",
        "",
        "stable name of the pod; empty: made once and kept in its state folder",
    ),
    Setting("SWITCHYARD_POD_STATE", ("data",), "path", "./pod-state", "the pod's own disk: spool and shelf"),
    Setting(
        "SWITCHYARD_CONTROL_GRPC",
        ("data",),
        "list",
        "127.0.0.1:50051",
        "addresses of the control plane's gRPC services",
    ),
    Setting("SWITCHYARD_CONTROL_GRPC_CA", ("data",), "path", "", "CA file for gRPC over TLS; empty: plain text"),
    Setting("SWITCHYARD_GATEWAY_HOST", ("data", "local"), "text", "127.0.0.1", "address the gateway listens on"),
    _port("SWITCHYARD_GATEWAY_PORT", ("data", "local"), "8080", "port of the gateway; pods of one machine share it"),
    Setting("SWITCHYARD_GATEWAY_TLS_CERT", ("data",), "path", "", "certificate of the gateway; empty: plain text"),
    Setting("SWITCHYARD_GATEWAY_TLS_KEY", ("data",), "path", "", "its private key"),
    Setting("SWITCHYARD_POD_ADMIN_HOST", ("data", "local"), "text", "127.0.0.1", "address of probes and metrics"),
    _port(
        "SWITCHYARD_POD_ADMIN_PORT",
        ("data", "local"),
        "9100",
        "port of probes and metrics; the next pod takes the next",
    ),
    Setting(
        "SWITCHYARD_TRUSTED_PROXIES",
        ("control", "data"),
        "list",
        "",
        "CIDRs whose forwarded-for header is believed",
    ),
    Setting(
        "SWITCHYARD_MAX_BODY", ("data",), "integer", str(32 * MIB), "largest request body", "bytes", 1024, 256 * MIB
    ),
    Setting(
        "SWITCHYARD_SPOOL_SEGMENT",
        ("data",),
        "integer",
        str(64 * MIB),
        "size of a spool segment",
        "bytes",
        MIB,
        1024 * MIB,
    ),
    Setting(
        "SWITCHYARD_SPOOL_LIMIT",
        ("data",),
        "integer",
        str(2048 * MIB),
        "spool may take this much disk",
        "bytes",
        8 * MIB,
        1 << 40,
    ),
    Setting(
        "SWITCHYARD_SPOOL_SYNC",
        ("data",),
        "choice",
        "group",
        "when records reach the disk",
        choices=("group", "strict", "relaxed"),
    ),
    Setting(
        "SWITCHYARD_DRAIN_SECONDS", ("data",), "integer", "900", "running streams may finish at stop", "s", 0, 3600
    ),
    Setting(
        "SWITCHYARD_DRAIN_ACCEPT_SECONDS", ("data",), "integer", "5", "new requests are still taken at stop", "s", 0, 60
    ),
    Setting(
        "SWITCHYARD_CLIENT_GONE_SECONDS",
        ("data",),
        "integer",
        "120",
        "an answer is read on after its client left",
        "s",
        0,
        900,
    ),
    Setting(
        "SWITCHYARD_KEEP_ALIVE_SECONDS",
        ("data",),
        "integer",
        "15",
        "silence after which a stream gets a sign of life",
        "s",
        1,
        300,
    ),
    Setting("SWITCHYARD_MAX_IN_FLIGHT", ("data",), "integer", "4000", "exchanges at once", "exchanges", 1, 100000),
    Setting(
        "SWITCHYARD_MAX_BODIES",
        ("data",),
        "integer",
        str(1024 * MIB),
        "request bodies above 256 KiB held at once, all together",
        "bytes",
        MIB,
        1024 * 1024 * MIB,
    ),
    # Local mode.
    Setting("SWITCHYARD_HOME", ("local",), "path", "./.switchyard", "state of `switchyard up`"),
    Setting("SWITCHYARD_PODS", ("local",), "integer", "2", "pods started by `switchyard up`", "pods", 1, 16),
    Setting(
        "SWITCHYARD_POD_PROCESSES", ("data", "local"), "integer", "1", "processes per pod command", "processes", 1, 64
    ),
    Setting(
        "SWITCHYARD_SIMULATED_PROVIDER_URL",
        ("control",),
        "url",
        "http://127.0.0.1:8099",
        "where the first run's providers are; local mode sets it",
    ),
    _port("SWITCHYARD_SIMULATED_PROVIDER_PORT", ("local",), "8099", "port of the simulated provider"),
)


def read_settings(
    plane: Plane, environment: Mapping[str, str], table: Iterable[Setting] = SETTINGS
) -> dict[str, Value]:
    """Check and convert the rows of one plane.

    Raises InvalidSettings with every problem at once; secrets are never repeated in a message.
    """
    values: dict[str, Value] = {}
    problems: list[str] = []
    for setting in table:
        if plane not in setting.planes:
            continue
        try:
            values[setting.name] = _convert(setting, _text_of(setting, environment))
        except ValueError as failure:
            problems.append(f"{setting.name}: {failure}")
    if problems:
        raise InvalidSettings(tuple(problems))
    return values


def _text_of(setting: Setting, environment: Mapping[str, str]) -> str:
    text = environment.get(setting.name)
    file_name = environment.get(f"{setting.name}_FILE") if setting.kind == "secret" else None
    if text is None and file_name:
        try:
            text = Path(file_name).read_text(encoding="utf-8").strip()
        except OSError as failure:
            raise ValueError(f"cannot read {setting.name}_FILE ({file_name}): {failure.strerror}") from failure
    if text is None:
        text = setting.default
    if text is None:
        or_file = f" or {setting.name}_FILE" if setting.kind == "secret" else ""
        raise ValueError(f"is not set. Set {setting.name}{or_file}: {setting.meaning}")
    return text


def _convert(setting: Setting, text: str) -> Value:
    match setting.kind:
        case "integer":
            return _integer(setting, text)
        case "flag":
            if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
                raise ValueError(f"{text!r} is neither true nor false")
            return text.lower() in ("true", "1", "yes")
        case "list":
            return tuple(part.strip() for part in text.split(",") if part.strip())
        case "url":
            if "://" not in text:
                raise ValueError("is no URL: a scheme such as https:// is missing")
            return text
        case "choice":
            if text not in setting.choices:
                raise ValueError(f"{text!r} is none of {', '.join(setting.choices)}")
            return text
        case _:
            return text


def _integer(setting: Setting, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number ({setting.unit})") from None
    if (setting.lowest is not None and number < setting.lowest) or (
        setting.highest is not None and number > setting.highest
    ):
        raise ValueError(f"{number} is outside {setting.lowest} to {setting.highest} {setting.unit}")
    return number
