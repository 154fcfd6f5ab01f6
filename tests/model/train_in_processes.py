"""Trains under ``torchrun`` and prints what each process got; run with ``python -m torch.distributed.run``.

Arguments: the output folder and the settings as JSON. The answer head is interrupted once and resumed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coordi.config import RunSettings
from coordi.model.training import finetune

from . import conftest, test_pooled

RANK = int(os.environ["RANK"])


def main() -> None:
    out, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    written: list[str] = []
    sys.addaudithook(lambda event, arguments: note_write(out, event, arguments, written))
    result: dict[str, Any] = {"rank": RANK, "written": written}
    for head, epoch in (("answer", conftest.epoch), ("pooled", test_pooled.epoch)):
        run = RunSettings.model_validate({**settings, "finetune": {**settings["finetune"], "head": head}})
        folder = out / head
        if head == "answer":
            try:
                finetune(epoch, epoch(99), run, folder, interrupt)
            except KeyboardInterrupt:
                result["interrupted"] = sorted(path.name for path in (folder / "checkpoints").iterdir())
        result[head] = [asdict(point) for point in finetune(epoch, epoch(99), run, folder).curve]
    (Path(sys.argv[3]) / f"{RANK}.json").write_text(json.dumps(result), encoding="utf-8")


def interrupt(done: int, total: int) -> None:
    if done == 3:
        os.kill(os.getpid(), signal.SIGINT)


def note_write(out: Path, event: str, arguments: tuple[Any, ...], written: list[str]) -> None:
    paths = [str(argument) for argument in arguments if isinstance(argument, str | Path)]
    if not paths or not paths[0].startswith(str(out)):
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir"):
        written.append(f"{event} {paths[0]}")


if __name__ == "__main__":
    main()
