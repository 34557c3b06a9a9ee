"""A folder in LTP's neural format in, the parts that find words out: backbone, head, tags, tokenizer.

The folder holds config.json (``"nerual": true``, ``model``, ``vocabs``), pytorch_model.bin or model.safetensors, and
vocab.txt or tokenizer.json. ``model`` names Python callables under ``_ltp_target_``. LTP calls whatever it finds there;
here only the names in the tables below are known, for even the functions of ltp_core would call anything they are told.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wwmcorpus.errors import ConfigError, SegmenterError
from wwmcorpus.segment.ltp import read_ltp_config

_TARGET = "_ltp_target_"
_MODULE = "ltp_core.models.ltp_model.LTPModule"
_BACKBONES = (
    "ltp_core.models.utils.load_transformers",
    "ltp_core.models.utils.transformer.load_transformers",
    "transformers.AutoModel.from_config",
)
_WORD_PROCESSORS = ("ltp_core.models.processor.TokenOnly",)
_WORD_HEADS = tuple(
    f"ltp_core.models.components.token.{name}" for name in ("MLPTokenClassifier", "RelTransformerTokenClassifier")
)
#: Parts of other tasks: they may be named, and are never built.
_OTHER_TASKS = (
    *(f"ltp_core.models.processor.{name}" for name in ("NOP", "WordsOnly", "ClsOnly", "WordsWithHead")),
    "ltp_core.models.components.token.BiaffineTokenClassifier",
    "ltp_core.models.components.graph.BiaffineClassifier",
    "ltp_core.models.components.sent.MLPClassifier",
)
_KNOWN = (_MODULE, *_BACKBONES, *_WORD_PROCESSORS, *_WORD_HEADS, *_OTHER_TASKS, "transformers.AutoConfig.for_model")
#: What a backbone's configuration could use to bring code along, or to choose how rather than what is computed.
_NOT_ARCHITECTURE = frozenset(
    ("auto_map", "attn_implementation", "experts_implementation", "quantization_config", "use_kernels", "dtype")
)
#: For each kind of device, what it computes in.
_PRECISIONS = {"cpu": ("fp32", "bf16", "int8"), "cuda": ("fp32", "bf16", "fp16")}
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json")
#: LTP's tags where config.json names none.
_DEFAULT_TAGS = ["I-W", "B-W"]


@dataclass(frozen=True, slots=True)
class LtpCheckpoint:
    """The parts of an LTP model that find words.

    Attributes:
        model: ltp_core's LTPModule with the word head only, in evaluation mode, float32, on the CPU.
        tokenizer: The ``tokenizers.Tokenizer`` of the model, without truncation and padding.
        cls_id: Id of the piece that opens a window.
        sep_id: Id of the piece that closes it.
        pad_id: Id of the piece that fills rows up.
        tags: The name of each class of the head, such as ``B-W``.
        window_pieces: How many pieces of text the model reads at once: 510, or fewer where it has fewer positions.
        digest: Eight hexadecimal digits of the hash of weights, config.json and tokenizer files.
    """

    model: Any
    tokenizer: Any
    cls_id: int
    sep_id: int
    pad_id: int
    tags: tuple[str, ...]
    window_pieces: int
    digest: str


def load_checkpoint(folder: Path) -> LtpCheckpoint:
    """Read a folder in LTP's neural format.

    Raises:
        SegmenterError: a file is missing, damaged or of another model, or config.json names a foreign callable.
    """
    config = read_ltp_config(folder)
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    described = config.get("model")
    if not isinstance(described, dict):
        raise _broken(folder, "config.json describes no model")
    for target in _targets(described):
        if target not in _KNOWN:
            raise SegmenterError(
                "config.json names a callable that is no part of an LTP model",
                value=target,
                where=str(folder / "config.json"),
                fix="Use it only if you trust it, and then rewrite it with ltp_core's own modules.",
            )
    if weights is None:
        raise _broken(folder, f"there is neither {' nor '.join(_WEIGHTS)}")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES[:2]):
        raise _broken(folder, "there is neither tokenizer.json nor vocab.txt")
    try:
        model: Any = _build(described)
        _load_weights(model, weights)
        tags = _word_tags(config, described)
        tokenizer, special_ids = _load_tokenizer(folder, model.backbone.config)
        window_pieces = _window_pieces(model.backbone.config)
    except Exception as error:  # files of strangers fail in any way there is
        raise _broken(folder, f"{type(error).__name__}: {error}".partition("\n")[0]) from error
    digest = _digest(folder, (weights.name, "config.json", *_TOKENIZER_FILES))
    return LtpCheckpoint(model, tokenizer, *special_ids, tags, window_pieces, digest)


def _broken(folder: Path, problem: str) -> SegmenterError:
    return SegmenterError(
        f"a neural LTP model that does not load: {problem}",
        value=str(folder),
        fix="Take the folder of a released LTP model, whole.",
    )


def _targets(node: object) -> Iterator[object]:
    """Give every callable that a configuration names, wherever it stands."""
    if isinstance(node, dict):
        if _TARGET in node:
            yield node[_TARGET]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _build(described: dict[str, Any]) -> nn.Module:
    """Build the backbone and the word head; the heads of other tasks stay away."""
    backbone = _call(described["backbone"], _BACKBONES, "backbone")
    processor = _call(described["processor"]["cws"], _WORD_PROCESSORS, "processor.cws")
    head = _call(described["heads"]["cws"], _WORD_HEADS, "heads.cws")
    module = _find(_MODULE)(backbone=backbone, processor={"cws": processor}, heads={"cws": head})
    assert isinstance(module, nn.Module)
    return module.float().eval()


def _call(node: dict[str, Any], known: tuple[str, ...], where: str) -> nn.Module:
    target = node[_TARGET]
    if target not in known:
        raise ValueError(f"model.{where} is {target}")
    arguments = {key: value for key, value in node.items() if not key.startswith("_ltp_")}
    if target in _BACKBONES:
        arguments = {"config": _architecture(arguments["config"])}
        target = _BACKBONES[0]
    if any(True for _ in _targets(arguments)):
        raise ValueError(f"model.{where} has callables for arguments")
    built = _find(target)(**arguments)
    assert isinstance(built, nn.Module)
    return built


def _architecture(config: dict[str, Any]) -> dict[str, Any]:
    """Give what of a backbone's configuration says how it is built: model_type and sizes."""
    return {
        key: value
        for key, value in config.items()
        if not key.startswith("_") and key not in _NOT_ARCHITECTURE and key != "torch_dtype"
    }


def _find(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _load_weights(model: nn.Module, path: Path) -> None:
    """Fill the model; weights of other tasks are left in the file, weights that are missing are an error."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    missing = [name for name in model.load_state_dict(state, strict=False).missing_keys if ".pooler." not in name]
    if missing:
        raise ValueError(f"{path.name} lacks {missing[0]} and {len(missing) - 1} more")


def _word_tags(config: dict[str, Any], described: dict[str, Any]) -> tuple[str, ...]:
    tags = config.get("vocabs", {}).get("cws", _DEFAULT_TAGS)
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        raise ValueError("vocabs.cws is no list of tags")
    if len(tags) < described["heads"]["cws"]["num_labels"]:
        raise ValueError(f"vocabs.cws names {len(tags)} tags, the head has more classes")
    return tuple(tags)


def _window_pieces(config: Any) -> int:
    """Give how many pieces fit between [CLS] and [SEP]; LTP never reads more than 512 in all."""
    num_positions = min(512, getattr(config, "max_position_embeddings", 512))
    if num_positions < 16:
        raise ValueError(f"the backbone has {num_positions} positions")
    return num_positions - 2


def _load_tokenizer(folder: Path, config: Any) -> tuple[Any, tuple[int, int, int]]:
    """Give the tokenizer as LTP loads it, and the ids of [CLS], [SEP] and [PAD]."""
    from transformers import AutoTokenizer

    wrapped = AutoTokenizer.from_pretrained(
        str(folder), config=config, use_fast=True, trust_remote_code=False, local_files_only=True
    )
    special_ids = (wrapped.cls_token_id, wrapped.sep_token_id, wrapped.pad_token_id)
    if None in special_ids:
        raise ValueError("the tokenizer lacks [CLS], [SEP] or [PAD]")
    tokenizer = wrapped.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if tokenizer.get_vocab_size() > config.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.get_vocab_size()} pieces, the backbone {config.vocab_size}")
    return tokenizer, special_ids


def _digest(folder: Path, names: tuple[str, ...]) -> str:
    whole = hashlib.sha256()
    for name in sorted(names):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                whole.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()[:8]


def choose_device(name: str) -> torch.device:
    """Give the device of a name: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is no such name, or no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError("unknown device", value=name, where="device", fix="Choose one of: auto, cpu, cuda.")
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise ConfigError("torch finds no GPU", value=name, where="device", fix="Take auto or cpu, or install CUDA.")
    return torch.device("cuda" if name != "cpu" and has_gpu else "cpu")


def device_class(device: torch.device) -> str:
    """Give what kind of device it is, for signatures: ``"cpu"`` or a GPU's generation, ``"cuda-sm90"``."""
    if device.type == "cpu":
        return "cpu"
    major, minor = torch.cuda.get_device_capability(device)
    return f"cuda-sm{major}{minor}"


def check_options(device: torch.device, precision: str, num_threads: int, compiled: bool) -> None:
    """Raise ConfigError for options that do not exist, or not on this device."""
    if precision not in _PRECISIONS[device.type]:
        raise ConfigError(
            f"no such precision on {device.type}",
            value=precision,
            where="precision",
            fix="Choose fp32 or bf16, int8 on a CPU, or fp16 on a GPU.",
        )
    if compiled and device.type == "cpu":
        raise ConfigError("compiled runs on a GPU only", where="compiled", fix="Leave it out.")
    if num_threads < 1:
        raise ConfigError("too few threads", value=num_threads, where="num_threads", fix="Give 1 or more.")


def place_model(model: Any, device: torch.device, precision: str, compiled: bool) -> Any:
    """Bring a model to its device, in its precision."""
    if precision == "int8":
        quantize: Any = torch.ao.quantization.quantize_dynamic
        return quantize(model, {torch.nn.Linear}, dtype=torch.qint8)
    model = model.to(device)
    if compiled:
        model.backbone.compile(dynamic=True)
    return model
