import threading

import pytest

from twindex.embedder.photos.memory import MemoryBudget


def test_shares_that_fit_are_held_together() -> None:
    memory, held = MemoryBudget(), []

    def second() -> None:
        with memory.taken(0.5):
            held.append(1)

    with memory.taken(0.5):
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        thread.join(10)
        assert held == [1]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_that_never_fits_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"), MemoryBudget().taken(share):
        pass


def test_a_share_that_does_not_fit_yet_waits() -> None:
    memory, order = MemoryBudget(), []

    def large() -> None:
        with memory.taken(1.0):
            order.append("large")

    with memory.taken(0.1):
        thread = threading.Thread(target=large)
        thread.start()
        thread.join(0.05)
        order.append("small")
    thread.join(10)
    assert order == ["small", "large"]


def test_threads_together_never_hold_more_than_the_budget() -> None:
    memory, held, most = MemoryBudget(), [0.0], [0.0]
    counting = threading.Lock()

    def read() -> None:
        for share in (0.3, 0.7, 1.0, 0.1):
            with memory.taken(share):
                with counting:
                    held[0] += share
                    most[0] = max(most[0], held[0])
                with counting:
                    held[0] -= share

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert 0.99 < most[0] < 1.0 + 1e-9


def test_a_share_is_given_back_when_reading_fails() -> None:
    memory = MemoryBudget()
    with pytest.raises(RuntimeError, match="broken"), memory.taken(1.0):
        raise RuntimeError("broken")
    with memory.taken(1.0):
        pass
