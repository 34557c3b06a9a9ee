"""Recipe: text files -> corpus. ``python pipelines/build_corpus.py [--config FILE] [--set a.b=value]``."""

from pathlib import Path

from recipe import read_arguments, run

from wwmcorpus import BuildConfig, jobs


def main(arguments: list[str] | None = None) -> None:
    """Build the corpus that the configuration describes."""
    config = read_arguments(BuildConfig, Path(__file__).parent / "configs" / "build_sample.toml", arguments)
    for split, manifest in jobs.build(config).items():
        print(f"{split}: {manifest.num_rows} rows, fingerprint {manifest.fingerprint}")


if __name__ == "__main__":
    run(main)
