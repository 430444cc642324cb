"""The command line: `jcnn compare | data`."""

from jcnn.cli.main import main as main
