"""Folders of unfinished work: those of dead processes are removed at once, those of living ones never."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from twindex.files.work_folder import remove_abandoned, work_folder, work_folders


def left_by_a_killed_process(target: Path) -> Path:
    code = (
        "import os, signal, sys; from pathlib import Path; from twindex.files.work_folder import work_folder\n"
        "with work_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'faces').write_text('faces')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, target], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = work_folders(target)
    return left


def test_a_work_folder_is_removed_whatever_happens(tmp_path: Path) -> None:
    def work() -> None:
        with work_folder(tmp_path / "a[b]*") as folder:
            assert work_folders(tmp_path / "a[b]*") == [folder]
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            raise KeyError("killed")

    with pytest.raises(KeyError, match="killed"):
        work()
    assert list(tmp_path.iterdir()) == []


def test_names_of_any_length(tmp_path: Path) -> None:
    target = tmp_path / ("ä" * 127)
    target.touch()
    with work_folder(target) as folder:
        assert work_folders(target) == [folder]
        assert work_folders(tmp_path / ("ä" * 126)) == []


def test_a_dead_process_is_told_from_a_living_one_whatever_the_age(tmp_path: Path) -> None:
    dead = left_by_a_killed_process(tmp_path / "a")
    with work_folder(tmp_path / "a") as living:
        os.utime(living, (0, 0))
        remove_abandoned(tmp_path / "a")
        assert (dead.exists(), living.exists()) == (False, True)


def test_another_target_whose_name_begins_alike_is_left_alone(tmp_path: Path) -> None:
    left = left_by_a_killed_process(tmp_path / "a.zip")
    remove_abandoned(tmp_path / "a")
    assert (left / "faces").exists()


def test_a_folder_removed_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = tempfile.mkdtemp

    def overtaken(*arguments: str, **options: object) -> str:
        made.append(real(*arguments, **options))  # type: ignore[call-overload]  # passed on as it came
        if len(made) == 1:
            remove_abandoned(tmp_path / "a")
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", overtaken)
    with work_folder(tmp_path / "a") as folder:
        assert [folder] == work_folders(tmp_path / "a") == [Path(made[1])]


def test_a_folder_removed_while_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, removed = fcntl.flock, []

    def overtaken(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(work_folders(tmp_path / "a"))
            removed[0].rmdir()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with work_folder(tmp_path / "a") as folder:
        assert folder.exists()
        assert folder not in removed


def test_without_locks_a_folder_is_abandoned_after_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    left = left_by_a_killed_process(tmp_path / "a")
    monkeypatch.setattr(fcntl, "flock", none_here)
    with work_folder(tmp_path / "a") as living:
        remove_abandoned(tmp_path / "a")
        assert work_folders(tmp_path / "a") == sorted([left, living])
        os.utime(left, (0, 0))
        remove_abandoned(tmp_path / "a")
        assert work_folders(tmp_path / "a") == [living]
