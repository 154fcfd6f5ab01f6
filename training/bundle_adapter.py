"""Put a fine-tuned adapter into the package: its weights in half precision, its head, ensemble and training outfits.

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

WEIGHTS = "adapter_model.safetensors"
NEEDED = ("adapter_config.json", "coordi.json", "settings.json", "trained_on.json", "chosen_on.json")
OPTIONAL = ("pooled_head.json", "pooled_head.safetensors", "ensemble.json", "ensemble.safetensors")


def main() -> None:
    """Copy the adapter's files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tuned", type=Path, help="folder of coordi finetune")
    parser.add_argument("--out", type=Path, default=BUNDLED, help="folder in the package")
    arguments = parser.parse_args()
    adapter = find_model(str(arguments.tuned)).adapter
    if adapter is None:
        parser.error(f"{arguments.tuned} holds no adapter")
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Half precision has 11 bits; the model card's figures are of these weights.
    half = {name: rows.astype(np.float16) for name, rows in load_file(adapter / WEIGHTS).items()}
    save_file(half, arguments.out / WEIGHTS)
    for name in OPTIONAL:  # one of an earlier adapter would change what this one answers
        (arguments.out / name).unlink(missing_ok=True)
    for name in (*NEEDED, *(name for name in OPTIONAL if (adapter / name).is_file())):
        shutil.copyfile(adapter / name, arguments.out / name)
    settings = read_json(arguments.out / "settings.json")
    settings.pop("evaluate", None)  # how it is measured isn't part of the adapter
    write_json(arguments.out / "settings.json", settings)
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
