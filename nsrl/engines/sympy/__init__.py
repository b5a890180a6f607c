"""The SymPy engine: short Python programs over SymPy, read against a list of names and run in a forked child."""
