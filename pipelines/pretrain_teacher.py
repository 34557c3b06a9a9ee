"""Recipe: corpus -> teacher, by masked language modelling. ``python pipelines/pretrain_teacher.py [--config FILE]``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import PretrainConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Pretrain the model that the configuration describes."""
    config = read_arguments(PretrainConfig, Path(__file__).parent / "configs" / "pretrain_teacher.toml", arguments)
    print(jobs.pretrain(config).summary())


if __name__ == "__main__":
    run(main)
