"""The command line: `twindex [--gallery DIR] [--json] COMMAND`. Commands are imported when called."""

import importlib
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import shell_complete

from twindex import __version__
from twindex.commands.completion import COMPLETION_VARIABLE
from twindex.commands.options import common_options
from twindex.commands.terminal import emit, printable, say
from twindex.errors import TwindexError, UsageError
from twindex.running.stopping import end_handling, handle

_STOPPED = "Stopped; what was finished is kept. Run the same command again to go on."
COMMANDS = {
    "enroll": "Enrol people from photos.",
    "query": "Find out who is in a photo.",
    "verify": "Compare two photos.",
    "reindex": "Rebuild the gallery with another model or index.",
    "jobs": "Batch jobs: list, show, resume.",
    "subjects": "The enrolled: list, show, rename, annotate, merge, export, erase, purge.",
    "audit": "Who did what, and when.",
    "settings": "What the gallery demands.",
    "evaluate": "Measure a model on labelled photos.",
    "calibrate": "Set the gallery's operating threshold.",
    "train": "Train the twin and write a model bundle.",
    "models": "Model bundles: list, show, install.",
    "rekey": "Encrypt the gallery, or change its key.",
    "compact": "Write a fresh snapshot of the index.",
    "doctor": "Check the gallery's promises.",
    "export": "Write the gallery to one portable file.",
    "import": "Make a gallery from an exported file.",
    "demo": "Run the main job on people who do not exist.",
    "completion": "Print the shell's completion script.",
}
_MODULES = {"export": "export_gallery", "import": "import_gallery"}  # `import` is a word of the language


class LazyCommands(click.Group):
    """A group that imports a command's module when the command is called, so that `--help` stays quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        place = _MODULES.get(name, name)
        command = getattr(importlib.import_module(f"twindex.commands.{place}"), place)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="twindex")
@common_options
def twindex() -> None:
    """Identity search for faces: enrol people from photos, ask who is in a new one.

    \b
    Examples:
      twindex enroll people/                 one folder per person
      twindex query party.jpg --all-faces    who is in the photo?
      twindex reindex --index hnsw           rebuild the index, answering all along

    Exit codes: 0 done or match, 1 unknown or no match, 2 usage, 3 no usable face, 4 batch finished with failed
    items, 5 model mismatch, 6 integrity failure; 70 a defect of Twindex itself; 130, 141 and 143 stopped by Ctrl-C,
    a closed pipe or SIGTERM.
    """


class _HarmlessFormatter(logging.Formatter):
    """Log lines whose names and paths do nothing to a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def main(arguments: list[str] | None = None) -> None:
    """Run the program: errors become one line on stderr and an exit status, never a traceback."""
    given = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):  # there may be none at all
        sys.stdout.reconfigure(errors="backslashreplace")  # names in letters that its encoding does not have
    try:
        status = _status(given)
    except BrokenPipeError:
        _discard_output()  # nobody reads on
        status = 141
    except OSError as error:
        _discard_output()
        say(f"twindex: The output cannot be written: {error.strerror or error}.")
        status = UsageError.exit_code
    finally:
        end_handling()
    sys.exit(status)


def _status(given: Sequence[str]) -> int:
    """Run the command and print its errors; the exit status.

    Raises:
        OSError: The output cannot be written.
    """
    try:
        handle(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as under nohup
            handle(signal.SIGINT, signal.default_int_handler)
        if instruction := os.environ.get(COMPLETION_VARIABLE):
            sys.exit(shell_complete(twindex, {}, "twindex", COMPLETION_VARIABLE, instruction))
        handler = logging.StreamHandler()
        handler.setFormatter(_HarmlessFormatter("twindex: %(message)s"))
        logging.basicConfig(handlers=[handler], level=logging.WARNING)
        context = twindex.make_context("twindex", list(given))
        with context:
            status = twindex.invoke(context)
    except click.exceptions.Exit as done:
        status = done.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(_STOPPED)
        status = 130
    except NoArgsIsHelpError as error:
        if "--json" in given:
            return _fail(UsageError(f"Missing command; `{error.ctx.command_path} --help` lists them."), given)
        click.echo(error.format_message(), err=True)
        status = UsageError.exit_code
    except click.ClickException as error:
        status = _fail(UsageError(error.format_message()), given)
    except TwindexError as error:
        status = _fail(error, given)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        status = _fail(UsageError(f"{error.strerror or error}{where}"), given)
    except Exception as error:  # the last resort: a defect is one line too, unless asked otherwise
        if os.environ.get("TWINDEX_TRACEBACK"):
            raise
        defect = TwindexError(f"defect: {type(error).__name__}: {error} (TWINDEX_TRACEBACK=1 shows where)")
        _fail(defect, given)
        status = 70
    return status if isinstance(status, int) else 0


def _discard_output() -> None:
    """Let the interpreter flush what is left of the output to nowhere; it would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: TwindexError, arguments: Sequence[str]) -> int:
    # First what may fail itself, where the output cannot be written: that is told then.
    if "--json" in arguments:
        emit({"error": {"code": error.code, "message": str(error)}})
    say(f"twindex: {' '.join(str(error).split())}")
    return error.exit_code


def _stop(_number: int, _frame: FrameType | None) -> None:
    say(_STOPPED)
    sys.exit(143)
