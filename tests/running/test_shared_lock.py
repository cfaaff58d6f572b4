"""The lock of readers and writers."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from twindex.running.shared_lock import SharedLock


def test_readers_hold_it_together() -> None:
    lock, together = SharedLock(), Barrier(3)

    def read() -> None:
        with lock.shared():
            together.wait(timeout=30)  # breaks unless all three are inside

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(read) for _ in range(3)]:
            done.result()


def test_a_writer_is_alone() -> None:
    lock, inside = SharedLock(), [0]

    def write() -> None:
        for _ in range(200):
            with lock.alone():
                inside[0] += 1
                assert inside[0] == 1
                inside[0] -= 1

    def read() -> None:
        for _ in range(200):
            with lock.shared():
                assert inside[0] == 0

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work) for work in (write, write, read, read)]:
            done.result()


def test_a_waiting_writer_comes_before_later_readers() -> None:
    lock, order = SharedLock(), list[str]()
    with ThreadPoolExecutor(2) as threads:
        with lock.shared():
            writing = threads.submit(_write, lock, order)
            while not lock._writers_waiting:
                assert not writing.done()
            reading = threads.submit(_read, lock, order)
        writing.result(timeout=30)
        reading.result(timeout=30)
    assert order == ["write", "read"]


def test_an_exception_lets_it_go() -> None:
    lock = SharedLock()
    for hold in (lock.shared, lock.alone):
        with pytest.raises(ValueError, match=r"^inside$"), hold():
            raise ValueError("inside")
    with lock.alone():
        pass


def _write(lock: SharedLock, order: list[str]) -> None:
    with lock.alone():
        order.append("write")


def _read(lock: SharedLock, order: list[str]) -> None:
    with lock.shared():
        order.append("read")
