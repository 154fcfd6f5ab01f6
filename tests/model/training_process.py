"""Trainings in processes of their own, to be killed, interrupted or left without space; run with ``python -m``.

Libraries are imported once: each line of standard input, a request as JSON, is done by a forked child, and answered by
a line with what became of it. Keys of a request:

    out, settings, head    what is trained
    step                   after how many steps, when the step is reported, ...
    at                     ... and then at what: "step" in the middle of the next one, "interrupt" right away, a number
                           for so many touches of files beside checkpoints, "rename" or "renamed" right before or after
                           a checkpoint gets its name, "adapter" when the best adapter is written
    disk                   fill the disk of this folder then, instead of ending the process
    free                   make the room again that was filled in this folder, before it begins
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coordi.config import RunSettings
from coordi.errors import CoordiError
from coordi.model.training import CURVE, finetune

from . import conftest, test_pooled

EPOCHS = {"answer": conftest.epoch, "pooled": test_pooled.epoch}
LEFT = 8 * 1024  # bytes on a disk that was filled


class Accident:
    """What a request asks to happen, when it is to happen."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.step: int | None = request.get("step")
        self.at: int | str = request.get("at", "")
        self.act: Callable[[], None] = kill
        if "disk" in request:
            self.act = lambda: fill(Path(request["disk"]))
        self.armed = False
        self.touches = 0

    def progress(self, done: int, total: int) -> None:
        if self.step is None or self.armed or done < self.step:
            return
        if self.at == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        elif self.at == "step":
            from torch.nn.modules.module import register_module_forward_pre_hook

            register_module_forward_pre_hook(self.run_module)
        elif self.at == "":
            self.act()
        else:
            sys.addaudithook(self.touch)
        self.armed = True

    def run_module(self, module: Any, inputs: Any) -> None:
        self.touches += module.training
        if self.touches == 90:  # the first of two micro-batches has been seen
            self.act()

    def touch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Audit events come right before what they tell."""
        if not self.armed or not event.startswith(("open", "os.", "shutil.")) or event == "os.fspath":
            return
        paths = [entry for entry in arguments if isinstance(entry, str | Path)]
        index = str(paths[-1]) if paths else ""
        if self.at == "adapter":
            comes = ".adapter.new" in index
        elif self.at == "rename":
            comes = event == "os.rename" and "checkpoints" in index
        elif self.at == "renamed":
            comes = self.touches > 0
            self.touches += event == "os.rename" and "checkpoints" in index
        else:
            self.touches += "checkpoints" in index
            comes = self.touches == self.at
        if comes:
            self.armed = False
            self.act()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - LEFT))


def train(request: dict[str, Any]) -> dict[str, Any]:
    epoch, out, lines = EPOCHS[request["head"]], Path(request["out"]), list[str]()
    settings = RunSettings.model_validate(request["settings"])
    answer: dict[str, Any] = {"said": lines}
    if "free" in request:
        (Path(request["free"]) / "filler").unlink()
    try:
        finetune(epoch, epoch(99), settings, out, Accident(request).progress, lines.append)
    except CoordiError as error:
        answer["error"] = str(error)
    except KeyboardInterrupt:
        answer["interrupted"] = True
    answer["files"] = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
    answer["curve"] = json.loads((out / CURVE).read_text(encoding="utf-8")) if (out / CURVE).is_file() else []
    return answer


def main() -> None:
    import accelerate  # noqa: F401
    import bitsandbytes  # noqa: F401
    import peft  # noqa: F401
    import sklearn.metrics  # noqa: F401
    from transformers import LlamaForCausalLM, get_scheduler  # noqa: F401

    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        read_end, writing = os.pipe()
        child = os.fork()
        if not child:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.write(writing, json.dumps(train(json.loads(line))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(read_end) as pipe:
            answer = json.loads(pipe.read() or "{}")
        _, status = os.waitpid(child, 0)
        print(json.dumps({**answer, "code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
