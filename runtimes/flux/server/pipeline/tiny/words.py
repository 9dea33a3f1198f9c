"""Tokenizers that are made from nothing: one token for each byte or character."""

import string

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer, Qwen2Tokenizer, T5TokenizerFast

CLIP_LENGTH = 77
_QWEN_SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)


def clip_tokenizer() -> CLIPTokenizer:
    """A tokenizer as CLIP has it; the end token has the highest number."""
    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=CLIP_LENGTH)


def t5_tokenizer() -> T5TokenizerFast:
    """A tokenizer as T5 has it."""
    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *string.printable.strip()]
    scores = [(piece, 0.0 if number < len(("<pad>", "</s>", "<unk>")) else -2.0) for number, piece in enumerate(pieces)]
    return T5TokenizerFast(vocab=scores, extra_ids=0, model_max_length=512)


def qwen_tokenizer() -> Qwen2Tokenizer:
    """A tokenizer as Qwen2.5-VL has it."""
    pieces = [*sorted(ByteLevel.alphabet()), *_QWEN_SPECIAL]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return Qwen2Tokenizer(vocab=vocabulary, merges=[], additional_special_tokens=list(_QWEN_SPECIAL))
