import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus import files
from twindex.embedder.photos import files as photo_file
from twindex.embedder.photos.files import MAX_BYTES, read_photo
from twindex.errors import PhotoError


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5000])
def test_the_bytes_of_a_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_photo(tmp_path / "a.jpg") == data


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe.jpg", "not a regular file"),
        ("loop.jpg", "cannot be read: Too many levels"),
        ("dangling.jpg", "cannot be read: No such file"),
        ("endless.jpg", "not a regular file"),
        ("huge.jpg", f"at most {MAX_BYTES}"),
    ],
)
def test_a_file_that_is_not_a_photo_file_is_refused_without_reading_it(tmp_path: Path, name: str, message: str) -> None:
    files.UNREADABLE[name](tmp_path / name)
    with pytest.raises(PhotoError, match=message) as caught:
        read_photo(tmp_path / name)
    assert caught.value.code == "unreadable"


def test_a_folder_is_not_a_photo_file(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="cannot be read: Is a directory"):
        read_photo(tmp_path)


def _append(path: Path) -> None:
    with path.open("ab") as opened:
        opened.write(b"more")


def _shorten(path: Path) -> None:
    os.truncate(path, 10)


def _rewrite(path: Path) -> None:
    path.write_bytes(b"y" * path.stat().st_size)
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [_append, _shorten, _rewrite])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 1000)
    real, asked = os.fstat, []

    def fstat(descriptor: int) -> os.stat_result:
        seen = real(descriptor)
        asked.append(descriptor)
        if len(asked) == 1:
            change(path)
        return seen

    monkeypatch.setattr(photo_file.os, "fstat", fstat)
    with pytest.raises(PhotoError, match="changed while it was read") as caught:
        read_photo(path)
    assert caught.value.code == "unreadable"
