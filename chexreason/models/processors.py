"""Processors that need no torchvision.

`Qwen2_5_VLProcessor` insists on a video processor, and that one imports torchvision. We show films,
never videos, so the subclass below takes an image processor and a tokenizer only. Everything else
is inherited. The Gemma processor works as it is.
"""

from transformers import Qwen2_5_VLProcessor
from transformers.processing_utils import ProcessorMixin


class QwenFilmProcessor(Qwen2_5_VLProcessor):
    """`Qwen2_5_VLProcessor` for still images: same text, same image tokens, no video processor."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs):
        self.image_token = "<|image_pad|>"
        self.video_token = "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        # The parent's __init__ would ask for the video processor; the grandparent's does not.
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    @property
    def model_input_names(self):
        """Names of the tensors that a call returns."""
        return [*ProcessorMixin.model_input_names.fget(self), "mm_token_type_ids"]
