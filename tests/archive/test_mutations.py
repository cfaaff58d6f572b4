"""Hypothesis changes archives: each is refused with a reason, or imports as the same gallery."""

import io
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.archive.builders import read_entries, resealed, sealed
from twindex.archive.container import check_archive
from twindex.archive.importing import import_gallery
from twindex.config import DATABASE
from twindex.errors import ArchiveError, IntegrityError
from twindex.storage import Store

FEW = settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def outcome(archive: bytes, summary: Any) -> str:
    """The code of the refusal, or "same"; any other result fails, as does any file left behind."""
    folder = Path(tempfile.mkdtemp(prefix="twindex-mutation-"))
    try:
        (folder / "archive").write_bytes(archive)
        try:
            import_gallery(folder / "archive", folder / "gallery")
        except IntegrityError as error:
            assert [path.name for path in folder.iterdir()] == ["archive"]
            return error.code
        with Store.open(folder / "gallery" / DATABASE) as store:
            assert store.summary() == summary
            assert store.check() == []
        return "same"
    finally:
        shutil.rmtree(folder)


@FEW
@given(data=st.data())
def test_any_change_of_bytes_is_refused(exported: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(exported) - 1))
    old = exported[start : start + data.draw(st.integers(0, 40))]
    new = data.draw(st.binary(max_size=40).filter(lambda new: new != old))
    changed = exported[:start] + new + exported[start + len(old) :]
    assert outcome(changed, None) in ("archive_changed", "not_an_archive")


@FEW
@given(data=st.data())
def test_a_change_under_a_valid_seal_is_refused_or_has_no_effect(exported: bytes, data: st.DataObject) -> None:
    summary = check_archive(io.BytesIO(exported)).summary
    changed = bytearray(exported)
    # Headers, manifest and directory are only a few hundred bytes, but get half of the changes.
    ends = st.one_of(st.integers(0, 1_500), st.integers(len(exported) - 500, len(exported) - 65))
    places = st.one_of(ends, st.integers(0, len(exported) - 65))
    for place in data.draw(st.lists(places, min_size=1, max_size=3)):
        changed[place] ^= data.draw(st.integers(1, 255))
    outcome(resealed(bytes(changed)), summary)


@FEW
@given(data=st.data())
def test_entries_swapped_renamed_doubled_or_dropped_are_refused(exported: bytes, data: st.DataObject) -> None:
    entries = read_entries(exported)
    names = st.sampled_from(["manifest.json", "gallery.sqlite", "model/card.json", "../a", "/a", "a\\b", "", "x" * 300])
    changed = []
    for entry, content in data.draw(st.permutations([*entries, *entries]))[: data.draw(st.integers(0, 4))]:
        entry.filename = entry.orig_filename = data.draw(names)
        kept = data.draw(st.sampled_from([content, content[:-1], content[: len(content) // 2], b""]))
        changed.append((entry, kept))
    summary = check_archive(io.BytesIO(exported)).summary
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a doubled name
        archive = sealed(changed)
    result = outcome(archive, summary)
    whole = sorted((entry.filename, content) for entry, content in changed) == sorted(
        (entry.filename, content) for entry, content in read_entries(exported)
    )
    assert (result == "same") == whole


@FEW
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(content: bytes) -> None:
    for archive in (content, resealed(content + bytes(64))):
        with pytest.raises(ArchiveError, match="archive") as error:
            check_archive(io.BytesIO(archive))
        assert error.value.code in ("not_an_archive", "archive_changed")
