"""Recipe: corpus and teacher -> student, in one stage. ``python pipelines/distill_student.py [--config FILE]``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import DistillConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Distil the student that the configuration describes."""
    config = read_arguments(DistillConfig, Path(__file__).parent / "configs" / "distill_minirbt_h256.toml", arguments)
    print(jobs.distill(config).summary())


if __name__ == "__main__":
    run(main)
