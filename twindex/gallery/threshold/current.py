"""The operating threshold in force: the gallery's own, or the model's default for its number of people."""

from collections.abc import Callable

from twindex.embedder.model.card import Card
from twindex.storage import Store, StoredThreshold

_GROWTH = 0.1  # growth in subjects after which a threshold is stale


class CurrentThreshold:
    """The threshold on probability that decides between a match and "unknown".

    Args:
        store: Keeps the gallery's own threshold.
        card_of: Gives the card of the model with a fingerprint.
    """

    def __init__(self, store: Store, card_of: Callable[[str], Card]) -> None:
        self._store = store
        self._card_of = card_of
        self._counted: tuple[int, int] | None = None  # revision and subjects

    def value(self, fingerprint: str) -> float:
        """The gallery's own threshold, else the model's default; the higher of both in an outgrown gallery.

        Args:
            fingerprint: Of the model that answers.
        """
        stored = self._store.gallery().threshold
        if stored is None or stored.fingerprint != fingerprint:
            return self.default(fingerprint)
        if self.outgrown(stored):
            return max(stored.probability, self.default(fingerprint))
        return stored.probability

    def default(self, fingerprint: str) -> float:
        """The model card's threshold for the gallery's number of subjects."""
        return self._card_of(fingerprint).threshold_for(max(1, self.subject_count()))

    def outgrown(self, threshold: StoredThreshold) -> bool:
        """Whether the gallery has so many more subjects that the FPIR, which grows about as they do, is another."""
        return self.subject_count() > int(threshold.report.get("subjects", 0)) * (1 + _GROWTH)

    def subject_count(self) -> int:
        """How many subjects there are.

        They are counted again only after an enrolment or an erasure: in a large gallery counting takes longer than a
        search. A merge that moved everything shows with the next of these.
        """
        revision, counted = self._store.changes.revision(), self._counted
        if counted is None or counted[0] != revision:
            counted = self._counted = (revision, self._store.subjects.count())
        return counted[1]
