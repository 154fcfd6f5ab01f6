"""A pytest plugin that lets Unsloth's own GPU code run on a CPU; load it first: ``-p tests.unsloth.fake_gpu``.

Unsloth imports without a GPU under its test switch ``UNSLOTH_ALLOW_CPU``, and Triton's interpreter runs its kernels.
This module answers its questions about a device, and keeps tensors on the CPU that it sends to one. Not reached are
xformers, flash-attention, torch.compile, the memory of a GPU, bfloat16 and bitsandbytes' kernels for CUDA.
"""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

os.environ |= {
    "UNSLOTH_ALLOW_CPU": "1", "TRITON_INTERPRET": "1", "UNSLOTH_COMPILE_DISABLE": "1",
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
}  # fmt: skip

import pytest
import torch
from torch.overrides import TorchFunctionMode

CAPABILITY = (8, 9)
MEMORY = 24 * 2**30
NAME = "a GPU that isn't there"
PROPERTIES = SimpleNamespace(
    name=NAME, total_memory=MEMORY, major=CAPABILITY[0], minor=CAPABILITY[1], multi_processor_count=100,
    shared_memory_per_block_optin=100 * 1024, gcnArchName="", L2_cache_size=2**20, warp_size=32,
)  # fmt: skip


class _Nothing:
    """A stream or an event: everything is done when it is asked."""

    cuda_stream = 0
    device = torch.device("cpu")

    def __init__(self, *args: Any, **options: Any) -> None: ...

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *args: Any) -> None: ...

    def wait_stream(self, *args: Any) -> None: ...

    def wait_event(self, *args: Any) -> None: ...

    def synchronize(self) -> None: ...

    def record(self, *args: Any) -> None: ...

    def record_event(self, *args: Any) -> _Nothing:
        return _Nothing()

    def query(self) -> bool:
        return True


def _answer_for_a_device() -> None:
    answers: dict[str, Any] = {
        "get_device_capability": CAPABILITY, "get_device_properties": PROPERTIES, "get_device_name": NAME,
        "current_device": 0, "empty_cache": None, "synchronize": None, "mem_get_info": (MEMORY, MEMORY),
        "memory_allocated": 0, "memory_reserved": 0, "max_memory_reserved": 0,
    }  # fmt: skip
    for name, value in answers.items():
        setattr(torch.cuda, name, lambda *args, _value=value, **options: _value)
    for name in ("Stream", "Event", "current_stream", "default_stream"):
        setattr(torch.cuda, name, _Nothing)
    setattr(torch.cuda, "stream", lambda stream: stream)  # noqa: B010 - not of the type that it is declared with


def _on_cpu(device: Any) -> Any:
    on_gpu = (
        (isinstance(device, torch.device) and device.type == "cuda")
        or (isinstance(device, int) and not isinstance(device, bool))
        or (isinstance(device, str) and device.startswith("cuda"))
    )
    return torch.device("cpu") if on_gpu else device


class _StayOnCpu(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        options.pop("pin_memory", None)
        if "device" in options:
            options["device"] = _on_cpu(options["device"])
        name = getattr(func, "__name__", "")
        if name in ("pin_memory", "cuda"):
            return args[0]
        if name == "to":
            args = (args[0], *map(_on_cpu, args[1:]))
        return func(*args, **options)


def _build_rope(rotary: Any, device_index: int) -> None:
    size = rotary.current_rope_size
    with rotary._rope_build_mode():
        device, dtype = torch.device("cpu", 0), rotary._rope_cache_dtype
        rotary._set_cos_sin_cache(seq_len=rotary._rope_cache_rows(), device=device, dtype=dtype)
    rotary.current_rope_size = size
    rotary._rope_cache_versions[device_index] = rotary._rope_cache_version
    rotary._mark_rope_build(device_index)


def _dequantize(weight: Any, quant_state: Any = None, *_: Any, **options: Any) -> Any:
    """4-bit weights by bitsandbytes' own kernels for CPUs."""
    from bitsandbytes.functional import dequantize_4bit

    if quant_state is None:
        return weight
    transposed = weight.shape[0] == 1  # packed weights are a column
    plain = dequantize_4bit(weight.t() if transposed else weight, quant_state)
    return plain.t() if transposed else plain


def _multiply_a_row(row: Any, weight: Any, quant_state: Any, out: Any = None) -> Any:
    """The product of a token in generation, for which bitsandbytes has a kernel on GPUs alone."""
    return torch.matmul(row, _dequantize(weight.t(), quant_state), out=out)


def _change_unsloth() -> None:
    from unsloth.models import gemma, llama

    llama._PerDeviceRopeCache._build_rope_cache = _build_rope
    for kind in vars(gemma).values():
        if isinstance(kind, type) and {"_set_cos_sin_cache", "_build_rope_cache"} <= vars(kind).keys():
            kind._build_rope_cache = _build_rope  # type: ignore[attr-defined]
    changes: dict[str, Any] = {
        "fast_dequantize": _dequantize, "fast_gemv": _multiply_a_row, "ALLOW_BITSANDBYTES": True, "DEVICE_COUNT": 1,
        "_current_device": lambda: 0,
    }  # fmt: skip
    for name, module in list(sys.modules.items()):
        if name.startswith("unsloth") and module is not None:
            for attribute, value in changes.items():
                if hasattr(module, attribute):
                    setattr(module, attribute, value)


def _start() -> None:
    torch.set_num_threads(1)
    from coordi.model import engines

    engines.import_unsloth()  # before transformers, as in coordi itself
    _answer_for_a_device()
    _StayOnCpu().__enter__()  # type: ignore[no-untyped-call]
    _change_unsloth()
    engines.gpu_trouble = lambda: ""
    engines._gpu_name = lambda: NAME


_start()


def pytest_configure(config: pytest.Config) -> None:
    """Unsloth and the packages that it changes warn in many places, and on a CPU in more."""
    config.addinivalue_line("filterwarnings", "ignore")
