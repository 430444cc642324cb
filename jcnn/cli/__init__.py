"""The command line: `commands` holds one module per command, the other modules are shared."""

from jcnn.cli.main import main as main
