"""One small fleet for all of these tests (per xdist worker): counter store, control plane, provider, one pod."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.ports import pick_free_port
from switchyard_contract.virtual_key import KeyToken
from tests.fakes.control_plane import ControlPlane
from tests.fakes.installation import Books, Installation, Supplier
from tests.gateway.prices import PRICES
from tests.gateway.processes import Pod, Provider

KEEP_ALIVE_S = 1
CLIENT_GONE_S = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.fleet)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that runs."""

    control: ControlPlane
    provider: Provider
    pod: Pod
    counters_url: str
    home: Path

    @property
    def url(self) -> str:
        return self.pod.url


def make_books(provider_url: str) -> Books:
    """An organization with an account at every vendor, all of them the simulated provider."""
    every_protocol = ("anthropic_messages", "openai_chat", "openai_responses", "gemini_content")
    nobody = f"http://127.0.0.1:{pick_free_port()}"
    return Books(
        suppliers=(
            Supplier("anthropic-main", "anthropic", provider_url, ("claude-*", "sim-*"), account="acme", region="eu"),
            Supplier("openai-main", "openai", f"{provider_url}/v1", ("gpt-*", "o3*", "text-embedding-*", "sim-*")),
            Supplier("gemini-main", "gemini", provider_url, ("gemini-*", "tuned/*", "sim-*")),
            Supplier("router", "openai_compatible", provider_url, ("meta-llama/*",)),
            Supplier("claude-max", "anthropic", provider_url, ("max-only",), passes_caller=True),
            Supplier("nobody", "openai_compatible", nobody, ("dead-*",), protocols=every_protocol),
            Supplier(
                "impatient",
                "openai_compatible",
                provider_url,
                ("hasty-*",),
                protocols=every_protocol,
                first_byte_timeout_ms=400,
                idle_timeout_ms=600,
            ),
        ),
        aliases={
            "house-model": ("anthropic-main", "claude-sonnet-4-6"),
            "house/gpt.5": ("openai-main", "gpt-5.2"),
            "house-gemini": ("gemini-main", "gemini-2.5-pro"),
            "my-max": ("claude-max", "claude-sonnet-4-6"),
        },
        catalogue=(
            ("anthropic-main", "claude-sonnet-4-6"),
            ("anthropic-main", "claude-opus-5-5"),
            ("anthropic-main", "claude-haiku-4-5"),
            ("openai-main", "gpt-5.2"),
            ("openai-main", "gpt-5.2-mini"),
            ("gemini-main", "gemini-2.5-pro"),
            ("router", "meta-llama/llama-4.1-70b"),
        ),
        prices=PRICES,
        contact="gateway-team@example.com",
    )


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    running = Provider(tmp_path_factory.mktemp("provider"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def fleet(provider: Provider, counters_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("fleet")
    with ControlPlane(Installation(make_books(provider.url))) as control:
        pod = Pod(
            control,
            counters_url,
            home / "pod",
            SWITCHYARD_KEEP_ALIVE_SECONDS=str(KEEP_ALIVE_S),
            SWITCHYARD_CLIENT_GONE_SECONDS=str(CLIENT_GONE_S),
        )
        try:
            pod.start()
            yield Fleet(control, provider, pod, counters_url, home)
        finally:
            pod.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def key(fleet: Fleet) -> KeyToken:
    """A key that no other test uses, so that its rows are this test's."""
    return fleet.control.mint(tags={"project": "apollo", "from": "key"})


_numbers = itertools.count(1)


@pytest.fixture
def marker(key: KeyToken) -> str:
    """A name for the provider's books that no other test has."""
    return f"m-{key.id}-{next(_numbers)}"
