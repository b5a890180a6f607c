"""The three ops composed for the common case. Knows nothing of models."""
