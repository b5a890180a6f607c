"""The paper's question as an experiment: arms, from their context to cold start and GRPO, over seeds, to one table."""
