"""Fuzz one reader of untrusted bytes with atheris: `python -m fuzz TARGET [libFuzzer options]`.

A target is a module of this folder with `seeds()`, valid and nearly valid inputs, and `check(data)`, which lets only
`TwindexError` of the reader pass; whatever else comes out is a find. What was learnt stays in build/fuzz/TARGET, a find
is written to build/fuzz/TARGET-crash-*, to be given to `python -m fuzz TARGET FILE`; `merge.py` keeps the former small.
"""

import hashlib
import importlib
import shlex
import sys
from pathlib import Path

import atheris

LIMITS = ("-timeout=5", "-rss_limit_mb=1200", "-max_len=65536", "-print_final_stats=1")


def main() -> None:
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["PIL", "csv", "json", "safetensors", "twindex"]):
        target = importlib.import_module(f"fuzz.{name}")
        seeds = list(target.seeds())
        # What is imported only when it is needed is imported now, or it would not be instrumented.
        for seed in seeds:
            target.check(seed)
    learnt = Path("build/fuzz") / name
    learnt.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (learnt / hashlib.sha256(seed).hexdigest()[:20]).write_bytes(seed)
    given = [option for option in options if not option.startswith("-")]
    places = [] if given else [str(learnt)]
    prefix = f"-artifact_prefix={learnt}-"
    # To merge, libFuzzer starts this program anew, in a shell and by the first of these words.
    program = shlex.join([sys.executable, "-m", "fuzz", name])
    atheris.Setup([program, *LIMITS, prefix, *options, *places], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
