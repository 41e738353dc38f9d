"""Make prompts: text, pictures and videos in, token ids, positions and patches out."""

from edge.prompt.build import Prompt, PromptOptions, check_length
from edge.prompt.media.prepare import Media
from edge.prompt.positions import Span
from edge.prompt.processor import Processor
from edge.prompt.text.tokenizer import Tokenizer

__all__ = ["Media", "Processor", "Prompt", "PromptOptions", "Span", "Tokenizer", "check_length"]
