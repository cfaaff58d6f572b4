"""Options that every command takes, before or after its name."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from twindex.config import Settings, default_gallery
from twindex.encryption.keys import KEY_FILE_VARIABLE, KEY_VARIABLE

Command = Callable[..., Any]

pre_cropped_option = click.option(
    "--pre-cropped", is_flag=True, help="Each image is one aligned face already; nothing is detected."
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
    """The settings in force; made with their defaults at the first call."""
    root = context.find_root()
    if not isinstance(root.obj, Settings):
        root.obj = Settings(default_gallery())
    return root.obj


def _keep_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj = replace(settings_of(context), json=True)


def _name_key_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Name the file in the environment, where whatever opens a gallery looks for its key, until the call ends."""
    if value is None:
        return
    before = {name: os.environ.pop(name, None) for name in (KEY_VARIABLE, KEY_FILE_VARIABLE)}
    os.environ[KEY_FILE_VARIABLE] = str(value)

    @context.call_on_close
    def restore() -> None:
        os.environ.pop(KEY_FILE_VARIABLE, None)
        os.environ.update({name: was for name, was in before.items() if was is not None})


def _keep_gallery(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_root().obj = replace(settings_of(context), gallery=value)
