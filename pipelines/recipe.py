"""What the recipes share: a configuration file and overrides from the command line, and how errors are told."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from wwmcorpus.config import C, load_config
from wwmcorpus.errors import WwmcorpusError


def read_arguments(kind: type[C], default: Path, arguments: Sequence[str] | None = None) -> C:
    """Give the configuration that ``--config FILE`` and ``--set a.b=value`` describe.

    Args:
        kind: The configuration class of the job.
        default: The file that is read where ``--config`` is not given.
        arguments: As on the command line; None reads those of the process.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=default, help=f"TOML file (default: {default.name})")
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=value", help="override one value; repeatable"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return load_config(kind, given.config, given.set)


def run(main: Callable[[], None]) -> None:
    """Run a recipe. An error of the package is a message and an exit status, as on the command line of the package."""
    try:
        main()
    except WwmcorpusError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
