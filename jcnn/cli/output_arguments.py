"""The arguments that every command takes for its output."""

import argparse


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet` and `--json`."""
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON and nothing else"
    )
