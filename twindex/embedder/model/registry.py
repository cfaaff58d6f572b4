"""The installed models: the one shipped with the package, and those in the user's folder."""

import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from twindex.embedder.model.bundle import CARD_FILE, Bundle, copy_bundle, load_bundle
from twindex.embedder.model.card import Card
from twindex.embedder.model.foreign_file import BUNDLE, refusal
from twindex.errors import BundleError, UsageError
from twindex.files.user_folders import models_dir

DEFAULT = "default"

_FINGERPRINT_START = re.compile(r"[0-9a-f]{8,64}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstalledModel:
    """A model that this machine can use.

    Attributes:
        name: Its card's name; may not be unique.
        fingerprint: Fingerprint of its templates, 64 hex digits.
        precision: Precision of its arithmetic.
        path: Its bundle's folder.
        shipped: Whether it is part of the package.
        default: Whether new galleries use it.
    """

    name: str
    fingerprint: str
    precision: str
    path: Path
    shipped: bool
    default: bool


def list_models() -> list[InstalledModel]:
    """All installed models, the shipped one first. Damaged ones are logged and left out."""
    shipped = list(_models_in(_shipped_dir()))
    own = [bundle for bundle in _models_in(models_dir()) if bundle.card.fingerprint not in _fingerprints(shipped)]
    return [
        InstalledModel(
            name=bundle.card.name,
            fingerprint=bundle.card.fingerprint,
            precision=bundle.card.precision,
            path=bundle.path,
            shipped=place < len(shipped),
            default=bool(shipped) and place == 0,
        )
        for place, bundle in enumerate(shipped + own)
    ]


def find_model(text: str) -> Bundle:
    """Find the model that a user names.

    Args:
        text: "default", an installed model's name, the first 8 or more hex digits of its fingerprint, or a bundle's
            folder; `./name` always means a folder.

    Raises:
        UsageError: The text fits no model, or several.
        BundleError: The folder holds a damaged bundle.
    """
    installed = list_models()
    meant = [model for model in installed if _is_meant(model, text)]
    if len(meant) > 1:
        prints = ", ".join(model.fingerprint[:12] for model in meant)
        raise UsageError(f"More than one installed model is called {text!r}; give a fingerprint: {prints}.")
    if meant:
        # Weights are hashed only if they are read: most starts use the compiled network.
        return load_bundle(meant[0].path, verify=False)
    if _is_bundle(Path(text)):
        return load_bundle(Path(text))
    names = ", ".join(repr(model.name) for model in installed) or "none"
    raise UsageError(f"No model {text!r}: expected an installed one ({names}) or the folder of a bundle.")


def install_model(source: str | Path, precision: str | None = None) -> Bundle:
    """Copy a bundle to the user's models, unless it is installed already.

    Args:
        source: A bundle's folder, or any text that `find_model` takes.
        precision: Precision of the arithmetic, which makes it another model; None keeps the bundle's.

    Returns:
        The installed bundle.

    Raises:
        UsageError: There is no such bundle, or a model with the same templates but another card is installed.
        BundleError: It is damaged, or cannot compute in that precision.
        ForeignFileError: It is a file, such as a saved network, a pickle or weights alone; no code in it is run.
    """
    if Path(source).is_file():
        raise refusal(Path(source), BUNDLE)
    bundle = load_bundle(Path(source)) if _is_bundle(Path(source)) else find_model(str(source))
    if precision is not None:
        bundle = replace(bundle, card=bundle.card.with_precision(precision))
    fingerprint = bundle.card.fingerprint
    for model in list_models():
        if model.fingerprint == fingerprint:
            installed = load_bundle(model.path, verify=False)
            _refuse_other_card(model, installed.card, bundle.card)
            return installed
    target = models_dir() / fingerprint
    if target.exists():
        _log.warning("Replacing the damaged model in %s.", target)
        shutil.rmtree(target)
    return copy_bundle(bundle, target)


def _refuse_other_card(model: InstalledModel, installed: Card, offered: Card) -> None:
    """Refuse a model with the installed fingerprint but another card: another head would give other answers."""
    differing = [field.name for field in fields(Card) if getattr(installed, field.name) != getattr(offered, field.name)]
    if not differing:
        return
    remedy = "" if model.shipped else ", or delete that folder and try again: its galleries then use the new card"
    raise UsageError(
        f"The model {model.fingerprint[:12]} is already installed in {str(model.path)!r} with another card. They "
        f"differ in {', '.join(differing)}; use the installed one{remedy}."
    )


def _shipped_dir() -> Path:
    return Path(__file__).parent / "shipped"


def _models_in(folder: Path) -> Iterator[Bundle]:
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:  # perhaps the home folder of another user
        _log.warning("Leaving out the models in %s: %s.", folder, error.strerror)
        return
    for path in paths:
        # Hidden folders are unfinished copies.
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            yield load_bundle(path, verify=False)
        except BundleError as error:
            _log.warning("Leaving out the damaged model in %s: %s", path, error)


def _fingerprints(bundles: list[Bundle]) -> set[str]:
    return {bundle.card.fingerprint for bundle in bundles}


def _is_meant(model: InstalledModel, text: str) -> bool:
    if text == DEFAULT:
        return model.default
    starts = _FINGERPRINT_START.fullmatch(text) is not None and model.fingerprint.startswith(text)
    return model.name == text or starts


def _is_bundle(path: Path) -> bool:
    return (path / CARD_FILE).exists()
