"""The Qwen-VL families share what is here: patches and their pictures, rotary positions on three axes, processor files,
faults."""
