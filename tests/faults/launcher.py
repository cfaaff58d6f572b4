"""Starting the program over and over, each time as a process of its own, and learning what it told its user."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.deaths import COUNT_IN
from tests.faults.program import ACKNOWLEDGE

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a process ended and what it had told by then.

    Attributes:
        status: Exit status, or the negative number of the signal that ended it.
        out, err: Its output.
        acknowledged: Reports of the photos that it was done with, in order.
        passed: How often it came to each point, where that was asked for.
    """

    status: int
    out: str
    err: str
    acknowledged: tuple[dict[str, Any], ...]
    passed: Mapping[str, int]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Running:
    """A process under way."""

    def __init__(self, launcher: "Launcher", pid: int, folder: Path) -> None:
        self._launcher = launcher
        self._folder = folder
        self.pid = pid
        self._waited = False

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended and is not waited for yet does not mind."""
        if self._waited:
            raise ValueError("The process was waited for: its number may be another one's by now.")
        os.kill(self.pid, number)

    def wait_for_start(self) -> None:
        """Wait until the program itself begins; before, it is this kit that would meet a signal."""
        while not (self._folder / "acknowledged").exists():
            time.sleep(0.001)

    def acknowledged(self) -> tuple[dict[str, Any], ...]:
        """The photos that it is done with so far."""
        lines = _text(self._folder / "acknowledged").splitlines(keepends=True)
        # The kill may have cut the last line.
        return tuple(json.loads(line) for line in lines if line.endswith("\n"))

    def wait(self) -> Outcome:
        """Wait for its end."""
        self._launcher.read()
        self._waited = True
        self._launcher.write("\n")
        status = self._launcher.read()["status"]
        passed = _text(self._folder / "passed")
        return Outcome(
            status,
            _text(self._folder / "out"),
            _text(self._folder / "err"),
            self.acknowledged(),
            json.loads(passed) if passed else {},
        )


class Launcher:
    """A server of `program.py`; one process at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        Path(self._folder.name).chmod(0o755)
        self._started = 0
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.program", "--serve"],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        *arguments: object,
        count: bool = False,
        environment: Mapping[str, str] | None = None,
        file_size: int | None = None,
        user: int | None = None,
    ) -> Running:
        """Start a command.

        Args:
            arguments: Of the command line.
            count: Whether to count the points that it passes.
            environment: Beside the launcher's.
            file_size: The largest file that it may write, in bytes.
            user: Whose rights it has; the launcher's own otherwise.
        """
        self._started += 1
        folder = Path(self._folder.name) / str(self._started)
        folder.mkdir()
        folder.chmod(0o777)
        given = {ACKNOWLEDGE: str(folder / "acknowledged"), **(environment or {})}
        if count:
            given[COUNT_IN] = str(folder / "passed")
        request = {
            "arguments": [str(argument) for argument in arguments],
            "environment": given,
            "out": str(folder / "out"),
            "err": str(folder / "err"),
            "file_size": file_size,
            "user": user,
        }
        self.write(json.dumps(request) + "\n")
        return Running(self, self.read()["pid"], folder)

    def run(self, *arguments: object, **options: Any) -> Outcome:
        """Start a command and wait for its end; see `start`."""
        return self.start(*arguments, **options).wait()

    def write(self, line: str) -> None:
        """A line to the server."""
        assert self._server.stdin is not None
        self._server.stdin.write(line)
        self._server.stdin.flush()

    def read(self) -> Any:
        """The server's next line."""
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the server of the program has died"
        return json.loads(line)

    def close(self) -> None:
        """End the server."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""
