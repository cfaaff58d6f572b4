"""`twindex settings`: the rules that a gallery keeps in its database."""

from typing import TYPE_CHECKING

import click

from twindex.commands.options import common_options, open_store, settings_of
from twindex.commands.terminal import show

if TYPE_CHECKING:
    from twindex.storage import Store

EXAMPLES = """\b
Examples:
  twindex settings show
  twindex settings consent-required on
"""
_SWITCH = {"on": True, "off": False}


@click.group(epilog=EXAMPLES)
def settings() -> None:
    """Show and change the gallery's rules, which its database keeps."""


@settings.command("show")
@common_options
@click.pass_context
def show_settings(context: click.Context) -> None:
    """Show the gallery's settings."""
    with open_store(context, read_only=True) as store:
        _show(context, store)


@settings.command("consent-required")
@click.argument("switch", type=click.Choice(tuple(_SWITCH)))
@common_options
@click.pass_context
def consent_required(context: click.Context, switch: str) -> None:
    """Require a --consent for each enrolment, or stop requiring it; people already enrolled stay."""
    with open_store(context) as store:
        store.require_consent(_SWITCH[switch])
        _show(context, store)


def _show(context: click.Context, store: "Store") -> None:
    gallery = store.gallery()
    value = {"consent_required": gallery.consent_required, "keep_crops": gallery.keep_crops}
    lines = [f"{name.replace('_', '-'):16}  {'on' if on else 'off'}" for name, on in value.items()]
    show(settings_of(context), value, lines)
