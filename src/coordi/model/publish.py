"""A fine-tuned adapter with its card on the Hugging Face hub: uploaded only where the user allows it."""

from __future__ import annotations

from pathlib import Path

from coordi.artifacts import read_json, write_json, write_text
from coordi.data.hub import online
from coordi.encoders.base import EDGE
from coordi.errors import ModelError, require
from coordi.model.ensemble import ENSEMBLE_FILE
from coordi.model.scoring import ORIGIN
from coordi.model.trained import SETTINGS, TrainedModel

CARD = "README.md"
_FILES = ["*.json", "*.safetensors", CARD]


def write_card(model: TrainedModel, folder: Path) -> None:
    """Write an exported adapter's model card, unless it has one, and take paths of this machine out of its files: the
    hash beside it says which base is meant.
    """
    settings, origin = read_json(folder / SETTINGS), read_json(folder / ORIGIN)
    name = _public(str(origin["base"]))
    settings["model"]["base"] = origin["base"] = name
    if settings["describe"].get("identity"):
        settings["describe"]["encoder"] = _public(str(settings["describe"]["encoder"]))
    settings["finetune"]["start"] = None  # a folder of this machine, which using the adapter doesn't need
    if (folder / ENSEMBLE_FILE).is_file():
        ensemble = read_json(folder / ENSEMBLE_FILE)
        ensemble["photo_encoder"] = ensemble["photo_encoder"] and _public(str(ensemble["photo_encoder"]))
        write_json(folder / ENSEMBLE_FILE, ensemble)
    write_json(folder / SETTINGS, settings)
    write_json(folder / ORIGIN, origin)
    if not (folder / CARD).is_file():
        write_text(folder / CARD, _card(model, settings["describe"]["encoder"], name, str(origin["identity"])))


def push(folder: Path, repository: str, *, allowed: bool) -> str:
    """Upload an exported adapter to a private repository, which is created if it isn't there; returns its address.

    Raises:
        ModelError: If uploads aren't allowed, the adapter needs files of this machine, or the hub refuses.
    """
    check_allowed(repository, allowed=allowed)
    describe = read_json(folder / SETTINGS)["describe"]
    for key in ("encoder", "vocabulary"):  # an encoder with an identity has lost its path in write_card
        if _public(str(describe[key])) != describe[key]:
            raise ModelError(
                f"describe.{key} is '{describe[key]}', a file of this machine, without which nobody else can use the "
                "adapter; fine-tune with a name that others have, such as fashion-clip"
            )
    errors = require("huggingface_hub.errors")
    try:
        with online() as hub:
            api = hub.HfApi()
            address = api.create_repo(repository, private=True, exist_ok=True)
            api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                allow_patterns=_FILES,
                commit_message="Upload with coordi export",
            )
    except (errors.HTTPError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"the adapter can't be uploaded to {repository}: {reason}; check the name, the network and HF_TOKEN"
        ) from error
    return str(address)


def check_allowed(repository: str, *, allowed: bool) -> None:
    """Raise a ``ModelError`` unless uploads are allowed."""
    if not allowed:
        raise ModelError(
            f"nothing is uploaded unless allowed; give --allow-upload to send the adapter to {repository}, and set "
            "HF_TOKEN to a token that may write"
        )


def _public(name: str) -> str:
    """A name without the path of a file or folder."""
    path = Path(name).expanduser()
    return path.name if path.is_absolute() or path.exists() else name


def _card(model: TrainedModel, encoder: str, base: str, identity: str) -> str:
    settings, rows = model.settings, ""
    finetune = settings.finetune
    if model.curve is not None and model.curve.is_file():
        points = read_json(model.curve)
        rows = "\n## Validation split while training\n\n| step | loss | AUC |\n|---|---|---|\n" + "".join(
            f"| {point['step']} | {point['valid_loss']:.4f} | {point['valid_auc']:.4f} |\n" for point in points
        )
    is_folder = encoder not in (EDGE, settings.describe.encoder)
    where, option = (
        (" and `ENCODER` that of the image encoder", " --set describe.encoder=ENCODER") if is_folder else ("", "")
    )
    head = "answers yes or no in words" if finetune.head == "answer" else "has a head on the items' mean hidden state"
    return f"""---
library_name: peft
base_model: {base}
tags: [coordi, fashion, outfit-compatibility, lora]
---

# Outfit compatibility on {base}

A LoRA adapter that coordi trained; it {head}. The base model's hash is `{identity}`: coordi refuses any other.

| setting | value |
|---|---|
| preset | {settings.name} |
| epochs | {finetune.epochs:g} |
| batch size | {finetune.batch_size} |
| learning rate | {finetune.learning_rate:g} |
| rank, alpha, dropout | {finetune.lora_rank}, {finetune.lora_alpha:g}, {finetune.lora_dropout:g} |
| quantization of the base | {settings.model.quantization} |
| photos described by | {encoder} |
{rows}
Use it with coordi, where `BASE` is the base model's folder{where}:

    coordi score "navy wool blazer" "white sneakers" --model FOLDER --set model.base=BASE{option}

The score judges style as people combined clothes in the training data, and nothing else. What the licences of the base
model and of the training data allow holds for this adapter too.
"""
