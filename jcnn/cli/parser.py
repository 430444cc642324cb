"""The parser of the command line; its errors take one line."""

import argparse
import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from jcnn.cli.commands import COMMANDS
from jcnn.errors import nearest
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


def parse(arguments: Sequence[str]) -> argparse.Namespace | None:
    """Return the parsed arguments, or None after printing the help if there are none."""
    parser, commands = build()
    words = list(arguments)
    if not words:
        parser.print_help()
        return None
    if words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        parser.error(f"unrecognized arguments: {words[0]}")
    chosen, unknown = parser.parse_known_args(words)
    if unknown:
        _parser_of(commands, chosen).error(f"unrecognized arguments: {' '.join(unknown)}")
    return chosen


@contextlib.contextmanager
def silenced(chosen: argparse.Namespace) -> Iterator[None]:
    """Discard standard output if the arguments ask for it."""
    if chosen.json or not chosen.quiet:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _parser_of(commands: Any, chosen: argparse.Namespace) -> argparse.ArgumentParser:
    """Return the parser of the command, or of its action if it has several."""
    parser: argparse.ArgumentParser = commands.choices[chosen.command]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[getattr(chosen, action.dest)]
    return parser
