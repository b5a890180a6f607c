"""A token's log-prob under a linear head, without the logits. Knows nothing of losses or models."""
