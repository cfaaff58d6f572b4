"""The command line with a light embedder: a real process, which can be told where to die.

python -m tests.faults.program ARGUMENTS...   like `python -m twindex ARGUMENTS...`; see `deaths.py` for its environment
python -m tests.faults.program --serve        a command for each line of JSON on standard input, in a process forked
                                              from this one, so that the imports are paid for once

TWINDEX_ACKNOWLEDGE names a file, made when the program begins: a line for each photo, written when the command's
progress bar has moved on by it. TWINDEX_MEET names a folder where two enrolments meet before each commit.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import twindex.archive.exporting
import twindex.archive.importing
import twindex.cli
import twindex.commands.compact
import twindex.commands.doctor
import twindex.commands.enroll
import twindex.commands.export_gallery
import twindex.commands.import_gallery
import twindex.commands.query
import twindex.commands.reindex
import twindex.commands.rekey
import twindex.commands.subjects
import twindex.gallery.doctor.diagnosis
import twindex.gallery.rekeying
import twindex.jobs.enroll
import twindex.jobs.reindex
from tests.faults.deaths import install_from_environment
from tests.faults.light import install_light_embedder, template
from twindex.storage.sqlite.driver import sqlcipher

ACKNOWLEDGE, MEET = "TWINDEX_ACKNOWLEDGE", "TWINDEX_MEET"
_LONGEST_WAIT_S = 60.0


def run(arguments: list[str]) -> None:
    """Be the program; does not return."""
    install_light_embedder()
    install_from_environment()
    sys.argv = ["twindex", *arguments]
    if ACKNOWLEDGE in os.environ:
        _acknowledge_to(os.environ[ACKNOWLEDGE])
    twindex.cli.main()


def serve() -> None:
    """Fork a child for each request, tell its process id, then that it has ended, and when asked how."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
    # So that a child with fewer rights need not read the modules for images, and for what is installed.
    template(0, "0" * 64)
    version("numpy")
    sqlcipher()
    gc.freeze()  # or a child's collector would touch, and so copy, every page that it shares with this process
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            run(request["arguments"])
        print(json.dumps({"pid": child}), flush=True)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        print(json.dumps({"ended": child}), flush=True)
        # Until the launcher says that it sends no more signals, the number must not become another process's.
        sys.stdin.readline()
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def _become(request: dict[str, Any]) -> None:
    """Streams, environment and rights of a child."""
    for descriptor, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(name, flags, 0o666)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.update(request["environment"])
    if request.get("file_size") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"],) * 2)
    if request.get("user") is not None:
        os.setgroups([])
        os.setgid(request["user"])
        os.setuid(request["user"])


def _acknowledge_to(file: str) -> None:
    run_job, make_context = twindex.jobs.enroll.run_job, twindex.cli.twindex.make_context
    descriptor = -1

    def starting(*given: Any, **named: Any) -> Any:
        nonlocal descriptor
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        return make_context(*given, **named)

    def acknowledging(gallery: Any, job: Any, reader: Any, listener: twindex.jobs.enroll.Listener) -> None:
        def listen(report: twindex.jobs.enroll.ItemReport) -> None:
            listener(report)
            os.write(descriptor, json.dumps(report.to_json()).encode() + b"\n")

        if MEET in os.environ:
            gallery.commit = _meeting(Path(os.environ[MEET]), gallery.commit)
        run_job(gallery, job, reader, listen)

    twindex.cli.twindex.make_context = starting  # type: ignore[method-assign]  # the first that it does
    twindex.jobs.enroll.run_job = acknowledging


def _meeting(folder: Path, enrol: Callable[..., Any]) -> Callable[..., Any]:
    """Let no batch be committed before another process has as many: both want to write at the same moment."""
    batches = count()

    def enrol_with_the_other(*given: Any, **named: Any) -> Any:
        batch = next(batches)
        (folder / f"{batch}-{os.getpid()}").touch()
        until = time.monotonic() + _LONGEST_WAIT_S
        while len(list(folder.glob(f"{batch}-*"))) < 2:
            if time.monotonic() > until:
                raise TimeoutError(f"Nobody else came to {folder} with batch {batch}.")
            time.sleep(0.001)
        return enrol(*given, **named)

    return enrol_with_the_other


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        run(sys.argv[1:])
