"""The command line."""

from jcnn.cli.main import main as main
