"""How fast GPUs can be at most."""

from collections.abc import Mapping

BF16_TFLOPS: Mapping[str, float] = {
    "NVIDIA H200": 989.5,
    "NVIDIA H100 80GB HBM3": 989.5,
    "NVIDIA H100 PCIe": 756.5,
    "NVIDIA L40S": 362.05,
    "NVIDIA A10G": 70,
    "NVIDIA L4": 121,
}
"""10¹² operations a second of dense matrix products in bfloat16, by the name that torch gives a GPU.

From NVIDIA's data sheets. Those of the H100 (SXM, PCIe), the H200 (SXM) and the L4 print the figure with sparsity:
1979, 1513, 1979 and 242; this is half of it. That of the L40S prints both, 362.05 and 733. That of the A10G for AWS
(17 February 2022) has 70, and 140 with sparsity; the 125 often quoted for it is the A10's, another card.
A part of a GPU (MIG) has another name, and no row.
"""
