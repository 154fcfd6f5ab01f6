"""How the package opens an ONNX network: on the processor, with the same options everywhere."""

from __future__ import annotations

from typing import Any


def open_session(content: bytes) -> Any:
    """A session of onnxruntime on the processor.

    Threads that wait don't spin: photos are opened by other threads at the same time, and spinning took a third of the
    processor's time from them.

    Args:
        content: The bytes of the network's file.

    Raises:
        Exception: Of onnxruntime's own types, if it can't be read.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
