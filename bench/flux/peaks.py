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

From NVIDIA's data sheets (H100 and H200 Tensor Core GPU, L40S, L4: half of the figures given with sparsity; A10G: the
one for AWS). A part of a GPU (MIG) has another name, and no row.
"""
