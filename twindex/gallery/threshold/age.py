"""Whether the operating threshold still fits the gallery: the same model, and about as many people."""

from dataclasses import dataclass
from typing import Literal

from twindex.gallery.service import Gallery

Age = Literal["fits", "never set", "other model", "grown"]


@dataclass(frozen=True)
class ThresholdAge:
    """Whether the threshold fits, and a note for people; the note is empty if it fits."""

    age: Age
    note: str


def threshold_age(gallery: Gallery) -> ThresholdAge:
    """Judge the threshold that the next query will use."""
    active, stored = gallery.active().fingerprint, gallery.store.gallery().threshold
    subjects = gallery.subject_count()
    if stored is None:
        people = "1 person" if subjects == 1 else f"{subjects} people"
        note = f"The threshold is the model's default for {people}; "
        return ThresholdAge("never set", note + "`twindex calibrate` sets this gallery's own.")
    if stored.fingerprint != active:
        note = f"The gallery's threshold was set for another model ({stored.fingerprint[:12]}); the model's default is "
        return ThresholdAge("other model", note + "used until `twindex calibrate --auto` sets it again.")
    if gallery.outgrown(stored):
        measured = int(stored.report.get("subjects", 0))
        note = (
            f"The threshold was set for {measured} people, there are {subjects} now. Until `twindex calibrate --auto` "
        )
        note += "sets it again, the higher of it and the model's default is used."
        return ThresholdAge("grown", note)
    return ThresholdAge("fits", "")
