"""What the Qwen-VL families share: patches and their pictures, rotary positions on three axes, processor files,
faults."""
