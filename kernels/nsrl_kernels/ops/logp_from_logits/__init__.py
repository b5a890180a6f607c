"""A token's log-prob from logits somebody already holds. Knows nothing of heads or losses."""
