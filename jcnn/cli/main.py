"""The entry point: runs a command, and turns errors and interruptions into exit codes.

Exit codes: 0 success, 1 failure or a fault found, 2 wrong usage, 130 or 143 interrupted. Before
signals are handled, Ctrl-C prints a traceback, so hardly anything is imported until then.
"""

import os
import signal
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    from jcnn.cli.parser import parse, silenced
    from jcnn.errors import UsageError
    from jcnn.interruption import wait_if_interrupted

    chosen = parse(sys.argv[1:] if arguments is None else arguments)
    if chosen is None:
        return 0
    try:
        with silenced(chosen):
            return int(chosen.run(chosen))
    except KeyboardInterrupt:
        print("jcnn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError) as error:
        wait_if_interrupted()
        line = " ".join(str(error).split())
        print(f"jcnn {chosen.command}: {line}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def entry() -> None:
    """Run the `jcnn` command and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends the process without a traceback
    from jcnn.interruption import exit_on_signals, wait_if_interrupted

    exit_on_signals()
    code = main()
    wait_if_interrupted()
    sys.exit(code)
