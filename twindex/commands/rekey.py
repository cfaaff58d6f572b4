"""`twindex rekey`: encrypt the gallery, change its key, or take the key away."""

from pathlib import Path

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import say, show

EXAMPLES = """\b
Examples:
  (umask 077; openssl rand -hex 32 > gallery.key)
  twindex rekey --new-key-file gallery.key                       encrypts a gallery that is not
  twindex rekey --key-file gallery.key --new-key-file other.key  changes the key
  twindex rekey --key-file other.key --remove-key
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--new-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that holds the new key: 64 hexadecimal digits, or a passphrase of at least 16 bytes.",
)
@click.option("--remove-key", is_flag=True, help="Leave the gallery without encryption.")
@common_options
@click.pass_context
def rekey(context: click.Context, new_key_file: Path | None, remove_key: bool) -> None:
    """Encrypt the gallery, change its key, or take the key away.

    A new database is written beside the old one and checked; then it takes the old one's name, and the old one is
    overwritten. No other program may have the gallery open. Nobody can open an encrypted gallery without its key: keep
    a copy of the key elsewhere.
    """
    from twindex.encryption.keys import environment_key, read_key_file
    from twindex.gallery.rekeying import rekey as rekey_gallery

    settings = settings_of(context)
    new = None if new_key_file is None else read_key_file(new_key_file)
    rekeyed = rekey_gallery(settings.gallery, environment_key(), new, remove=remove_key)
    value = {
        "encrypted": rekeyed.encrypted,
        "was_encrypted": rekeyed.was_encrypted,
        "key_source": rekeyed.key_source or None,
        "snapshots_removed": rekeyed.snapshots,
        "foreign_files": list(rekeyed.foreign),
    }
    state = f"encrypted with the key from {rekeyed.key_source}" if rekeyed.encrypted else "no longer encrypted"
    show(settings, value, [f"The gallery is {state}."])
    if rekeyed.snapshots:
        say("The index files were removed because the new key does not open them; `twindex compact` writes a new one.")
    if rekeyed.encrypted and rekeyed.foreign:
        say(f"Not the gallery's, so still readable to anyone who can read the folder: {', '.join(rekeyed.foreign)}")
