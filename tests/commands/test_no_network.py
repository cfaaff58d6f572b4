"""Nothing goes over a network, whatever a dependency would like to report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Prints, for each command, its exit status; and what was done with sockets or forked processes meanwhile.
OVERHEARD = """
import json, sys
seen = []
watched = ("socket.", "os.fork", "http.", "urllib.")
sys.addaudithook(lambda event, args: event.startswith(watched) and seen.append(f"{event} {args}"))
from twindex.cli import main
statuses = []
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as ended:
        statuses.append(ended.code or 0)
print(json.dumps([statuses, seen]), file=sys.stderr)
"""


@pytest.mark.slow
def test_no_command_opens_a_socket_or_writes_into_the_home(people: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    photo, other = people / "enrolled" / "ada" / "1.jpg", people / "probes" / "ada" / "4.jpg"
    stranger = people / "strangers" / "stranger-1"
    evaluated = [part for kind in ("enrolled", "probes", "strangers") for part in (f"--{kind}", people / kind)]
    commands = [
        ["enroll", photo.parent, "--subject", "ada"],
        ["query", other, "--picture", tmp_path / "picture.png"],
        ["verify", photo, other],
        ["reindex", "--index", "hnsw"],
        ["calibrate", "--target-fpir", "0.5", "--non-mated", stranger],
        ["evaluate", "search", *evaluated, "--report", tmp_path / "report"],
        ["doctor"],
        ["models", "list"],
        ["export", tmp_path / "archive"],
        ["subjects", "erase", "ada", "--yes"],
    ]
    given = json.dumps([["--gallery", str(tmp_path / "gallery"), *map(str, one)] for one in commands])
    done = subprocess.run(
        [sys.executable, "-c", OVERHEARD, given],
        env={**os.environ, "HOME": str(home), "USERPROFILE": str(home), "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    statuses, seen = json.loads(done.stderr.splitlines()[-1])
    assert statuses == [0] * len(commands), done.stderr
    assert seen == []
    assert list(home.iterdir()) == []
