"""The entry point: parses the command line, runs a command, and turns errors into exit codes.

Exit codes: 0 success, 1 failure or a fault found, 2 wrong usage, 130 or 143 interrupted.
"""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from jcnn.cli.commands import COMMANDS
from jcnn.cli.interruption import exit_code, handle_signals
from jcnn.errors import UsageError, nearest
from jcnn.version import __version__

_EXAMPLES = """\
examples:
  jcnn compare --activation relu tanh --seeds 3
  jcnn diagnose plain --depth 20
  jcnn explore
"""


class _Formatter(argparse.HelpFormatter):
    """Wraps paragraphs, but keeps text that is already broken into lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line and suggest the nearest valid argument."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Formatter, **options})

    def error(self, message: str) -> NoReturn:
        """Print the error in one line and exit with code 2."""
        unknown = re.match(r"unrecognized arguments: (\S+)", message)
        if unknown:
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            message = str(nearest("argument", unknown[1], flags))
        choice = re.match(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            known = choice[3].replace("'", "").split(", ")
            message = str(nearest(choice[1].lower(), choice[2], known))
        self.exit(2, f"{self.prog}: {message}\n")


def build() -> tuple[Parser, Any]:
    """Return the parser of the command line, and its subparsers."""
    parser = Parser(
        prog="jcnn",
        description="Compare the parts of convolutional networks, and find out why one does not "
        "train.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"jcnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser, commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser, commands = build()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        parser.print_help()
        return 0
    if words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        parser.error(f"unrecognized arguments: {words[0]}")
    chosen, unknown = parser.parse_known_args(words)
    if unknown:
        _parser_of(commands, chosen).error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        with _silenced() if chosen.quiet and not chosen.json else contextlib.nullcontext():
            return int(chosen.run(chosen))
    except KeyboardInterrupt as interruption:
        print("jcnn: interrupted", file=sys.stderr)
        return exit_code(interruption)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        print(f"jcnn {chosen.command}: {error}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, OSError) as error:
        line = " ".join(str(error).split())
        print(f"jcnn {chosen.command}: {line}", file=sys.stderr)
        return 1


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Discard standard output."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _parser_of(commands: Any, chosen: argparse.Namespace) -> argparse.ArgumentParser:
    """Return the parser of the command, or of its action if it has several."""
    parser: argparse.ArgumentParser = commands.choices[chosen.command]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[getattr(chosen, action.dest)]
    return parser


def entry() -> NoReturn:
    """Run the `jcnn` command; an interruption does not wait for threads that compile."""
    handle_signals()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code > 128:
        os._exit(code)
    sys.exit(code)
