"""Writing whole or not at all, shown by killing and starving a writer."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twindex.files.atomic_file import remove_leftovers, write_atomically

WRITE = "from pathlib import Path; from twindex.files.atomic_file import write_atomically; import os, signal, sys\n"


def _run(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WRITE + code, str(path)], capture_output=True, text=True, check=False)


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_writes_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, [b"one"])
    write_atomically(path, [b"tw", b"", b"o"])
    assert path.read_bytes() == b"two"
    assert _names(tmp_path) == ["a.bin"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_content_is_on_disk_before_the_name_and_the_name_before_returning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "a.bin", []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append(("fsync directory" if directory else "fsync file", path.exists()))
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> Path:
        steps.append(("rename", path.exists()))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_atomically(path, [b"content"])
    assert steps == [("fsync file", False), ("rename", False), ("fsync directory", True)]


def test_a_failing_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, [b"old"])

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise KeyError("source failed")

    with pytest.raises(KeyError, match="source failed"):
        write_atomically(path, pieces())
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        write_atomically(tmp_path / "gone" / "a.bin", [b"x"])


@pytest.mark.parametrize("point", ["os.fsync", "Path.replace"])
def test_a_kill_before_the_rename_leaves_the_old_file_and_no_obstacle(tmp_path: Path, point: str) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, [b"old"])
    killed = _run(
        f"{point} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\nwrite_atomically(Path(sys.argv[1]), [b'new'])",
        path,
    )
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(_names(tmp_path)) == 2
    write_atomically(path, [b"newer"])
    assert path.read_bytes() == b"newer"
    remove_leftovers(tmp_path, older_than_s=0.0)
    assert _names(tmp_path) == ["a.bin"]


def test_no_room_is_an_error_that_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, [b"old"])
    starved = _run(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_atomically(Path(sys.argv[1]), [bytes(100_000)])",
        path,
    )
    assert "OSError: [Errno 27] File too large" in starved.stderr
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def test_leftovers_are_told_from_other_files_and_by_age(tmp_path: Path) -> None:
    leftover = tmp_path / ".a.bin.abc123.twindex-partial"
    leftover.write_bytes(b"vectors")
    other = tmp_path / ".hidden"
    other.write_bytes(b"")
    remove_leftovers(tmp_path, older_than_s=3600)
    assert _names(tmp_path) == [leftover.name, ".hidden"]
    os.utime(leftover, (0, 0))
    remove_leftovers(tmp_path, older_than_s=3600)
    assert _names(tmp_path) == [".hidden"]


def test_a_leftover_that_its_writer_renames_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftovers = [tmp_path / f".{name}.bin.abc123.twindex-partial" for name in ("a", "b")]
    for leftover in leftovers:
        leftover.write_bytes(b"vectors")
    glob = Path.glob

    def renamed_after_listing(directory: Path, pattern: str) -> list[Path]:
        listed = list(glob(directory, pattern))
        leftovers[0].rename(tmp_path / "a.bin")
        return listed

    monkeypatch.setattr(Path, "glob", renamed_after_listing)
    remove_leftovers(tmp_path, older_than_s=0.0)
    assert _names(tmp_path) == ["a.bin"]
