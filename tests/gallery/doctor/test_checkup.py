"""What the check-up finds and what mending does about it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.gallery.builders import BrightnessEmbedder, drawn_crop, enrol, template
from tests.storage.builders import MODEL
from twindex.config import DATABASE
from twindex.embedder.faces.alignment import decode_crop
from twindex.embedder.model.bundle import Bundle
from twindex.errors import BundleError, IntegrityError
from twindex.gallery import Gallery
from twindex.gallery.doctor.checkup import examine
from twindex.gallery.doctor.mending import PENDING_ERASURE, mend
from twindex.storage import Store


def execute(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.fixture
def damaged(gallery: Gallery, folder: Path) -> Gallery:
    """Two references; the template of the second is damaged."""
    enrol(gallery, 1, "ada")
    enrol(gallery, 2, "bob")
    execute(folder, "UPDATE templates SET vector = (SELECT vector FROM templates WHERE id = 1) WHERE id = 2")
    return gallery


def test_a_damaged_template_is_remade_from_its_crop(damaged: Gallery) -> None:
    fingerprint = damaged.active().fingerprint
    with pytest.raises(IntegrityError, match=r"template of reference 2 is damaged.*run `twindex doctor --repair`"):
        damaged.searchable()
    findings = examine(damaged)
    assert [(finding.remedy, finding.reference, finding.model) for finding in findings] == [
        ("embed_again", 2, fingerprint)
    ]
    assert mend(damaged, findings) == [f"The template of reference 2 under model {fingerprint} is damaged."]
    assert examine(damaged) == []
    kept = decode_crop(damaged.store.references.crop(2) or b"")
    vector = BrightnessEmbedder(fingerprint).embed(kept[None])
    assert template(damaged, 2) == vector.tobytes()
    hits = damaged.searchable().search(BrightnessEmbedder(fingerprint).embed(drawn_crop(2)[None]), 1)
    assert hits.references.tolist() == [[2]]


def test_a_damaged_template_of_a_retired_model_is_remade(gallery: Gallery, folder: Path) -> None:
    reference = enrol(gallery, 1, "ada")
    vectors = BrightnessEmbedder(MODEL).embed(drawn_crop(1)[None])
    gallery.store.references.add_templates(MODEL, np.array([reference]), vectors)
    execute(folder, f"UPDATE templates SET sha256 = x'00' WHERE fingerprint = '{MODEL}'")
    findings = examine(gallery)
    assert [(finding.remedy, finding.reference, finding.model) for finding in findings] == [("embed_again", 1, MODEL)]
    mend(gallery, findings)
    assert examine(gallery) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [("crop = NULL, crop_sha256 = NULL", "keeps no crop of it"), ("crop = x'00'", "crop of reference 2 is damaged")],
)
def test_a_damaged_template_without_a_sound_crop_stays(
    damaged: Gallery, folder: Path, change: str, reason: str
) -> None:
    execute(folder, f"UPDATE samples SET {change} WHERE id = 2")
    findings = examine(damaged)
    assert findings[0].text.startswith("The template of reference 2 under model")
    assert "It cannot be made again" in findings[0].text
    assert reason in findings[0].text
    assert not any(finding.mendable for finding in findings)
    assert mend(damaged, findings) == []


def test_a_template_whose_model_is_not_text_is_reported_and_stays(gallery: Gallery, folder: Path) -> None:
    """A truncated file can hold such values, whatever the schema says."""
    enrol(gallery, 1, "ada")
    execute(folder, "UPDATE templates SET fingerprint = x'00ff'")
    findings = [finding for finding in examine(gallery) if finding.code == "template_damaged"]
    assert [(finding.mendable, "is damaged" in finding.text) for finding in findings] == [(False, True)]


def test_weights_that_differ_from_the_card_are_a_finding(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    def differs(bundle: Bundle) -> bytes:
        raise BundleError("The weights' SHA-256 differs.")

    assert examine(gallery) == []
    monkeypatch.setattr(Bundle, "verified_weights", differs)
    assert [(finding.text, finding.mendable) for finding in examine(gallery)] == [
        ("The weights' SHA-256 differs.", False)
    ]


def test_an_erasure_that_cannot_be_finished_stays_pending(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mend(gallery, []) == []
    monkeypatch.setattr(Store, "finish_erasure", lambda store: False)
    assert mend(gallery, []) == [PENDING_ERASURE]
