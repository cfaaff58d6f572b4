"""Options that every command takes, before or after its name, and what they select: settings and database."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twindex.config import DATABASE, Settings, default_gallery
from twindex.encryption.keys import KEY_FILE_VARIABLE, KEY_VARIABLE
from twindex.errors import UsageError

if TYPE_CHECKING:
    from twindex.storage.store import Store

Command = Callable[..., Any]

pre_cropped_option = click.option(
    "--pre-cropped", is_flag=True, help="Each image is already one aligned face; nothing is detected."
)
ROW_NUMBER = click.IntRange(1, 2**63 - 1)  # as SQLite counts rows
model_option = click.option(
    "--model", help="A name, a fingerprint or a folder (default: the gallery's model, else the shipped one)."
)


def common_options(command: Command) -> Command:
    """Add `--gallery` and `--json`, kept in the context as `Settings`, and `--key-file`."""
    command = click.option(
        "--key-file",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_name_key_file,
        help="File with an encrypted gallery's key (default: $TWINDEX_KEY_FILE, or the key itself in $TWINDEX_KEY).",
    )(command)
    command = click.option(
        "--json", "as_json", is_flag=True, expose_value=False, callback=_keep_json, help="Print results as JSON."
    )(command)
    return click.option(
        "--gallery",
        type=click.Path(path_type=Path, file_okay=False),
        expose_value=False,
        callback=_keep_gallery,
        help="Folder of the gallery (default: $TWINDEX_GALLERY, else ./twindex-gallery).",
    )(command)


def settings_of(context: click.Context) -> Settings:
    """The settings of this call of the program; the first call here makes them, with their defaults."""
    root = context.find_root()
    if not isinstance(root.obj, Settings):
        root.obj = Settings(default_gallery())
    return root.obj


def open_store(context: click.Context, *, read_only: bool = False) -> "Store":
    """Open the gallery's database alone, without loading an index or a model.

    Raises:
        UsageError: There is no gallery.
    """
    from twindex.storage.store import Store

    path = settings_of(context).gallery / DATABASE
    if not path.exists():
        raise UsageError(f"There is no gallery in {path.parent}; `twindex enroll` makes one.")
    return Store.open(path, read_only=read_only)


def _keep_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj = replace(settings_of(context), json=True)


def _name_key_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Name the key file in the environment until the call ends: whatever opens a gallery looks for its key there."""
    if value is None:
        return
    before = {name: os.environ.pop(name, None) for name in (KEY_VARIABLE, KEY_FILE_VARIABLE)}
    os.environ[KEY_FILE_VARIABLE] = str(value)

    @context.call_on_close
    def restore() -> None:
        os.environ.pop(KEY_FILE_VARIABLE, None)
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _keep_gallery(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_root().obj = replace(settings_of(context), gallery=value)
