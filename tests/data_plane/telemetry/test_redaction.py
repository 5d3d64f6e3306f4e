import pytest

from data_plane.telemetry.redaction import redact, redact_event
from switchyard_contract.virtual_key import KeyKind, mint


@pytest.mark.parametrize("kind", list(KeyKind))
def test_no_key_of_ours_survives(kind: KeyKind) -> None:
    token = mint(kind)
    shown = redact(f"refused {token.text} from 10.0.0.1")
    assert token.text not in shown
    assert "from 10.0.0.1" in shown


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAAA",
        "AIzaSyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer eyJhbGciOiJIUzI1NiJ9.abcdefghijkl",
        "xai-AAAAAAAAAAAAAAAAAAAAA",
    ],
)
def test_no_providers_key_survives(secret: str) -> None:
    assert secret not in redact(f"header {secret} came back")


def test_a_password_in_a_url_is_hidden() -> None:
    assert redact("redis://:hunter2secret@127.0.0.1:6379/0") == "redis://***@127.0.0.1:6379/0"


def test_every_text_of_a_log_event_passes_through_and_bytes_show_only_their_size() -> None:
    token = mint(KeyKind.PERSONAL).text
    event = redact_event(None, "info", {"event": f"key {token}", "count": 3, "body": b"prompt"})
    assert event == {"event": "key ***", "count": 3, "body": "6 bytes"}
