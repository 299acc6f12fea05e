"""Which number format matrix products use."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 matrix products where the device is fast at them (GPUs, CPUs with AVX512-BF16)."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()  # such as the meta device, which computes nothing
    return torch.autocast(device.type, torch.bfloat16, enabled=is_reduced(device))


def is_reduced(device: torch.device) -> bool:
    """Whether products are made in bfloat16 there."""
    return device.type != "cpu" or _cpu_has_bf16()


@cache
def _cpu_has_bf16() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and "avx512_bf16" in cpuinfo.read_text()
