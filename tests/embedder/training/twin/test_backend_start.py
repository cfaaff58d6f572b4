import os
import subprocess
import sys
from pathlib import Path

import pytest

from twindex.embedder.training.twin.backend_start import without_notes

REPOSITORY = Path(__file__).parents[4]
NOTES = b"""WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795777428.479778   10995 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1795777428.479778   10995 cuda_platform.cc:52] failed call to cuInit: INTERNAL: UNKNOWN ERROR (303)
"""
ERRORS = b"""E0000 00:00:1795777428.479778   10995 cuda_platform.cc:52] failed call to cuInit: NO DEVICE (100)
W0000 00:00:1795777428.479778   10995 port.cc:153] This build lacks instructions.
Something else.
"""


def test_notes_are_left_out_and_the_rest_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    with without_notes():
        os.write(2, NOTES + ERRORS)
    assert capfd.readouterr().err == ERRORS.decode()


def test_what_was_written_before_an_error_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_notes():
            os.write(2, NOTES + b"The cause.\n")
            raise ImportError("broken")

    with pytest.raises(ImportError, match="broken"):
        fail()
    assert capfd.readouterr().err == "The cause.\n"


@pytest.mark.slow
def test_the_backend_starts_silently() -> None:
    code = "from twindex.embedder.training.twin.backend_start import start_backend; start_backend(); import keras; "
    code += "print(keras.ops.zeros(1).shape)"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(1,)\n", "")
