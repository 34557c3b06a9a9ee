"""A model in, ONNX files out: as it is and with int8 weights, each compared with the original and timed beside it.

The int8 file has weights of 7 significant bits per output channel and activations that are quantised as they come
(dynamic quantisation): no calibration text is needed, and no sum overflows on CPUs without VNNI instructions.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from wwmcorpus.errors import MissingExtraError
from wwmcorpus.models.compare import Distance, distance, outputs_of
from wwmcorpus.models.latency import Latency, example_batch, summarise, take_turns
from wwmcorpus.training.heads import longest_row

#: Relative distance from the original that is allowed; see ``Distance.relative``.
FP32_TOLERANCE = 1e-4
INT8_TOLERANCE = 0.05
PLAIN_FILE = "model.onnx"
INT8_FILE = "model_int8.onnx"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What became of a model.

    Attributes:
        path: The file.
        size_bytes: Of the file.
        distance: From the original, on sample texts.
        tolerance: What ``distance.relative`` may be.
        latencies: Of the whole model, head included, by batch size.
    """

    path: Path
    size_bytes: int
    distance: Distance
    tolerance: float
    latencies: tuple[Latency, ...]

    def content(self) -> dict[str, Any]:
        """Give plain values, with the file's name."""
        return asdict(self) | {"path": self.path.name}


@dataclass(frozen=True, slots=True)
class OnnxExport:
    """The ONNX files of a model, and the time that the original takes in torch.

    Attributes:
        plain: fp32.
        int8: Weights of 8 bits.
        torch_latencies: By batch size, measured in turns with the files'.
    """

    plain: OnnxFile
    int8: OnnxFile
    torch_latencies: tuple[Latency, ...]


def export_onnx(
    model: PreTrainedModel,
    batch: Mapping[str, Tensor],
    folder: Path,
    int8_tolerance: float = INT8_TOLERANCE,
    batch_sizes: tuple[int, ...] = (1, 32),
    length: int = 128,
    seconds: float = 2.0,
) -> OnnxExport:
    """Write ``model.onnx`` and ``model_int8.onnx``, of any batch size and length.

    Args:
        model: On the CPU, in evaluation mode.
        batch: What the files are compared on, and the inputs that they have: (B, L) int64 by name.
        folder: Where; made if it is not there.
        int8_tolerance: Largest relative distance of the int8 file that is allowed.
        batch_sizes: Rows of the batches that are timed.
        length: Pieces of their rows, or fewer where the model has not so many positions.
        seconds: Time for each batch size, at least.

    Raises:
        MissingExtraError: a package of the extra ``onnx`` is not installed.
        TrainingError: a file does not give what the model gives.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        _module(package)
    folder.mkdir(parents=True, exist_ok=True)
    plain, int8 = folder / PLAIN_FILE, folder / INT8_FILE
    original = outputs_of(model, batch)
    with _quiet():
        _write_plain(model, batch, list(original), plain)
        _write_int8(plain, int8)
    found = {}
    for path, tolerance, setting in ((plain, FP32_TOLERANCE, None), (int8, int8_tolerance, "--int8-tolerance")):
        found[path] = distance(original, run_onnx(path, batch), batch["attention_mask"].numpy())
        found[path].check(path.name, tolerance, setting)
    times = _times(model, {path.name: path for path in (plain, int8)}, batch, batch_sizes, length, seconds)
    plain_file, int8_file = (
        OnnxFile(path, path.stat().st_size, found[path], tolerance, times[path.name])
        for path, tolerance in ((plain, FP32_TOLERANCE), (int8, int8_tolerance))
    )
    return OnnxExport(plain_file, int8_file, times["torch"])


def run_onnx(path: Path, batch: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Give the outputs of an ONNX file for a batch, by name."""
    return _runner(path, batch)()


def _write_plain(model: PreTrainedModel, batch: Mapping[str, Tensor], outputs: list[str], path: Path) -> None:
    longest = longest_row(model.config)
    rows, length = torch.export.Dim("batch"), torch.export.Dim("length", max=longest)
    torch.onnx.export(
        model,
        kwargs={name: tensor[:2, : min(16, longest // 2)] for name, tensor in batch.items()},
        f=path,
        input_names=list(batch),
        output_names=outputs,
        dynamic_shapes={name: {0: rows, 1: length} for name in batch},
        external_data=False,
        dynamo=True,
        verbose=False,
    )


def _write_int8(plain: Path, int8: Path) -> None:
    quantization = _module("onnxruntime.quantization")
    kind = quantization.QuantType.QInt8
    whole = _module("onnx").load(plain)
    # The quantiser turns the weights of a Gemm over, and then stumbles over the shapes that are noted for them.
    del whole.graph.value_info[:]
    quantization.quantize_dynamic(whole, str(int8), weight_type=kind, per_channel=True, reduce_range=True)


def _times(
    model: PreTrainedModel,
    paths: Mapping[str, Path],
    inputs: Mapping[str, Tensor],
    batch_sizes: tuple[int, ...],
    length: int,
    seconds: float,
) -> dict[str, tuple[Latency, ...]]:
    """Time the original, as ``torch``, and the files turn by turn."""
    found: dict[str, list[Latency]] = {name: [] for name in ("torch", *paths)}
    width = min(length, longest_row(model.config, length))
    for batch_size in batch_sizes:
        example = example_batch(model.config.vocab_size, batch_size, width)
        batch = {name: example.get(name, torch.zeros_like(example["input_ids"])) for name in inputs}
        calls = {name: _runner(path, batch) for name, path in paths.items()}
        for name, times in take_turns({"torch": _in_torch(model, batch), **calls}, 5, seconds).items():
            found[name].append(summarise(times, batch_size, width))
    return {name: tuple(times) for name, times in found.items()}


def _in_torch(model: PreTrainedModel, batch: Mapping[str, Tensor]) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return model(**batch)

    return run


def _runner(path: Path, batch: Mapping[str, Tensor]) -> Callable[[], dict[str, NDArray[np.float32]]]:
    """Open a file for as many threads as torch has, and give what runs it on a batch."""
    runtime = _module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = {each.name: batch[each.name].numpy() for each in session.get_inputs()}

    def run() -> dict[str, NDArray[np.float32]]:
        return dict(zip(names, session.run(None, feed), strict=True))

    return run


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError.of(name.partition(".")[0], "onnx", "--onnx") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the exporter says of its own parts; what comes out is compared with the original anyway."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
