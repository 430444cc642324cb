"""Commands and their errors: exit 0 done, 1 failed, 2 bad usage, 130 or 143 interrupted."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from jcnn.cli import (
    bench,
    compare,
    data,
    diagnose,
    explain,
    explore,
    find_lr,
    report,
    runs,
    summary,
    theory,
)
from jcnn.cli.interruption import exit_code, take_signals
from jcnn.errors import UsageError, nearest
from jcnn.version import __version__


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line on stderr, and an unknown flag meets its nearest."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and leave with 2."""
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
    """The parser of the command line, and its commands."""
    parser = Parser(prog="jcnn", description="Compare the parts of convolutional networks.")
    parser.add_argument("--version", action="version", version=f"jcnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (
        compare, report, runs, explore, diagnose, find_lr, summary, theory, explain, bench, data
    ):  # fmt: skip
        module.add(commands)
    return parser, commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser, commands = build()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0].startswith("-") and given[0] not in ("-h", "--help", "--version"):
        parser.error(f"unrecognized arguments: {given[0]}")
    chosen, unknown = parser.parse_known_args(given)
    if unknown:
        _parser_of(commands, chosen).error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
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


def _parser_of(commands: Any, chosen: argparse.Namespace) -> argparse.ArgumentParser:
    """The parser of the command, or of its action where it has several."""
    parser: argparse.ArgumentParser = commands.choices[chosen.command]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[getattr(chosen, action.dest)]
    return parser


def entry() -> NoReturn:
    """What the `jcnn` command runs; who interrupts it does not wait for threads that compile."""
    take_signals()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code > 128:
        os._exit(code)
    sys.exit(code)
