"""Recipe: corpus and teacher -> assistant -> student. ``python pipelines/distill_two_stage.py [--config FILE]``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import TwoStageConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Distil assistant and student that the configuration describes."""
    config = read_arguments(
        TwoStageConfig, Path(__file__).parent / "configs" / "two_stage_minirbt_h256.toml", arguments
    )
    print(jobs.two_stage(config).summary())


if __name__ == "__main__":
    run(main)
