"""Making a gallery and erasing from it, with a kill at the worst moment."""

from pathlib import Path

import pytest

from tests.gallery.builders import enrol, template
from tests.storage.builders import file_names, remnants
from twindex.embedder.model.registry import find_model
from twindex.gallery import Gallery
from twindex.gallery.doctor.checkup import examine
from twindex.gallery.doctor.mending import mend
from twindex.storage.rows.generations import Generations


class KilledError(Exception):
    """Stands for a kill."""


def killed(*_: object, **__: object) -> None:
    raise KilledError


def test_a_gallery_answers_from_the_moment_it_exists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing that could be cut short comes after the file has its name.
    monkeypatch.setattr(Generations, "add", killed)
    monkeypatch.setattr(Generations, "activate", killed)
    with Gallery.create(folder) as made:
        active = made.active()
    assert (active.fingerprint, active.index_spec) == (find_model("default").card.fingerprint, "auto")
    with Gallery.open(folder) as opened:
        assert opened.active() == active


def test_an_erasure_killed_before_the_files_are_gone_is_finished_by_the_doctor(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = enrol(gallery, 1, "ada")
    enrol(gallery, 2, "bob")
    file = gallery.searchable().compact().file
    vector = template(gallery, reference)
    with monkeypatch.context() as dying:
        dying.setattr(Path, "unlink", killed)
        with pytest.raises(KilledError, match=r"^$"):
            gallery.erase("ada")
    assert remnants(folder, vector) == [file]
    gallery.close()
    with Gallery.open(folder) as again:
        assert [generation.snapshot for generation in again.store.generations.list()] == [None]
        findings = examine(again)
        assert [(one.remedy, one.file) for one in findings] == [("finish_erasure", ""), ("unlink_file", file)]
        assert mend(again, findings) == [
            findings[0].text,
            f"{file} in the index folder belongs to no generation.",
        ]
        assert remnants(folder, vector) == []
        assert examine(again) == []
        assert file_names(again.snapshots) == [again.active().snapshot.file]
