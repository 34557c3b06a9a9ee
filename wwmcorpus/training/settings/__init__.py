"""What a training run can be told: TOML or keyword arguments in, frozen sections out. Imports no torch.

Every number has its unit and range beside it. Where a default differs from MiniRBT's recipe, the field says so.
"""

from wwmcorpus.training.settings.loop import Optimiser, Training
from wwmcorpus.training.settings.losses import DistillLosses, LayerMatch, TemperatureSchedule, WeightSchedule
from wwmcorpus.training.settings.runs import DistillConfig, PretrainConfig, Stage, TwoStageConfig
from wwmcorpus.training.settings.shapes import Initialisation, Student, StudentShape

__all__ = [
    "DistillConfig",
    "DistillLosses",
    "Initialisation",
    "LayerMatch",
    "Optimiser",
    "PretrainConfig",
    "Stage",
    "Student",
    "StudentShape",
    "TemperatureSchedule",
    "Training",
    "TwoStageConfig",
    "WeightSchedule",
]
