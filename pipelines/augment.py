"""Recipe: a task's examples -> variants of them, with other words. ``python pipelines/augment.py [--config FILE]``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import jobs
from wwmcorpus.tasks.augment import AugmentConfig


def main(arguments: list[str] | None = None) -> None:
    """Write variants of the examples that the configuration names."""
    config = read_arguments(AugmentConfig, Path(__file__).parent / "configs" / "augment_sentiment.toml", arguments)
    print(*jobs.augment(config).lines(), sep="\n")


if __name__ == "__main__":
    run(main)
