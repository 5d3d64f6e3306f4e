"""Addresses, paths and credentials of vendors."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.protocols.catalog import CODECS
from data_plane.providers import catalog
from data_plane.providers.catalog import PROVIDERS, VENDOR_PROTOCOLS, InvalidCatalog, collect
from data_plane.providers.provider import NotSpoken, Origin, Provider, join_path, quote_model

GEMINI = "/v1beta/models/{model}:generateContent"


def url_of(vendor: str, base_url: str, protocol: str, path: str, query: str = "", model: str = "m") -> str:
    origin, target = PROVIDERS[vendor].target(base_url, protocol, path, query, model)
    return f"{origin.scheme}://{origin.authority}{target}"


@pytest.mark.parametrize(
    ("vendor", "base_url", "protocol", "path", "url"),
    [
        ("anthropic", "", "anthropic_messages", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("anthropic", "https://x.test", "anthropic_messages", "/v1/messages", "https://x.test/v1/messages"),
        ("anthropic", "https://x.test/", "anthropic_messages", "/v1/messages", "https://x.test/v1/messages"),
        ("anthropic", "https://x.test/v1", "anthropic_messages", "/v1/messages", "https://x.test/v1/messages"),
        ("anthropic", "https://x.test/v1/", "anthropic_messages", "/v1/messages", "https://x.test/v1/messages"),
        (
            "anthropic",
            "https://x.test/anthropic",
            "anthropic_messages",
            "/v1/messages",
            "https://x.test/anthropic/v1/messages",
        ),
        ("openai", "", "openai_chat", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "http://127.0.0.1:8099", "openai_responses", "/v1/responses", "http://127.0.0.1:8099/v1/responses"),
        ("openai", "http://[::1]:80/v1", "openai_responses", "/v1/responses", "http://[::1]/v1/responses"),
        ("xai", "", "openai_chat", "/v1/chat/completions", "https://api.x.ai/v1/chat/completions"),
        ("openrouter", "", "openai_chat", "/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        (
            "openrouter",
            "https://openrouter.ai/api",
            "openai_embeddings",
            "/v1/embeddings",
            "https://openrouter.ai/api/v1/embeddings",
        ),
        (
            "openai_compatible",
            "https://z.test/api/paas/v4",
            "openai_chat",
            "/v1/chat/completions",
            "https://z.test/api/paas/v4/chat/completions",
        ),
        (
            "openai_compatible",
            "https://g.test/v1beta/openai/",
            "openai_chat",
            "/v1/chat/completions",
            "https://g.test/v1beta/openai/chat/completions",
        ),
        (
            "gemini",
            "",
            "gemini_content",
            GEMINI,
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
        ),
        (
            "gemini",
            "https://g.test/v1beta",
            "gemini_content",
            "/v1/models/{model}:countTokens",
            "https://g.test/v1beta/models/m:countTokens",
        ),
    ],
)
def test_addresses_with_and_without_a_version_both_work(
    vendor: str, base_url: str, protocol: str, path: str, url: str
) -> None:
    assert url_of(vendor, base_url, protocol, path) == url


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        ("beta=true", "?beta=true"),
        ("alt=sse&key=s&b=%20", "?alt=sse&b=%20"),
        ("%6Bey=s", ""),
        ("monkey=1", "?monkey=1"),
    ],
)
def test_the_query_travels_on_but_for_a_key(query: str, passed: str) -> None:
    assert url_of("gemini", "https://x.test", "gemini_content", GEMINI, query).endswith(f":generateContent{passed}")


@given(model=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_model_is_one_segment_that_reads_back(model: str) -> None:
    quoted = quote_model(model)

    assert unquote(quoted) == model
    assert not set(quoted) & set("/?# \r\n")
    assert quoted.isascii()


def test_a_model_with_dots_and_a_colon_stays_readable() -> None:
    assert quote_model("gemini-2.5-pro:free@1") == "gemini-2.5-pro:free@1"
    assert quote_model("google/gemini") == "google%2Fgemini"


def test_a_model_cannot_climb_out_of_its_path() -> None:
    assert url_of("gemini", "https://x.test/a", "gemini_content", GEMINI, model="../../secret?x#y") == (
        "https://x.test/a/v1beta/models/..%2F..%2Fsecret%3Fx%23y:generateContent"
    )


@pytest.mark.parametrize(
    ("vendor", "protocol", "secret", "headers"),
    [
        ("anthropic", "anthropic_messages", "sk-ant-api03-x", ((b"x-api-key", b"sk-ant-api03-x"),)),
        ("anthropic", "anthropic_messages", "sk-ant-oat01-x", ((b"authorization", b"Bearer sk-ant-oat01-x"),)),
        ("openai", "openai_chat", "sk-x", ((b"authorization", b"Bearer sk-x"),)),
        ("gemini", "gemini_content", "AIza-x", ((b"x-goog-api-key", b"AIza-x"),)),
        ("gemini", "gemini_content", "ya29.x", ((b"authorization", b"Bearer ya29.x"),)),
        ("openai_compatible", "anthropic_messages", "k", ((b"authorization", b"Bearer k"),)),
        ("openai_compatible", "openai_chat", "", ()),
    ],
)
def test_credentials_are_shown_as_the_vendor_wants(
    vendor: str, protocol: str, secret: str, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert PROVIDERS[vendor].credential_headers(protocol, secret) == headers


def test_a_vendor_without_an_address_needs_one_from_the_account() -> None:
    with pytest.raises(NotSpoken):
        PROVIDERS["openai_compatible"].target("", "openai_chat", "/v1/chat/completions", "", "m")


def test_an_address_without_a_host_is_refused() -> None:
    with pytest.raises(ValueError, match="no host"):
        PROVIDERS["openai"].target("https:///v1", "openai_chat", "/v1/chat/completions", "", "m")


def test_the_host_header_names_a_port_only_when_it_is_another() -> None:
    assert Origin("https", "x.test", 443).authority == "x.test"
    assert Origin("https", "x.test", 8443).authority == "x.test:8443"
    assert Origin("http", "::1", 8080).authority == "[::1]:8080"


def test_paths_join_with_one_version() -> None:
    assert join_path("", "/v1/messages") == "/v1/messages"
    assert join_path("/v1", "/v1/messages") == "/v1/messages"
    assert join_path("/proxy/v2beta", "/v1/messages") == "/proxy/v2beta/messages"
    assert join_path("/v1/tenant", "/v1/messages") == "/v1/tenant/v1/messages"


def test_every_file_is_a_vendor_that_speaks_known_protocols() -> None:
    files = {path.stem for path in Path(catalog.__file__).parent.glob("*.py")} - {"__init__", "provider", "catalog"}

    assert set(PROVIDERS) == files
    assert set(VENDOR_PROTOCOLS) == files
    for provider in PROVIDERS.values():
        assert provider.protocols
        assert provider.protocols <= set(CODECS)
        assert provider.title


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "exports no PROVIDER"),
        (
            "from data_plane.providers.provider import Provider\nPROVIDER = Provider('other', 'Other', '', {})",
            "calls itself 'other'",
        ),
    ],
)
def test_a_file_that_is_no_vendor_stops_the_start(
    text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"vendor{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr("data_plane.providers.__path__", [str(tmp_path)])

    with pytest.raises(InvalidCatalog, match=why):
        collect()


def test_a_provider_is_plain_data() -> None:
    provider = Provider("v", "V", "https://v.test", {})

    assert provider.protocols == frozenset()
