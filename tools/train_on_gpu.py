"""Train the branch on one GPU with everything in its memory, on a machine that files reach in small parts.

Usage:

    python tools/train_on_gpu.py pack FACES... --to PARTS             here: faces-00.tar, ... of at most 60 MB each
    python tools/train_on_gpu.py train PARTS --recipe R --teacher T --weights BUNDLE --seconds 540 --to OUT
    python tools/train_on_gpu.py join OUT --recipe R --to WEIGHTS.safetensors                here again

PARTS may hold the archives or be the folder into which they were unpacked. `train` needs Python 3.11, JAX for the GPU,
Keras, NumPy, Pillow, ONNX, safetensors and OpenVINO, and this repository on PYTHONPATH; nothing is downloaded. It
writes the best weights, float16, in parts of at most 15 MB (OUT/best-00 ...) and its log (OUT/device.jsonl). `join`
puts the parts together and checks them; `twindex.bundle_from` makes a bundle of the weights, calibrated here.
"""

import argparse
import json
import os
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MOST_FACES = 60 * 10**6  # bytes of a part on the way there
MOST_WEIGHTS = 15 * 10**6  # and on the way back
_BLOCK, _END = 512, 10_240  # bytes: of a tar archive, and of its end


def pack(roots: list[Path], target: Path) -> list[Path]:
    """Write folders of faces as archives of at most `MOST_FACES` bytes; paths in them begin with the folder's name."""
    target.mkdir(parents=True, exist_ok=True)
    parts: list[list[tuple[Path, str]]] = []
    filled = MOST_FACES
    for root in roots:
        for photo in sorted(path for path in root.rglob("*") if path.is_file()):
            needed = _BLOCK + -(-photo.stat().st_size // _BLOCK) * _BLOCK  # a header, then whole blocks
            if filled + needed > MOST_FACES:
                parts.append([])
                filled = _END
            parts[-1].append((photo, str(Path(root.name) / photo.relative_to(root))))
            filled += needed
    written = [target / f"faces-{number:02d}.tar" for number in range(len(parts))]
    for path, photos in zip(written, parts, strict=True):
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for photo, name in photos:
                archive.add(photo, name)
    return written


def unpack(parts: Path, target: Path) -> list[Path]:
    """The folders of faces in `parts`, unpacked into `target` where they are archives."""
    archives = sorted(parts.glob("faces-*.tar"))
    for archive in archives:
        with tarfile.open(archive) as opened:
            opened.extractall(target, filter="data")
    return sorted(path for path in (target if archives else parts).iterdir() if path.is_dir())


def train(options: argparse.Namespace) -> None:
    """Train a recipe's first stage within the limit, and write the best weights in parts."""
    os.environ["KERAS_BACKEND"] = "jax"
    import numpy as np

    from twindex.embedder.model.bundle import load_bundle
    from twindex.embedder.training.data.faces import TrainingFaces
    from twindex.embedder.training.loop import initial_branch
    from twindex.embedder.training.on_device.run import DeviceReport, train_on_device
    from twindex.embedder.training.recipe.recipe import read_recipe
    from twindex.embedder.training.run import TrainingRun
    from twindex.embedder.training.twin.network import build_head

    load_bundle(options.weights)
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = {path.name: path for path in unpack(options.parts, Path(scratch))}
        # The first folder given decides who is held out by position, so the order is the recipe's, not the alphabet's.
        names = options.folders.split(",") if options.folders else sorted(found)
        faces = TrainingFaces.scan(*(found[name] for name in names))
        run = TrainingRun(faces, read_recipe(options.recipe), options.to, options.teacher, str(options.weights))
        with ThreadPoolExecutor(os.cpu_count()) as readers:
            pixels = np.stack(list(readers.map(faces.photo, range(len(faces.paths)))))
        print(f"{len(pixels)} faces, {pixels.nbytes / 1e9:.2f} GB", flush=True)
        branch, head = initial_branch(run, run.recipe.input_size, run.split()[0]), build_head()
        head.build((None, 1))

        def tell(report: DeviceReport) -> None:
            print(json.dumps(report.__dict__), flush=True)

        best = train_on_device(run, branch, head, pixels, seconds=options.seconds, listener=tell)
    content = best.read_bytes()
    for number, start in enumerate(range(0, len(content), MOST_WEIGHTS)):
        (options.to / f"best-{number:02d}").write_bytes(content[start : start + MOST_WEIGHTS])
    best.unlink()


def join(options: argparse.Namespace) -> None:
    """Put the weights together and check that they are a branch's."""
    from twindex.embedder.model.weights import decode_weights
    from twindex.embedder.training.recipe.recipe import read_recipe

    content = b"".join(part.read_bytes() for part in sorted(options.parts.glob("best-*")))
    arrays = decode_weights(content, read_recipe(options.recipe).dim)
    options.to.write_bytes(content)
    print(f"{options.to}: {len(arrays)} arrays, {len(content)} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("faces", nargs="+", type=Path)
    packing.add_argument("--to", type=Path, required=True)
    training = commands.add_parser("train")
    training.add_argument("parts", type=Path)
    training.add_argument("--recipe", type=Path, required=True)
    training.add_argument("--teacher", type=Path, required=True)
    training.add_argument("--weights", type=Path, required=True, help="folder of the bundle to begin with")
    training.add_argument("--folders", help="names of the folders in the recipe's order, separated by commas")
    training.add_argument("--seconds", type=float, default=540.0)
    training.add_argument("--to", type=Path, required=True)
    joining = commands.add_parser("join")
    joining.add_argument("parts", type=Path)
    joining.add_argument("--recipe", type=Path, required=True)
    joining.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "pack":
        for part in pack(options.faces, options.to):
            print(f"{part}: {part.stat().st_size} bytes")
    elif options.command == "train":
        train(options)
    else:
        join(options)


if __name__ == "__main__":
    sys.exit(main())
