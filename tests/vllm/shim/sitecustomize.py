"""On the path of `make test-vllm` alone: torchvision's CUDA wheel cannot load its library on a machine without CUDA,
and
then its Python half fails to import because two operators were never defined. vLLM needs neither of them."""

import torch

KEEP = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    KEEP.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
