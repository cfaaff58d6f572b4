"""`twindex models`: the model bundles installed on this machine."""

import click

from twindex.commands.options import common_options, settings_of
from twindex.commands.terminal import show, table
from twindex.embedder.model.card import PRECISIONS

EXAMPLES = """\b
Examples:
  twindex models list
  twindex models show default
  twindex models install my-model/
  twindex models install default --precision float32
"""


@click.group(epilog=EXAMPLES)
def models() -> None:
    """List, show and install model bundles."""


@models.command("list")
@common_options
@click.pass_context
def list_installed(context: click.Context) -> None:
    """List the installed models."""
    from twindex.embedder.model.registry import list_models

    found = list_models()
    value = [
        {
            "name": model.name,
            "model": model.fingerprint,
            "precision": model.precision,
            "shipped": model.shipped,
            "default": model.default,
        }
        for model in found
    ]
    rows = [
        (model.name, model.fingerprint[:12], model.precision, "default" if model.default else "") for model in found
    ]
    show(settings_of(context), value, table(("name", "model", "precision", ""), rows))


@models.command("show")
@click.argument("model")
@common_options
@click.pass_context
def show_model(context: click.Context, model: str) -> None:
    """Show the card of MODEL: a name, a fingerprint, or a bundle's folder."""
    from twindex.embedder.model.registry import find_model

    card = find_model(model).card
    card_json = {"model": card.fingerprint, **card.to_json()}
    show(settings_of(context), card_json, [f"{name}: {value}" for name, value in card_json.items()])


@models.command("install")
@click.argument("bundle")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Compute templates in this arithmetic; that makes it another model, with its own fingerprint.",
)
@common_options
@click.pass_context
def install(context: click.Context, bundle: str, precision: str | None) -> None:
    """Check BUNDLE, a folder or an installed model, and copy it to this user's models."""
    from twindex.embedder.model.registry import install_model

    card = install_model(bundle, precision).card
    value = {"name": card.name, "model": card.fingerprint, "precision": card.precision}
    show(settings_of(context), value, [f"{card.name}: {card.fingerprint}, {card.precision}"])
