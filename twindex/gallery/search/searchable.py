"""A generation that can be searched: its snapshot, if it has a sound one, and every change since."""

import logging
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twindex.errors import IntegrityError, UsageError
from twindex.files.durable import remove_leftovers
from twindex.gallery.search.recall import LADDER, UNMEASURED, measure_recall
from twindex.index.choice import chosen_spec, shortage
from twindex.index.faiss_index import FaissIndex
from twindex.index.protocol import Hits
from twindex.index.snapshot import SnapshotFile, SnapshotIdentity, read_snapshot, write_snapshot
from twindex.index.spec import IndexSpec
from twindex.running.shared_lock import SharedLock
from twindex.storage import Generation, Recall, Snapshot, Store
from twindex.types import Float32, Int64

_BATCH = 50_000
_COMPACT_ATTEMPTS = 5
_SPARSE = 2  # a gallery this many times larger than the training sample is not read whole to draw the sample
# A partial file this old was left behind: no snapshot takes an hour to write.
_ABANDONED_AFTER_S = 3600.0
_log = logging.getLogger(__name__)


class SearchableGeneration:
    """One generation's index, equal to the store at `revision`.

    Any number of threads may use it. Searches run side by side; they wait only while the index itself is changed, not
    while the changes are read or another index is built.

    Args:
        store: The truth.
        folder: Where snapshots are.
        generation: Which one.
        dim: Length of its templates.
    """

    def __init__(self, store: Store, folder: Path, generation: Generation, dim: int) -> None:
        self.generation = generation
        self._store = store
        self._folder = folder
        self._dim = dim
        self.revision = 0
        self._recall: Recall | None = None
        self._changing = threading.RLock()  # one thread at a time brings the index up to date or replaces it
        self._lock = SharedLock()  # of the index: shared by searches, alone for changes
        snapshot = self._from_snapshot()
        if snapshot is None:
            self._index, self.revision = self._rebuilt()
        else:
            self._index = snapshot
        self.refresh()

    @property
    def count(self) -> int:
        """References that a search can find."""
        return self._index.count

    @property
    def dim(self) -> int:
        """Length of a template."""
        return self._dim

    @property
    def structure(self) -> str:
        """What the index is, as a factory string."""
        return "Flat" if self._index.exact_structure else self._index.spec.text

    @property
    def recall(self) -> Recall | None:
        """What the index keeps of exact search, where it is approximate and was measured."""
        return self._recall

    def references(self) -> Int64:
        """The references that a search can find, (n,) int64, ascending."""
        with self._lock.shared():
            return self._index.references()

    @property
    def candidates(self) -> int:
        """How many nearest references to ask for, so that the exact nearest is among them; see `recall.py`."""
        if self._index.is_exhaustive:
            return LADDER[0]
        known = self._recall
        return known.candidates if known is not None and known.structure == self.structure else UNMEASURED

    def contains(self, references: Int64) -> NDArray[np.bool_]:
        """Which references a search can find, (n,) bool."""
        with self._lock.shared():
            return self._index.contains(references)

    def refresh(self) -> None:
        """Replay what was enrolled and erased since `revision`."""
        with self._changing:
            changes = self._store.changes.since(self.revision)
            if not changes:
                return
            last = {change.reference: change.kind for change in changes}
            erased = [reference for reference, kind in last.items() if kind == "erased"]
            with self._lock.alone():
                self._index.remove(np.array(erased, np.int64))
            enrolled = [reference for reference, kind in last.items() if kind == "enrolled"]
            self._add_absent(enrolled)
            self.revision = changes[-1].revision

    def search(self, probes: Float32, k: int) -> Hits:
        """The `k` nearest references of each probe, as the index sees them; see `VectorIndex.search`."""
        with self._lock.shared():
            return self._index.search(probes, k)

    def compact(self) -> Snapshot:
        """Write a snapshot of the present state and list it in the store; the one before is removed.

        The index is rebuilt if it holds removed entries, can be trained by now, or should be another structure. An
        approximate index is measured, and again each time it has doubled. If another process erases something
        meanwhile, the snapshot is removed and a new one written without it.

        Raises:
            UsageError: Other processes kept erasing meanwhile.
        """
        with self._changing:
            for _ in range(_COMPACT_ATTEMPTS):
                self._renew()
                if not self._index.is_exhaustive and not self._is_measured():
                    self._recall = measure_recall(
                        self._store, self.generation.fingerprint, self.search, self.structure, self.references()
                    )
                    self.refresh()
                    self._renew()
                snapshot = self._write_snapshot()
                if snapshot is not None:
                    return snapshot
                self.refresh()
        raise UsageError(
            f"No snapshot was written: {_COMPACT_ATTEMPTS} times something was erased meanwhile; nothing is lost, "
            "run `twindex compact` when that is done."
        )

    def _renew(self) -> None:
        """Rebuild the index if it holds removed entries, can be trained by now, or should be another structure."""
        index = self._index
        trainable = index.exact_structure and index.count >= index.spec.minimum_references
        if trainable or index.stale_share > 0 or self._spec(index.count).text != index.spec.text:
            rebuilt, revision = self._rebuilt()
            with self._lock.alone():
                self._index, self.revision = rebuilt, revision
            self.refresh()

    def _is_measured(self) -> bool:
        """Whether the recall is known for this structure, measured on at least half as many references."""
        known = self._recall
        return known is not None and known.structure == self.structure and self.count <= 2 * known.references

    def _write_snapshot(self) -> Snapshot | None:
        """One attempt; None if it was overtaken by an erasure or a repair, and no file is left of it."""
        # A unique name: another process may be writing a snapshot of the same revision with other bytes, and neither
        # may replace the file that the other records.
        name = f"generation-{self.generation.id}-revision-{self.revision}-{secrets.token_hex(4)}.twdx"
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._folder, _ABANDONED_AFTER_S)
        identity = _identity(self._store, self.generation, self._dim, self.revision, self._index.count)
        try:
            written = write_snapshot(self._index, self._folder / name, identity, self._store.sealer)
        except FileNotFoundError:
            # An erasure removes every file that is not listed, even one that is being written.
            return None
        recall = self._recall if self._is_measured() else None
        snapshot = Snapshot(name, written.length, written.sha256, self.revision, self._index.count, recall)
        before = self._store.generations.get(self.generation.id).snapshot
        if not self._store.generations.record_snapshot(self.generation.id, snapshot, self._folder):
            (self._folder / name).unlink(missing_ok=True)
            return None
        if before is not None:
            (self._folder / before.file).unlink(missing_ok=True)
        return snapshot

    def _from_snapshot(self) -> FaissIndex | None:
        snapshot = self.generation.snapshot
        if snapshot is None:
            return None
        try:
            index = open_snapshot(self._store, self._folder, self.generation, self._dim)
        except IntegrityError as error:
            listed = {one.id: one for one in self._store.generations.list()}.get(self.generation.id)
            if listed is not None and listed.snapshot != snapshot:
                # Another process has put a newer one in its place meanwhile.
                self.generation = listed
                return self._from_snapshot()
            _log.warning("The index snapshot %s is refused, and the index rebuilt in memory: %s", snapshot.file, error)
            return None
        self.revision, self._recall = snapshot.revision, snapshot.recall
        return index

    def _rebuilt(self) -> tuple[FaissIndex, int]:
        """A new index of all references, and the revision that it holds at least."""
        fingerprint = self.generation.fingerprint
        revision = self._store.changes.revision()
        references = self._store.references
        count = references.count(fingerprint)
        spec = self._spec(count)

        def batches() -> Iterator[tuple[Int64, Float32]]:
            return references.batches(fingerprint, _BATCH)

        def spread() -> Iterator[tuple[Int64, Float32]]:
            ids = references.ids(fingerprint)
            chosen = ids[np.linspace(0, len(ids) - 1, spec.training_points, dtype=np.int64)]
            for start in range(0, len(chosen), _BATCH):
                yield references.vectors(fingerprint, chosen[start : start + _BATCH].tolist())

        if note := shortage(self.generation.index_spec, count, self._dim):
            _log.warning("The index takes more memory than it was given: %s", note)
        training = spread if count > _SPARSE * spec.training_points else None
        return FaissIndex.build(spec, self._dim, batches, count, training), revision

    def _spec(self, count: int) -> IndexSpec:
        return chosen_spec(self.generation.index_spec, count, self._dim)

    def _add_absent(self, references: Iterable[int]) -> None:
        wanted = np.array(sorted(references), np.int64)
        for start in range(0, len(wanted), _BATCH):
            piece = wanted[start : start + _BATCH]
            piece = piece[~self._index.contains(piece)]
            found, vectors = self._store.references.vectors(self.generation.fingerprint, piece.tolist())
            if len(found):
                with self._lock.alone():
                    self._index.add(found, vectors)


def open_snapshot(store: Store, folder: Path, generation: Generation, dim: int) -> FaissIndex:
    """Read a generation's snapshot, checked in every respect that its record states.

    Raises:
        IntegrityError: It is gone, not what was written, or none is recorded.
    """
    snapshot = generation.snapshot
    if snapshot is None:
        raise IntegrityError(f"Generation {generation.id} has no snapshot.")
    expected = SnapshotFile(snapshot.length, snapshot.sha256)
    identity = _identity(store, generation, dim, snapshot.revision, snapshot.count)
    return read_snapshot(folder / snapshot.file, expected, identity, store.sealer)


def _identity(store: Store, generation: Generation, dim: int, revision: int, count: int) -> SnapshotIdentity:
    return SnapshotIdentity(
        gallery_id=store.gallery().gallery_id,
        generation=generation.id,
        fingerprint=generation.fingerprint,
        spec_text=generation.index_spec,
        dim=dim,
        revision=revision,
        count=count,
    )
