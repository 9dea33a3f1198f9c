"""Reading of a model's parts, one after the other, each straight to its device."""

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline, ModelMixin
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2VLProcessor

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.pipeline.place import Place
from runtimes.flux.server.pipeline.quantization import quantized
from runtimes.flux.server.pipeline.still import StillProcessor
from runtimes.flux.server.ports import RefusedError

_LIBRARIES = {"diffusers": diffusers, "transformers": transformers}


def read_pipeline(folder: Path, index: dict[str, Any], options: ModelOptions, place: Place) -> DiffusionPipeline:
    """Read a model. Files are read whole and not mapped: mapped pages of a network mount come one by one.

    Main memory holds one part at a time, and of the file that is being read a second copy.

    Raises:
        RefusedError: A part is missing or cannot be read.
    """
    parts = {}
    for name, made in _declared(folder, index).items():
        if issubclass(made, ModelMixin | PreTrainedModel):
            parts[name] = _read(made, folder / name, options, place)
        elif made is Qwen2VLProcessor:
            parts[name] = StillProcessor.from_pretrained(folder / name)
    try:
        return DiffusionPipeline.from_pretrained(folder, dtype=getattr(torch, options.dtype), **parts)
    except (OSError, ValueError, ImportError) as exc:
        raise RefusedError(f"{folder.name} cannot be put together: {_first_line(exc)}") from exc


def _declared(folder: Path, index: dict[str, Any]) -> dict[str, Any]:
    """The classes of the parts that a model says it has.

    Raises:
        RefusedError: One is not there, or of no known class.
    """
    classes = {}
    for name, value in index.items():
        if not isinstance(value, list) or not value[0]:
            continue
        library, class_name = value
        made = getattr(_LIBRARIES.get(library), class_name, None)
        if not isinstance(made, type):
            raise RefusedError(f"part {name} of {folder.name} is a {class_name} of {library}, which is not known here")
        if not _is_there(folder / name, made):
            raise RefusedError(f"part {name} of {folder.name} is missing")
        classes[name] = made
    return classes


def _is_there(part: Path, made: Any) -> bool:
    """Whether a part has its files. Of a tokenizer without any, transformers makes one that knows no words."""
    if issubclass(made, PreTrainedTokenizerBase):
        return any((part / file).is_file() for file in made.vocab_files_names.values())
    return part.is_dir()


def _read(made: Any, part: Path, options: ModelOptions, place: Place) -> Any:
    """Read one part; one that waits in main memory is quantized on the GPU first, which alone can do it."""
    fewer_bits = quantized(made, part.name, options)
    waits = options.offload != "none"
    try:
        read = made.from_pretrained(
            part,
            dtype=getattr(torch, options.dtype),
            device_map={"": "cpu" if waits and not fewer_bits else str(place.device)},
            use_safetensors=True,
            disable_mmap=True,
            **fewer_bits,
        )
        return read.to("cpu") if waits and fewer_bits else read
    except (OSError, ValueError, RuntimeError, ImportError) as exc:
        raise RefusedError(f"part {part.name} of {part.parent.name} cannot be read: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0]
