"""Examples of a task in, variants of them out: whole words replaced by what a model or vectors put in their place.

    texts -> words -> fill, vectors (candidates) -> variants -> chunk (in a worker) -> job

Source: Jiao et al., arXiv:1909.10351 (TinyBERT), section 3.2 and its script, which replace English words only.
"""

from wwmcorpus.tasks.augment.settings import AugmentConfig

__all__ = ["AugmentConfig"]
