"""What each process of local mode finds in its environment.

The table of settings says which plane may see which name: a pod's environment holds nothing of the control plane's.
What the person set wins; the rest is filled in. Secrets travel as files, so that no environment shows them.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.installation import CONTROL_SECRETS, DATA_SECRETS, Installation, secret_path
from switchyard_contract.settings import SETTINGS, Plane, Value, read_settings

PROVIDER_KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")
# Mapped memory is given back late otherwise, and a pod's allocations are of one size again and again.
POD_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "268435456"}


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What `switchyard up` itself is told."""

    home: Path
    pods: int
    console_host: str
    console_port: int
    grpc_host: str
    grpc_port: int
    gateway_host: str
    gateway_port: int
    pod_admin_host: str
    pod_admin_port: int
    simulated_provider_port: int

    @property
    def secrets_folder(self) -> Path:
        return self.home / "secrets"

    @property
    def console_url(self) -> str:
        return f"http://{dialled(self.console_host)}:{self.console_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://{dialled(self.gateway_host)}:{self.gateway_port}"

    @property
    def grpc_address(self) -> str:
        return f"{dialled(self.grpc_host)}:{self.grpc_port}"

    @property
    def simulated_provider_url(self) -> str:
        return f"http://127.0.0.1:{self.simulated_provider_port}"

    @property
    def pod_admin_urls(self) -> tuple[str, ...]:
        host = dialled(self.pod_admin_host)
        return tuple(f"http://{host}:{self.pod_admin_port + number}" for number in range(self.pods))

    def wanted_ports(self) -> tuple[tuple[str, str, int], ...]:
        """Give (setting, host, port) of everything that will listen under a fixed port."""
        admin = tuple(
            ("SWITCHYARD_POD_ADMIN_PORT", self.pod_admin_host, self.pod_admin_port + number)
            for number in range(self.pods)
        )
        return (
            ("SWITCHYARD_CONSOLE_PORT", self.console_host, self.console_port),
            ("SWITCHYARD_GRPC_PORT", self.grpc_host, self.grpc_port),
            ("SWITCHYARD_GATEWAY_PORT", self.gateway_host, self.gateway_port),
            ("SWITCHYARD_SIMULATED_PROVIDER_PORT", "127.0.0.1", self.simulated_provider_port),
            *admin,
        )


@dataclass(frozen=True, slots=True)
class StoreUrls:
    """Where the three stores are, embedded or not."""

    database_url: str
    redis_url: str
    counters_url: str


def read_local_settings(environment: Mapping[str, str]) -> LocalSettings:
    """Check and convert; raises InvalidSettings naming every wrong one."""
    values = read_settings("local", environment)
    return LocalSettings(
        home=Path(str(values["SWITCHYARD_HOME"])).resolve(),
        # Each process of a pod command is a pod of its own; here the supervisor looks after each by itself.
        pods=_number(values, "SWITCHYARD_PODS") * _number(values, "SWITCHYARD_POD_PROCESSES"),
        console_host=str(values["SWITCHYARD_CONSOLE_HOST"]),
        console_port=_number(values, "SWITCHYARD_CONSOLE_PORT"),
        grpc_host=str(values["SWITCHYARD_GRPC_HOST"]),
        grpc_port=_number(values, "SWITCHYARD_GRPC_PORT"),
        gateway_host=str(values["SWITCHYARD_GATEWAY_HOST"]),
        gateway_port=_number(values, "SWITCHYARD_GATEWAY_PORT"),
        pod_admin_host=str(values["SWITCHYARD_POD_ADMIN_HOST"]),
        pod_admin_port=_number(values, "SWITCHYARD_POD_ADMIN_PORT"),
        simulated_provider_port=_number(values, "SWITCHYARD_SIMULATED_PROVIDER_PORT"),
    )


def dialled(host: str) -> str:
    """Give the address under which a listener on `host` is reached from this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"


def control_environment(
    settings: LocalSettings, stores: StoreUrls, installation: Installation, environment: Mapping[str, str]
) -> dict[str, str]:
    """The environment of web, grpc, worker, beat, migrate and the seed."""
    ours = _of_plane("control", environment)
    filled = {
        "SWITCHYARD_DEPLOYMENT_ID": installation.deployment_id,
        "SWITCHYARD_CONSOLE_HOST": settings.console_host,
        "SWITCHYARD_CONSOLE_PORT": str(settings.console_port),
        "SWITCHYARD_GRPC_HOST": settings.grpc_host,
        "SWITCHYARD_GRPC_PORT": str(settings.grpc_port),
        "SWITCHYARD_CONSOLE_PUBLIC_URL": settings.console_url,
        "SWITCHYARD_GATEWAY_PUBLIC_URL": settings.gateway_url,
        "SWITCHYARD_SECURE_COOKIES": "false",
        "SWITCHYARD_PRIVATE_NETWORKS": "127.0.0.0/8",
        # Not of the control plane's table: tells the first-run seed where the simulated provider will be.
        "SWITCHYARD_SIMULATED_PROVIDER_URL": settings.simulated_provider_url,
    }
    names = [part.strip() for part in environment.get("SWITCHYARD_CREDENTIAL_ENV", "").split(",") if part.strip()]
    names += [name for name in PROVIDER_KEYS if environment.get(name) and name not in names]
    fixed = {
        "DATABASE_URL": stores.database_url,
        "REDIS_URL": stores.redis_url,
        "COUNTERS_URL": stores.counters_url,
        "SWITCHYARD_CREDENTIAL_ENV": ",".join(names),
        "PYTHONUNBUFFERED": "1",
    }
    return {**filled, **_secret_files(CONTROL_SECRETS, settings, environment), **ours, **fixed}


def pod_environment(
    settings: LocalSettings,
    stores: StoreUrls,
    installation: Installation,
    environment: Mapping[str, str],
    number: int,
) -> dict[str, str]:
    """The environment of one pod; number counts from 0."""
    ours = _of_plane("data", environment)
    for name in PROVIDER_KEYS:
        ours.pop(name, None)
    filled = {
        "SWITCHYARD_DEPLOYMENT_ID": installation.deployment_id,
        "SWITCHYARD_CONTROL_GRPC": settings.grpc_address,
        "SWITCHYARD_PRIVATE_NETWORKS": "127.0.0.0/8",
        # One Ctrl-C should not wait for a quarter of an hour.
        "SWITCHYARD_DRAIN_SECONDS": "5",
        "SWITCHYARD_DRAIN_ACCEPT_SECONDS": "0",
    }
    pod_id = pod_name(number)
    fixed = {
        "COUNTERS_URL": stores.counters_url,
        "SWITCHYARD_POD_ID": pod_id,
        "SWITCHYARD_POD_STATE": str(settings.home / "pods" / pod_id),
        "SWITCHYARD_POD_PROCESSES": "1",
        "SWITCHYARD_GATEWAY_HOST": settings.gateway_host,
        "SWITCHYARD_GATEWAY_PORT": str(settings.gateway_port),
        "SWITCHYARD_POD_ADMIN_HOST": settings.pod_admin_host,
        "SWITCHYARD_POD_ADMIN_PORT": str(settings.pod_admin_port + number),
        "PYTHONUNBUFFERED": "1",
        **POD_ALLOCATOR,
    }
    secrets = _secret_files((*DATA_SECRETS, "SWITCHYARD_POD_TOKEN"), settings, environment)
    return {**filled, **secrets, **ours, **fixed}


def pod_name(number: int) -> str:
    """The first pod is local-1."""
    return f"local-{number + 1}"


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """For a process of neither plane: no setting of ours, no provider's key."""
    ours = _of_plane(None, environment)
    for name in PROVIDER_KEYS:
        ours.pop(name, None)
    return {**ours, "PYTHONUNBUFFERED": "1"}


def _of_plane(plane: Plane | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out the settings of other planes."""
    foreign = {row.name for row in SETTINGS if plane is None or plane not in row.planes}
    foreign |= {f"{name}_FILE" for name in foreign}
    return {name: value for name, value in environment.items() if name not in foreign}


def _secret_files(names: tuple[str, ...], settings: LocalSettings, environment: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{name}_FILE": str(secret_path(settings.secrets_folder, name))
        for name in names
        if name not in environment and f"{name}_FILE" not in environment
    }


def _number(values: Mapping[str, Value], name: str) -> int:
    number = values[name]
    assert isinstance(number, int)
    return number


def current_environment() -> dict[str, str]:
    """The one place where local mode reads the environment."""
    return dict(os.environ)
