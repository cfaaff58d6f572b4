"""Open-set identification measured on folders of photos: the result of `twindex evaluate search`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twindex.embedder.embedder import Embedder
from twindex.embedder.faces.reader import FaceReader
from twindex.embedder.model.card import Card
from twindex.embedder.photos.files import photos_below
from twindex.errors import UsageError
from twindex.evaluation.capture import Captured, capture
from twindex.evaluation.metrics.fusion import Rule, subject_distances
from twindex.evaluation.metrics.identification import STRANGER, Searches, nested_sizes, searches
from twindex.evaluation.metrics.rates import rate_interval
from twindex.scoring import Float64
from twindex.types import Float32, Int64

Flags = NDArray[np.bool_]
FPIRS = (0.01, 0.003)
CMC_RANKS = (1, 2, 3, 5, 10, 20)


@dataclass(frozen=True)
class OpenSet:
    """The photos of an open-set test; each list holds (person, photo).

    Attributes:
        enrolled: What the gallery is made of.
        probes: Photos of enrolled people.
        strangers: Photos of others.
    """

    enrolled: tuple[tuple[str, Path], ...]
    probes: tuple[tuple[str, Path], ...]
    strangers: tuple[tuple[str, Path], ...]

    @property
    def photos(self) -> int:
        return len(self.enrolled) + len(self.probes) + len(self.strangers)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What was measured, on the whole gallery and on random parts of it.

    Attributes:
        by_size: For each number of subjects the outcome, the last one being the whole gallery.
        references: References that could be enrolled.
        card: Of the model.
        rule: How the references of a subject were combined.
        failures: (photo, error code) of all photos without a usable face, enrolled or probe.
        worst: Probes for which another person came first, and strangers; nearest first.
    """

    by_size: dict[int, Searches]
    references: int
    card: Card
    rule: Rule
    failures: tuple[tuple[Path, str], ...]
    worst: tuple["WrongAnswer", ...]

    @property
    def whole(self) -> Searches:
        return self.by_size[max(self.by_size)]

    def to_json(self) -> dict[str, Any]:
        """The result as the command line's contract has it, with intervals and sizes beside it."""
        whole = self.whole
        return {
            "gallery_size": self.references,
            "rank1": whole.rank_rate(1),
            "fnir_at_fpir": _fnirs(whole),
            "failures_to_enrol": len(self.failures),
            "subjects": max(self.by_size),
            "probes": len(whole.ranks),
            "strangers": len(whole.strangers),
            "rank1_interval": list(rate_interval(whole.rank_rate(1), len(whole.ranks))),
            "cmc": {str(rank): whole.rank_rate(rank) for rank in CMC_RANKS},
            "by_size": {
                str(size): {"rank1": one.rank_rate(1), "fnir_at_fpir": _fnirs(one)}
                for size, one in self.by_size.items()
            },
            "fusion": self.rule,
            "model": self.card.fingerprint,
        }


@dataclass(frozen=True)
class WrongAnswer:
    """A wrong answer.

    Attributes:
        probe: The photo searched.
        person: Who it shows, or None for a stranger.
        first: A photo of the subject that came first.
        distance: Of that subject.
    """

    probe: Path
    person: str | None
    first: Path
    distance: float


def subject_photos(folder: Path) -> list[tuple[str, Path]]:
    """(person, photo) of a folder with one sub-folder a person; a loose photo shows the person of its name.

    Raises:
        UsageError: There is no photo, or the folder cannot be listed.
    """
    photos = photos_below(folder)
    if not photos:
        raise UsageError(f"There are no photos in {folder}.")
    if photos == [folder]:
        raise UsageError(f"The folder {folder} cannot be listed.")
    return [(_person(photo, folder), photo) for photo in photos]


def _person(photo: Path, folder: Path) -> str:
    first = photo.relative_to(folder).parts[0]
    return first if photo.parent != folder else photo.stem


def measure_search(
    photos: OpenSet,
    reader: FaceReader,
    embedder: Embedder,
    listener: Callable[[int], None],
    *,
    rule: Rule = "centroid",
    pre_cropped: bool = False,
    seed: int = 1,
) -> SearchResult:
    """Enrol in memory and search exactly, as a gallery with an exact index would.

    Args:
        photos: The gallery, the mated and the non-mated probes.
        reader: Finds and aligns faces.
        embedder: The model.
        listener: Told how many photos are done.
        rule: How the references of a subject combine.
        pre_cropped: Whether each photo is one aligned face already.
        seed: For the subjects of smaller galleries.

    Raises:
        UsageError: A probe shows nobody of `enrolled`, a stranger's name is enrolled, or nobody can be enrolled.
    """
    names = sorted({name for name, _ in photos.enrolled})
    columns = {name: column for column, name in enumerate(names)}
    _check_names(photos, columns)
    enrolled, probes, strangers = (
        capture([path for _, path in listed], reader, embedder, listener, pre_cropped=pre_cropped)
        for listed in (photos.enrolled, photos.probes, photos.strangers)
    )
    owners = np.array([columns[name] for name, _ in photos.enrolled], np.int64)
    truth = np.array([columns[name] for name, _ in photos.probes] + [STRANGER] * len(photos.strangers), np.int64)
    usable = np.concatenate([probes.usable, strangers.usable])
    if not enrolled.usable.any():
        raise UsageError("No photo of those to enrol has a usable face.")
    templates = np.concatenate([probes.templates, strangers.templates])
    distances = _all_distances(templates, enrolled, owners, len(names), rule)
    return SearchResult(
        by_size=_by_size(distances, truth, usable, seed),
        references=int(enrolled.usable.sum()),
        card=embedder.card,
        rule=rule,
        failures=enrolled.failures + probes.failures + strangers.failures,
        worst=_worst_answers(photos, distances, truth, usable, enrolled, names),
    )


def _check_names(photos: OpenSet, columns: dict[str, int]) -> None:
    unknown = sorted({name for name, _ in photos.probes} - set(columns))
    if unknown:
        raise UsageError(f"Probes show people who are not enrolled, such as {unknown[0]!r}: they are strangers.")
    known = sorted({name for name, _ in photos.strangers} & set(columns))
    if known:
        raise UsageError(f"Strangers must not be enrolled, but {known[0]!r} is.")


def _all_distances(templates: Float32, enrolled: Captured, owners: Int64, subjects: int, rule: Rule) -> Float64:
    """(probes, subjects); infinity in the columns of subjects without a usable photo."""
    present, numbered = np.unique(owners[enrolled.usable], return_inverse=True)
    found = subject_distances(templates, enrolled.templates[enrolled.usable], numbered.astype(np.int64), rule)
    distances = np.full((len(templates), subjects), np.inf)
    distances[:, present] = found
    return distances


def _by_size(distances: Float64, truth: Int64, usable: Flags, seed: int) -> dict[int, Searches]:
    """The outcome for nested random sets of subjects; all strangers, and the probes of the subjects chosen."""
    shuffled = np.random.default_rng(seed).permutation(distances.shape[1])
    outcomes = {}
    for size in nested_sizes(distances.shape[1]):
        chosen = np.sort(shuffled[:size])
        place = np.full(distances.shape[1] + 1, STRANGER)  # the last one stands for strangers
        place[chosen] = np.arange(size)
        asked = (truth == STRANGER) | (place[truth] != STRANGER)
        if (truth[asked] != STRANGER).any():
            part = distances if size == distances.shape[1] else distances[np.ix_(asked, chosen)]
            outcomes[size] = searches(part, place[truth[asked]], usable[asked])
    return outcomes


def _worst_answers(
    photos: OpenSet, distances: Float64, truth: Int64, usable: Flags, enrolled: Captured, names: Sequence[str]
) -> tuple[WrongAnswer, ...]:
    """Mated probes for which another came first, and strangers, nearest first: the first photo of whom they came to."""
    shown: dict[str, Path] = {}
    for (name, path), good in zip(photos.enrolled, enrolled.usable, strict=True):
        if good:
            shown.setdefault(name, path)
    listed = photos.probes + photos.strangers
    first, nearest = distances.argmin(axis=1), distances.min(axis=1)
    wrong = usable & (first != truth) & np.isfinite(nearest)
    order = [int(row) for row in np.argsort(nearest, kind="stable") if wrong[row]]
    return tuple(
        WrongAnswer(
            probe=listed[row][1],
            person=None if truth[row] == STRANGER else listed[row][0],
            first=shown[names[first[row]]],
            distance=float(nearest[row]),
        )
        for row in order
    )


def _fnirs(outcome: Searches) -> dict[str, float]:
    return {str(rate): outcome.fnir_at_fpir(rate) for rate in FPIRS}
