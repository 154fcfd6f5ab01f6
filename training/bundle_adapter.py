"""Put a fine-tuned adapter into the package: its weights in half precision, its head, what it was trained on.

    python training/bundle_adapter.py tuned

``tuned`` is the folder of ``coordi finetune``; the model card beside the adapter is written by hand.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.model.trained import BUNDLED, find_model

COPIED = ("coordi.json", "trained_on.json", "chosen_on.json", "pooled_head.json", "pooled_head.safetensors")
JOINED = ("joined.json", "joined.safetensors")  # not there where nothing is joined


def main() -> None:
    """Copy the adapter's files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuned", type=Path, help="what coordi finetune made")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="the package's folder")
    arguments = parser.parse_args()
    adapter = find_model(str(arguments.tuned)).adapter
    if adapter is None:
        parser.error(f"{arguments.tuned} holds no adapter")
    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = load_file(adapter / "adapter_model.safetensors")
    # Half precision keeps 11 bits; the model card's figures are of these weights.
    save_file(
        {name: rows.astype(np.float16) for name, rows in weights.items()}, arguments.out / "adapter_model.safetensors"
    )
    config = read_json(adapter / "adapter_config.json")
    write_json(arguments.out / "adapter_config.json", config)
    settings = read_json(adapter / "settings.json")
    settings.pop("evaluate")  # how it is measured isn't the adapter's own
    write_json(arguments.out / "settings.json", settings)
    for name in (*COPIED, *(one for one in JOINED if (adapter / one).is_file())):
        shutil.copyfile(adapter / name, arguments.out / name)
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
