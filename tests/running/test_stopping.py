"""Signals wait for the end of a transaction, and for nothing else."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.builders import enrol
from twindex.running.stopping import handle, uninterrupted
from twindex.storage import Store


class StoppedError(Exception):
    """Raised by the handler."""


def stop(*_: object) -> None:
    raise StoppedError


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    handle(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_signal_after_the_end_is_too_late() -> None:
    code = (
        "import os, signal, threading\n"
        "from twindex import cli\n"
        "end = threading._shutdown\n"
        "threading._shutdown = lambda: (os.kill(os.getpid(), signal.SIGTERM), end())\n"
        "cli.main(['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_takes_effect_at_once() -> None:
    with pytest.raises(StoppedError, match=r"^$"):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_waits_for_the_end_of_the_outermost_block() -> None:
    steps = []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")

    with pytest.raises(StoppedError, match=r"^$"):
        work()
    assert steps == ["inner", "outer"]
    with uninterrupted():  # it has taken effect, once
        steps.append("later")


def test_a_block_in_another_thread_delays_nothing() -> None:
    inside, done = threading.Event(), threading.Event()

    def work() -> None:
        with uninterrupted():
            inside.set()
            done.wait()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    try:
        with pytest.raises(StoppedError, match=r"^$"):
            signal.raise_signal(signal.SIGTERM)
    finally:
        done.set()
        thread.join()


def test_a_stop_in_the_middle_of_a_transaction_leaves_no_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "twindex.storage.rows.references.refuse_stale_model", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    with pytest.raises(StoppedError, match=r"^$"):
        enrol(store, 1, "ada")
    monkeypatch.undo()
    # The transaction is complete, and the next one does not have to wait.
    assert store.references.count() == 1
    assert enrol(store, 2, "bob").status == "enrolled"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "gallery.sqlite") as made:
        yield made
