"""What one of several test processes runs, because its tests share fixtures and programs."""

import re
from pathlib import PurePosixPath

# Folders whose files share a fixture that takes long to make.
TOGETHER = ("explore", "report")


def run_together(nodeid):
    """Name what one process runs: a file, a folder in `TOGETHER`, or a package's examples."""
    path, _, name = nodeid.partition("::")
    example = re.match(r"test_docstring_examples_run\[jcnn\.(\w+)", name)
    if example:
        return f"{path}::{example[1]}"
    folder = PurePosixPath(path).parent
    return str(folder) if folder.name in TOGETHER else path
