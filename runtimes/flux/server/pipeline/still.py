"""Qwen2.5-VL's processor for text and pictures alone."""

from typing import Any

from transformers import PreTrainedTokenizerBase, ProcessorMixin, Qwen2VLProcessor


class StillProcessor(Qwen2VLProcessor):  # type: ignore[misc]
    """Reads no films, so that torchvision is not needed.

    Args:
        image_processor: Cuts pictures into patches.
        tokenizer: Cuts text into tokens.
        chat_template: As the original takes it.
    """

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
