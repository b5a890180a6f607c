"""nsrl trains vision-language models with GRPO to think in short programs."""

__version__ = "0.1.0"
