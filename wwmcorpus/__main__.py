"""``python -m wwmcorpus`` and ``torchrun -m wwmcorpus``."""

from wwmcorpus.cli import main

if __name__ == "__main__":
    main()
