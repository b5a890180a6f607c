"""The GRPO-family objective: per-token vectors in, loss, gradient and metrics out. Knows nothing of models."""
