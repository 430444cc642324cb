"""The commands of `jcnn`, one module each: `add` declares its arguments, `run` executes it.

Commands share the modules of `jcnn.cli` and never import each other.
"""

from jcnn.cli.commands import (
    bench,
    compare,
    data,
    diagnose,
    explain,
    explore,
    export,
    find_lr,
    report,
    runs,
    summary,
    theory,
)

# In the order of `jcnn --help`.
COMMANDS = (
    compare, report, runs, export, explore, diagnose, find_lr, summary, theory, explain, bench, data
)  # fmt: skip
