# SPDX-License-Identifier: Apache-2.0
"""A depthwise convolution whose backward pass is quick on a CPU in bf16.

oneDNN has no bf16 kernel for the gradients of a depthwise convolution: three quarters of a
training step went there. The input's gradient is a convolution with the turned kernel, which
has one; the weights' comes from `depthwise.cpp`, built on first use, or else in fp32.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_SOURCE = Path(__file__).with_name("depthwise.cpp")
_FLAGS = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """Build and load the kernel; None without a compiler or without AVX-512."""
    mark = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"incamera-depthwise-{mark}.so"
    try:
        if not built.exists():
            part = built.with_suffix(".part")
            command = ["g++", *_FLAGS, str(_SOURCE), "-o", str(part)]
            subprocess.run(command, check=True, capture_output=True)
            part.replace(built)
        return ctypes.CDLL(str(built))
    except (OSError, subprocess.CalledProcessError):
        return None


def _weight_gradient(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient of a 5x5 depthwise convolution's weights."""
    library = _library()
    groups = weight.shape[0]
    if library is None or groups % 16 or weight.shape[-1] != 5:
        return _plain(x, grad, weight, stride, [False, True, False])[1]
    x = x.contiguous(memory_format=torch.channels_last)
    grad = grad.contiguous(memory_format=torch.channels_last)
    sums = torch.empty(x.shape[0], 25, groups)
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in (x, grad, sums)]
    library.weight_gradient(
        *pointers,
        x.shape[0],
        *x.shape[2:],
        *grad.shape[2:],
        groups,
        stride,
        torch.get_num_threads(),
    )
    return sums.sum(0).t().reshape(groups, 1, 5, 5)


def _plain(x: Tensor, grad: Tensor, weight: Tensor, stride: int, mask: list[bool]) -> Any:
    """Return PyTorch's own gradients, in fp32, where they are quicker than in bf16."""
    pad, groups = weight.shape[-1] // 2, weight.shape[0]
    return torch.ops.aten.convolution_backward(
        grad.float(),
        x.float(),
        weight,
        None,
        [stride] * 2,
        [pad] * 2,
        [1, 1],
        False,
        [0, 0],
        groups,
        mask,
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:  # type: ignore[override]
        x, w = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return torch.conv2d(x, w, None, stride, weight.shape[-1] // 2, 1, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        if ctx.stride == 1:
            turned = weight.flip(2, 3).to(grad.dtype)
            pad, groups = weight.shape[-1] // 2, weight.shape[0]
            grad_x = torch.conv2d(grad, turned, None, 1, pad, 1, groups)
        else:
            grad_x = _plain(x, grad, weight, ctx.stride, [True, False, False])[0].to(grad.dtype)
        return grad_x, _weight_gradient(x, grad, weight, ctx.stride), None


class DepthwiseConv(nn.Conv2d):
    """Drop-in for a depthwise nn.Conv2d; plain convolution outside bf16 training."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        if self.training and torch.is_autocast_enabled("cpu"):
            out: Tensor = _Depthwise.apply(x, self.weight, self.stride[0])  # type: ignore[no-untyped-call]
            return out
        return super().forward(x)
