"""The main job on people who do not exist: enrol them, then ask who is in photos of them and of strangers."""

from dataclasses import dataclass
from pathlib import Path

from twindex.api import Gallery
from twindex.embedder.photos.files import photos_below
from twindex.gallery import FaceAnswer
from twindex.jobs.enroll import Listener

PEOPLE = Path(__file__).parent / "people"
GROUP_PHOTO = PEOPLE / "group.jpg"


@dataclass(frozen=True)
class DemoAnswer:
    """One query of the demo.

    Attributes:
        photo: Path below the demo's people.
        truth: Who it shows, or "unknown" for a stranger.
        answer: The most prominent face's answer.
    """

    photo: str
    truth: str
    answer: FaceAnswer

    @property
    def right(self) -> bool:
        return self.answer.name == self.truth


def enrol_people(gallery: Gallery, listener: Listener) -> None:
    """Enrol the demo's people; a second time enrols nothing."""
    gallery.enroll(PEOPLE / "enrolled", listener=listener)


def query_people(gallery: Gallery) -> list[DemoAnswer]:
    """Query the held-out photos of the enrolled, then the strangers."""
    answers = []
    for photo in photos_below(PEOPLE / "probes") + photos_below(PEOPLE / "strangers"):
        truth = photo.parent.name if photo.is_relative_to(PEOPLE / "probes") else "unknown"
        name = photo.relative_to(PEOPLE).as_posix()
        answers.append(DemoAnswer(name, truth, gallery.identify(photo, top=3).faces[0]))
    return answers
