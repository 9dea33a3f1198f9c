"""Tells where a model stops reading a text."""

from diffusers import DiffusionPipeline
from transformers import PreTrainedTokenizerBase

from runtimes.flux.families import EDIT
from runtimes.flux.server.pipeline.recipes import Recipe
from runtimes.flux.server.ports import Order

_LAST_CHARACTERS = 60


def cuts(pipe: DiffusionPipeline, recipe: Recipe, order: Order) -> list[str]:
    """Say which texts of an order are longer than the model reads, and where each is cut; nothing where none is."""
    tokenizer = getattr(pipe, recipe.tokenizer, None) if recipe.tokenizer else None
    if tokenizer is None:
        return []
    most = order.sequence_length or tokenizer.model_max_length
    texts = {
        "instructions" if order.task_type == EDIT else "prompt": order.prompt,
        "negative_prompt": order.negative_prompt or "",
    }
    return [cut for field, text in texts.items() if (cut := _cut(tokenizer, field, text, most))]


def _cut(tokenizer: PreTrainedTokenizerBase, field: str, text: str, most: int) -> str | None:
    tokens = tokenizer(text).input_ids
    if len(tokens) <= most:
        return None
    read = str(tokenizer.decode(tokens[: most - 1], skip_special_tokens=True))
    last = read[-_LAST_CHARACTERS:].partition(" ")[2].strip() or read[-_LAST_CHARACTERS:]
    return f'{field} is cut: it has {len(tokens)} tokens, and this model reads {most}, up to "{last}"'
