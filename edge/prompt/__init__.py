"""Make prompts: text, pictures and videos in, token ids, positions and patches out."""

from edge.prompt.build import Prompt, PromptOptions, check_length
from edge.prompt.positions import Span
from edge.prompt.prepare import Media
from edge.prompt.processor import Processor
from edge.prompt.tokenizer import Tokenizer

__all__ = ["Media", "Processor", "Prompt", "PromptOptions", "Span", "Tokenizer", "check_length"]
