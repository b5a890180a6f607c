"""Vision-token packing: see op.py."""
