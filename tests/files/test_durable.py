"""Files and folders appear whole or not at all, shown by killing and starving the process that writes them."""

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twindex.files.durable import PUBLIC, folder, private_file, publish, remove_leftovers, replace, write_file

WRITE = "from pathlib import Path; from twindex.files.durable import write_file; import os, signal, sys\n"


def _run(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WRITE + code, str(path)], capture_output=True, text=True, check=False)


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_file(path, [b"one"])
    write_file(path, [b"tw", b"", b"o"])
    assert path.read_bytes() == b"two"
    assert _names(tmp_path) == ["a.bin"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is forced to the disk or renamed, in order."""
    noted: list[str] = []
    fsync = os.fsync

    def noted_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        noted.append("fsync folder" if is_folder else "fsync file")
        fsync(descriptor)

    def renaming(call: Callable[..., object]) -> Callable[..., object]:
        def renamed(*arguments: object, **named: object) -> object:
            noted.append(call.__name__)
            return call(*arguments, **named)

        return renamed

    monkeypatch.setattr(os, "fsync", noted_fsync)
    for name in ("replace", "rename", "link"):
        monkeypatch.setattr(os, name, renaming(getattr(os, name)))
    return noted


def test_content_is_on_disk_before_the_name_and_the_name_before_returning(tmp_path: Path, steps: list[str]) -> None:
    write_file(tmp_path / "a.bin", [b"content"])
    assert steps == ["fsync file", "replace", "fsync folder"]


def test_a_finished_file_is_on_disk_before_it_replaces_another(tmp_path: Path, steps: list[str]) -> None:
    finished, path = tmp_path / "new", tmp_path / "a.bin"
    finished.write_bytes(b"new")
    path.write_bytes(b"old")
    replace(finished, path)
    assert steps == ["fsync file", "replace", "fsync folder"]
    assert path.read_bytes() == b"new"
    assert _names(tmp_path) == ["a.bin"]


def test_the_umask_decides_who_may_read_an_ordinary_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a.bin", [b"content"], mode=PUBLIC)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


def test_a_published_file_is_private_and_durable(tmp_path: Path, steps: list[str]) -> None:
    with private_file(tmp_path / "new") as stream:
        stream.write(b"faces")
    publish(tmp_path / "new", tmp_path / "a.zip")
    assert steps == ["fsync file", "link", "fsync folder"]
    assert (tmp_path / "a.zip").read_bytes() == b"faces"
    assert stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) == 0o600


@pytest.mark.parametrize("links", [True, False])
def test_publishing_never_replaces_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    finished, path = tmp_path / "new", tmp_path / "a.zip"
    finished.write_bytes(b"new")
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="exists"):
        publish(finished, path)
    path.unlink()
    publish(finished, path)
    assert path.read_bytes() == b"new"


def test_a_private_file_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError, match="a"), private_file(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_appears_when_everything_in_it_is_on_disk(tmp_path: Path, steps: list[str]) -> None:
    path = tmp_path / "parent" / "model"
    with folder(path) as new:
        (new / "card").write_bytes(b"card")
        (new / "weights").write_bytes(b"weights")
        assert not path.exists()
    assert steps == ["fsync file", "fsync file", "fsync folder", "rename", "fsync folder"]
    assert _names(path) == ["card", "weights"]
    assert _names(path.parent) == ["model"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_folder_whose_block_fails_does_not_appear(tmp_path: Path) -> None:
    def write() -> None:
        with folder(tmp_path / "model") as new:
            (new / "card").write_bytes(b"card")
            raise KeyError("failed")

    with pytest.raises(KeyError, match="failed"):
        write()
    assert _names(tmp_path) == []


def test_a_folder_never_replaces_one_that_holds_something(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "card").write_bytes(b"old")
    with pytest.raises(OSError, match="model"), folder(path):
        pass
    assert (path / "card").read_bytes() == b"old"
    assert _names(tmp_path) == ["model"]


def test_a_failing_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_file(path, [b"old"])

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise KeyError("source failed")

    with pytest.raises(KeyError, match="source failed"):
        write_file(path, pieces())
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        write_file(tmp_path / "gone" / "a.bin", [b"x"])


@pytest.mark.parametrize("point", ["os.fsync", "Path.replace"])
def test_a_kill_before_the_rename_leaves_the_old_file_and_no_obstacle(tmp_path: Path, point: str) -> None:
    path = tmp_path / "a.bin"
    write_file(path, [b"old"])
    killed = _run(
        f"{point} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\nwrite_file(Path(sys.argv[1]), [b'new'])",
        path,
    )
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(_names(tmp_path)) == 2
    write_file(path, [b"newer"])
    assert path.read_bytes() == b"newer"
    remove_leftovers(tmp_path, older_than_s=0.0)
    assert _names(tmp_path) == ["a.bin"]


def test_no_room_is_an_error_that_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_file(path, [b"old"])
    starved = _run(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "write_file(Path(sys.argv[1]), [bytes(100_000)])",
        path,
    )
    assert "OSError: [Errno 27] File too large" in starved.stderr
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def test_only_old_leftovers_are_removed_and_no_other_file(tmp_path: Path) -> None:
    leftover = tmp_path / ".a.bin.abc123.twindex-partial"
    leftover.write_bytes(b"vectors")
    other = tmp_path / ".hidden"
    other.write_bytes(b"")
    remove_leftovers(tmp_path, older_than_s=3600)
    assert _names(tmp_path) == [leftover.name, ".hidden"]
    os.utime(leftover, (0, 0))
    remove_leftovers(tmp_path, older_than_s=3600)
    assert _names(tmp_path) == [".hidden"]


def test_a_leftover_that_is_renamed_meanwhile_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
