"""`twindex completion`: tab completion for the shell."""

import click
from click.shell_completion import get_completion_class

from twindex.commands.options import common_options

COMPLETION_VARIABLE = "_TWINDEX_COMPLETE"
EXAMPLES = """\b
Example:
  eval "$(twindex completion bash)"
"""


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL."""
    script = get_completion_class(shell)
    if script is None:
        raise click.ClickException(f"No completion for {shell}.")
    click.echo(script(context.find_root().command, {}, "twindex", COMPLETION_VARIABLE).source())
