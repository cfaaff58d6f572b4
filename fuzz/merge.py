"""Keep of what a target has learnt as few and as short inputs as reach the same code: `python -m fuzz.merge TARGET`."""

import shutil
import subprocess
import sys
from pathlib import Path


def main() -> None:
    name = sys.argv[1]
    learnt = Path("build/fuzz") / name
    merged = learnt.with_name(f"{name}-merged")
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir()
    before = len(list(learnt.iterdir()))
    command = [sys.executable, "-m", "fuzz", name, "-merge=1", str(merged), str(learnt)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    kept = len(list(merged.iterdir()))
    if done.returncode or not kept:
        sys.exit(f"What {name} has learnt was not merged, and is as it was: {done.stderr[-2000:]}")
    shutil.rmtree(learnt)
    merged.rename(learnt)
    print(f"{name}: {kept} of {before} inputs kept")


if __name__ == "__main__":
    main()
