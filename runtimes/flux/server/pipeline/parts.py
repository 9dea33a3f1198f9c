"""Reads a model's parts one by one, each straight to its device."""

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline, ModelMixin
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin, Qwen2VLProcessor

from runtimes.flux.options import ModelOptions
from runtimes.flux.server.errors import PipelineRefusedError
from runtimes.flux.server.pipeline.device import ModelDevice

_LIBRARIES = {"diffusers": diffusers, "transformers": transformers}
_NEVER_QUANTIZED = ("vae", "image_encoder")
"""Small parts, for which quantization loses more than it saves."""


def read_pipeline(folder: Path, index: dict[str, Any], options: ModelOptions, device: ModelDevice) -> DiffusionPipeline:
    """Read a model. Files are read whole, not mapped, because a network mount delivers mapped pages one by one.

    Main memory holds one part at a time, plus a copy of the file being read.

    Raises:
        PipelineRefusedError: A part is missing or cannot be read.
    """
    parts = {}
    for name, made in _declared(folder, index).items():
        if issubclass(made, ModelMixin | PreTrainedModel):
            parts[name] = _read(made, folder / name, options, device)
        elif made is Qwen2VLProcessor:
            parts[name] = TextAndImageProcessor.from_pretrained(folder / name)
    try:
        return DiffusionPipeline.from_pretrained(folder, dtype=getattr(torch, options.dtype), **parts)
    except (OSError, ValueError, ImportError) as exc:
        raise PipelineRefusedError(f"{folder.name} cannot be put together: {_first_line(exc)}") from exc


def _declared(folder: Path, index: dict[str, Any]) -> dict[str, Any]:
    """The classes of a model's parts; raises PipelineRefusedError if one is unknown or missing."""
    classes = {}
    for name, value in index.items():
        if not isinstance(value, list) or not value[0]:
            continue
        library, class_name = value
        made = getattr(_LIBRARIES.get(library), class_name, None)
        if not isinstance(made, type):
            raise PipelineRefusedError(
                f"part {name} of {folder.name} is a {class_name} of {library}, which is not known here"
            )
        if not _is_there(folder / name, made):
            raise PipelineRefusedError(f"part {name} of {folder.name} is missing")
        classes[name] = made
    return classes


def _is_there(part: Path, made: Any) -> bool:
    """Whether a part has files. For a tokenizer without files, transformers would make one that knows no words."""
    if issubclass(made, PreTrainedTokenizerBase):
        return any((part / file).is_file() for file in made.vocab_files_names.values())
    return part.is_dir()


def _read(made: Any, part: Path, options: ModelOptions, device: ModelDevice) -> Any:
    """Read one part; an offloaded part is first quantized on the GPU, because the CPU cannot do it."""
    fewer_bits = quantized(made, part.name, options)
    waits = options.offload != "none"
    try:
        read = made.from_pretrained(
            part,
            dtype=getattr(torch, options.dtype),
            device_map={"": "cpu" if waits and not fewer_bits else str(device.torch_device)},
            use_safetensors=True,
            disable_mmap=True,
            **fewer_bits,
        )
        return read.to("cpu") if waits and fewer_bits else read
    except (OSError, ValueError, RuntimeError, ImportError) as exc:
        raise PipelineRefusedError(
            f"part {part.name} of {part.parent.name} cannot be read: {_first_line(exc)}"
        ) from exc


def _first_line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0]


def quantized(made: type, name: str, options: ModelOptions) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` that quantize a part of class ``made`` while it is read."""
    if options.quantization == "none" or name in _NEVER_QUANTIZED:
        return {}
    library = diffusers if issubclass(made, ModelMixin) else transformers
    if options.quantization == "8bit":
        return {"quantization_config": library.BitsAndBytesConfig(load_in_8bit=True)}
    config = library.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=getattr(torch, options.dtype)
    )
    return {"quantization_config": config}


class TextAndImageProcessor(Qwen2VLProcessor):  # type: ignore[misc]
    """Qwen2.5-VL's processor without video, so that torchvision is not needed."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        chat_template: str | None = None,
    ) -> None:
        if tokenizer is None:
            raise ValueError("needs a tokenizer")
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([self.image_token, self.video_token])
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
