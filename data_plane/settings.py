"""The pod's settings: one frozen value, read once at start from the table both planes share."""

import base64
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from switchyard_contract.settings import InvalidSettings, Value, read_settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """What a pod is told by its surroundings. Behaviour that customers set is in the snapshot, not here."""

    deployment_id: str
    counters_url: str = field(repr=False)
    verify_keys: Mapping[str, bytes]
    pod_token: str = field(repr=False)
    shelf_key: bytes | None = field(repr=False)
    pod_id: str
    state_dir: Path
    control_addresses: tuple[str, ...]
    control_ca: Path | None
    gateway_host: str
    gateway_port: int
    gateway_tls_cert: Path | None
    gateway_tls_key: Path | None
    admin_host: str
    admin_port: int
    trusted_proxies: tuple[Network, ...]
    private_networks: tuple[Network, ...]
    max_body_bytes: int
    spool_segment_bytes: int
    spool_limit_bytes: int
    spool_sync: str
    drain_s: int
    drain_accept_s: int
    client_gone_s: int
    keep_alive_s: int
    max_in_flight: int
    max_bodies_bytes: int


def read_pod_settings(environment: Mapping[str, str]) -> Settings:
    """Check and convert the environment; raises InvalidSettings naming every wrong setting."""
    reader = _Reader(read_settings("data", environment))
    settings = Settings(
        deployment_id=reader.text("SWITCHYARD_DEPLOYMENT_ID"),
        counters_url=reader.text("COUNTERS_URL"),
        verify_keys=reader.keys("SWITCHYARD_VERIFY_KEYS"),
        pod_token=reader.text("SWITCHYARD_POD_TOKEN"),
        shelf_key=reader.key("SWITCHYARD_SHELF_KEY"),
        pod_id=reader.text("SWITCHYARD_POD_ID"),
        state_dir=Path(reader.text("SWITCHYARD_POD_STATE")),
        control_addresses=reader.texts("SWITCHYARD_CONTROL_GRPC"),
        control_ca=reader.path("SWITCHYARD_CONTROL_GRPC_CA"),
        gateway_host=reader.text("SWITCHYARD_GATEWAY_HOST"),
        gateway_port=reader.number("SWITCHYARD_GATEWAY_PORT"),
        gateway_tls_cert=reader.path("SWITCHYARD_GATEWAY_TLS_CERT"),
        gateway_tls_key=reader.path("SWITCHYARD_GATEWAY_TLS_KEY"),
        admin_host=reader.text("SWITCHYARD_POD_ADMIN_HOST"),
        admin_port=reader.number("SWITCHYARD_POD_ADMIN_PORT"),
        trusted_proxies=reader.networks("SWITCHYARD_TRUSTED_PROXIES"),
        private_networks=reader.networks("SWITCHYARD_PRIVATE_NETWORKS"),
        max_body_bytes=reader.number("SWITCHYARD_MAX_BODY"),
        spool_segment_bytes=reader.number("SWITCHYARD_SPOOL_SEGMENT"),
        spool_limit_bytes=reader.number("SWITCHYARD_SPOOL_LIMIT"),
        spool_sync=reader.text("SWITCHYARD_SPOOL_SYNC"),
        drain_s=reader.number("SWITCHYARD_DRAIN_SECONDS"),
        drain_accept_s=reader.number("SWITCHYARD_DRAIN_ACCEPT_SECONDS"),
        client_gone_s=reader.number("SWITCHYARD_CLIENT_GONE_SECONDS"),
        keep_alive_s=reader.number("SWITCHYARD_KEEP_ALIVE_SECONDS"),
        max_in_flight=reader.number("SWITCHYARD_MAX_IN_FLIGHT"),
        max_bodies_bytes=reader.number("SWITCHYARD_MAX_BODIES"),
    )
    if (settings.gateway_tls_cert is None) != (settings.gateway_tls_key is None):
        reader.problems.append("SWITCHYARD_GATEWAY_TLS_CERT: certificate and key go together; one of them is missing")
    if reader.problems:
        raise InvalidSettings(tuple(reader.problems))
    return settings


def pod_id_of(settings: Settings) -> str:
    """The pod's stable name: as set, or made once and kept beside its spool."""
    if settings.pod_id:
        return settings.pod_id
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    kept = settings.state_dir / "pod-id"
    if not kept.exists():
        kept.write_text(f"pod-{os.urandom(5).hex()}", encoding="ascii")
    return kept.read_text(encoding="ascii").strip()


class _Reader:
    """Narrows checked values to what the pod uses and collects what still is wrong."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        return str(self._values[name])

    def number(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple)
        return value

    def path(self, name: str) -> Path | None:
        text = self.text(name)
        return Path(text) if text else None

    def key(self, name: str) -> bytes | None:
        text = self.text(name)
        if not text:
            return None
        raw = _decode(text)
        if raw is None or len(raw) != 32:
            self.problems.append(f"{name}: is not the base64 form of 32 bytes")
            return None
        return raw

    def keys(self, name: str) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for part in self.text(name).split(","):
            key_id, _, encoded = part.strip().partition(":")
            raw = _decode(encoded)
            if not key_id or raw is None or len(raw) != 32:
                self.problems.append(f"{name}: each entry is <key id>:<base64 of 32 bytes>, comma between")
                return {}
            found[key_id] = raw
        return found

    def networks(self, name: str) -> tuple[Network, ...]:
        found: list[Network] = []
        for text in self.texts(name):
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError:
                self.problems.append(f"{name}: {text!r} is no network; write it as 10.0.0.0/8")
        return tuple(found)


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
