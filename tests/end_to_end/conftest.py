from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.stack import Stack, start_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole installation with four pods, shared by all end-to-end tests."""
    folder: Path = tmp_path_factory.mktemp("stack")
    with start_stack(folder / "home", pods=4) as running:
        yield running
