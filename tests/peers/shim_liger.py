"""A plugin of pytest: Liger's own tests find the adapter's class where they look for Liger's.

PYTHONPATH=kernels:tests/peers python -m pytest -p shim_liger test/chunked_loss/test_grpo_loss.py
"""

import liger_kernel.chunked_loss
import liger_kernel.chunked_loss.grpo_loss

from nsrl_kernels.adapters.liger import LigerFusedLinearGRPOLoss

liger_kernel.chunked_loss.LigerFusedLinearGRPOLoss = LigerFusedLinearGRPOLoss
liger_kernel.chunked_loss.grpo_loss.LigerFusedLinearGRPOLoss = LigerFusedLinearGRPOLoss
