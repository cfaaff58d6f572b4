"""Files and folders that must not be trusted: what they are, where they lead, and what they are called."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.corpus.people import portraits

# Names that a file system accepts and a terminal or a reader may not.
NAMES: tuple[bytes, ...] = (
    b"esc \x1b[31mred\x1b]0;title\x07.jpg",
    b"line\nfeed\r.jpg",
    "right-to-left \u202egpj.exe.jpg".encode(),
    "zero width \u200b\u2066.jpg".encode(),
    b"x" * 251 + b".jpg",
    b"latin-1 \xe9\xff.jpg",
    b"=cmd|'A1'.jpg",
    b"--json.jpg",
    b" .jpg",
)


def name_files(folder: Path, data: bytes) -> list[Path]:
    """A file of every awkward name, all with the same content."""
    paths = [folder / os.fsdecode(name) for name in NAMES]
    for path in paths:
        path.write_bytes(data)
    return paths


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere.jpg")


def _escape(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    path.write_bytes(b"\xff\xd8\xff")
    os.truncate(path, 1 << 40)


# Name of the file to what makes it. All are `unreadable`.
UNREADABLE: Mapping[str, Callable[[Path], None]] = {
    "pipe.jpg": _pipe,
    "loop.jpg": _loop,
    "dangling.jpg": _dangling,
    "escape.jpg": _escape,
    "endless.jpg": _endless,
    "huge.jpg": _huge,
}


def link_folder_to_its_parent(folder: Path) -> None:
    """A folder in which whoever follows links to folders never ends."""
    (folder / "round").symlink_to("..")


def good_portraits(root: Path, count: int) -> list[Path]:
    """Photos of enrolled people, each in a sub-folder of their name."""
    paths = []
    for photo in portraits()[:count]:
        target = root / photo.parent.name / photo.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(photo.read_bytes())
        paths.append(target)
    return paths
