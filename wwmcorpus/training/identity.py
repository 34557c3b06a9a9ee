"""What a run is and where it runs, in; whether another may go on from its checkpoint, out.

A difference in what decides the result is an error that prints both sides. A difference in what only decides the last
bits, such as the number of threads, is a warning.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from wwmcorpus import __version__
from wwmcorpus.errors import ConfigError, differences

_log = logging.getLogger(__name__)


def environment(device: torch.device, num_ranks: int) -> dict[str, Any]:
    """Give what the exactness of a resumed run depends on beside its configuration."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "machine": platform.machine(),
        "num_ranks": num_ranks,
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "wwmcorpus": __version__,
    }


def check_identity(saved: Mapping[str, Any], own: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError when two identities differ, with both sides of each difference."""
    found = list(differences(saved, own))
    if found:
        raise ConfigError(
            "the checkpoint is of another run: " + "; ".join(found),
            where=where,
            fix="Take the settings that the run began with, or name another output.",
        )


def warn_of_environment(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Log each difference of two environments."""
    for difference in differences(saved, own):
        _log.warning("resumed elsewhere, so the last bits may differ: %s", difference)
