"""The command line: `jcnn compare | bench | data`."""

from jcnn.cli.main import main as main
