"""Reading a manifest."""

from collections.abc import Iterator
from pathlib import Path

from fuzz.scratch import scratch_folder
from tests.corpus import manifests
from twindex.errors import UsageError
from twindex.jobs.plan import plan_manifest

_FOLDER = scratch_folder("manifest")


def seeds() -> Iterator[bytes]:
    """A good manifest and those of the corpus."""
    yield '\ufeffsubject,path,note\nZoë,zoe.jpg,x\n"Lovelace, Ada",a/1.jpg,\n'.encode()
    yield from (text for _, text in manifests.BAD.values() if len(text) < 10_000)


def check(data: bytes) -> None:
    """Only `UsageError` comes out, and no photo lies outside of the manifest's folder."""
    file = _FOLDER / "staff.csv"
    file.write_bytes(data)
    try:
        photos = list(plan_manifest(file))
    except UsageError:
        return
    for photo in photos:
        if not Path(photo.path).resolve().is_relative_to(_FOLDER.resolve()) or not photo.subject.strip():
            raise AssertionError(f"planned {photo}")
