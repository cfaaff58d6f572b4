"""Whether the installed libraries have defects that are known to matter here."""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from twindex.gallery.doctor.findings import Finding


@dataclass(frozen=True)
class Defect:
    """What is wrong with the versions of a library before `mended_in`."""

    package: str
    mended_in: tuple[int, ...]
    what: str


DEFECTS = (
    Defect("faiss-cpu", (1, 15, 1), "crashes or answers wrongly on damaged index files"),
    Defect("keras", (3, 13, 2), "reads any file that an HDF5 weights file names (CVE-2026-1669)"),
)


def check_libraries() -> list[Finding]:
    """A finding for each installed library with a known defect."""
    found = []
    for defect in DEFECTS:
        try:
            installed = version(defect.package)
        except PackageNotFoundError:
            continue
        if parsed_version(installed) < defect.mended_in:
            mended = ".".join(map(str, defect.mended_in))
            found.append(
                Finding(
                    f"{defect.package} {installed} {defect.what}.",
                    code="library_defect",
                    severity="warning",
                    advice=f"Install {defect.package} {mended} or later.",
                )
            )
    return found


def parsed_version(text: str) -> tuple[int, ...]:
    """The numbers at the start of a version: "1.15.1.post2" gives (1, 15, 1)."""
    numbers = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, numbers.group().split("."))) if numbers else ()
