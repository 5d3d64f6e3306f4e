"""Every folder is a protocol, of the same shape."""

from pathlib import Path

import pytest

from data_plane.protocols import catalog
from data_plane.protocols.catalog import CODECS, InvalidCatalog, collect

FOLDER = Path(catalog.__file__).parent


def test_every_folder_is_collected_under_its_own_name() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}

    assert set(CODECS) == folders == {name for name, codec in CODECS.items() if codec.name == name}


@pytest.mark.parametrize("protocol", sorted(set(CODECS) - {"openai_embeddings"}))
def test_folders_have_the_same_files(protocol: str) -> None:
    assert {path.name for path in (FOLDER / protocol).glob("*.py")} == {
        "__init__.py",
        "request.py",
        "signs.py",
        "response.py",
        "stream.py",
        "failure.py",
    }


def test_a_folder_without_a_codec_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").write_text("")
    monkeypatch.setattr("data_plane.protocols.__path__", [str(tmp_path)])

    with pytest.raises(InvalidCatalog, match="hollow"):
        collect()
