"""What every command takes on how it speaks."""

import argparse


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet` and `--json`."""
    parser.add_argument(
        "--quiet", action="store_true", help="no progress and no remarks, only what was asked for"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object or list, alone")
