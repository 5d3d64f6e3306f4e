"""The forms of COUNTERS_URL."""

import pytest

from switchyard_contract.store_address import StoreAddress, read_store_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://host", StoreAddress((("host", 6379),), "", 0, False)),
        ("redis://:s%3Acret@127.0.0.1:7000/2", StoreAddress((("127.0.0.1", 7000),), "", 2, False, "", "s:cret")),
        ("rediss://ada:pw@[::1]:7000", StoreAddress((("::1", 7000),), "", 0, True, "ada", "pw")),
        (
            "redis+sentinel://:pw@one:1,two:2,three/money/3?sentinel_password=other",
            StoreAddress((("one", 1), ("two", 2), ("three", 26379)), "money", 3, False, "", "pw", "other"),
        ),
        (
            "rediss+sentinel://one/money?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none",
            StoreAddress((("one", 26379),), "money", 0, True, "", "", "", "/ca.pem", False),
        ),
    ],
)
def test_each_form_is_read(url: str, address: StoreAddress) -> None:
    assert read_store_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "http://:secret@host",
        "redis://",
        "redis://:secret@one,two",
        "redis://:secret@host/one",
        "redis://:secret@host/1/2",
        "redis://:secret@host:port",
        "redis+sentinel://:secret@one:1",
        "redis://:secret@host?timeout=5",
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as failure:
        read_store_address(url)
    assert "secret" not in str(failure.value)


def test_a_password_is_never_shown() -> None:
    assert "secret" not in repr(read_store_address("redis+sentinel://:secret@one/money?sentinel_password=secret"))
