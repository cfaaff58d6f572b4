"""Starting Keras' backend without TensorFlow's start-up notes on stderr.

TensorFlow writes them from C++ before its own settings of the log apply, so they are caught where they are written, and
all that is not such a note is written out afterwards.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_STDERR = 2
# Notes of the level "information", and the error of a machine that has no driver for a GPU (303).
_NOTE = re.compile(rb"WARNING: All log messages before absl::InitializeLog\(\)|I\d{4} |E\d{4} .*cuInit: .*\(303\)\s*$")


def start_backend() -> None:
    """Import Keras with its backend, and look for accelerators, which is when TensorFlow writes its last note.

    Raises:
        ImportError: A package is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow turns oneDNN's kernels on by itself on some processors only; without them training is a third slower.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" in sys.modules:
        return
    with without_notes():
        import keras

        if keras.backend.backend() == "tensorflow":
            keras.distribution.list_devices()


@contextmanager
def without_notes() -> Iterator[None]:
    """Leave TensorFlow's start-up notes out of what is written to stderr inside the block.

    The rest comes out at the block's end, also when it ends in an error.
    """
    try:
        before = os.dup(_STDERR)
    except OSError:  # stderr is closed
        yield
        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(before, _STDERR)
            os.close(before)
            _write_rest(caught)


def _write_rest(caught: BinaryIO) -> None:
    caught.seek(0)
    for line in caught:
        if not _NOTE.match(line):
            os.write(_STDERR, line)
