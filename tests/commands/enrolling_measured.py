"""The program as `python -m twindex`, which writes the most memory it had (MiB) into the file named first."""

import atexit
import sys
from pathlib import Path

from twindex.cli import main


def _peak() -> float:
    # Not getrusage: a new process starts with its parent's maximum there.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    atexit.register(lambda: Path(sys.argv[1]).write_text(f"{_peak():.1f}"))
    main(sys.argv[2:])
