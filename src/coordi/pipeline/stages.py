"""The stages in their order. Each reads what the one before it left in the output folder, and is skipped once done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from coordi.artifacts import is_finished, read_manifest, stage_folder, write_json
from coordi.config import PromptSettings, RunSettings
from coordi.data.categories import category_is_known
from coordi.data.loading import load
from coordi.data.questions import compatibility_questions, fill_in_the_blank_questions
from coordi.data.storage import read_dataset, write_dataset, write_questions
from coordi.describe.describer import Described, describe
from coordi.describe.encoder import load_encoder
from coordi.describe.storage import read_described, write_described
from coordi.describe.vocabulary import load_vocabulary
from coordi.domain import Dataset, Description, Item
from coordi.pipeline.examples import training_examples, validation_examples
from coordi.pipeline.given import seen_category
from coordi.pipeline.workplace import Workplace
from coordi.prompts.item_text import item_text

DATA = "data"
DESCRIPTIONS = "descriptions"
FINETUNE = "finetune"
ADAPTER = "adapter"
CURVE = "curve.json"
SETTINGS = "settings.json"  # beside the adapter's weights, so that a copied adapter is asked as it was taught


@dataclass(frozen=True, slots=True)
class Material:
    """What every later stage works on.

    Attributes:
        dataset: Cleaned and split.
        described: What the encoder saw; items without a photo are absent.
        texts: What prompts say of each item, by item id.
    """

    dataset: Dataset
    described: Described
    texts: Mapping[str, str]


def prepare(work: Workplace, inputs: Mapping[str, str]) -> Material:
    """Read and clean the data and see what its photos show."""
    dataset = _prepare_data(work, inputs)
    return _material(dataset, _describe_photos(work, dataset, inputs), work.settings)


def prepare_catalogue(work: Workplace, inputs: Mapping[str, str]) -> Material:
    """Like ``prepare``, for a catalogue to recommend from: no outfits are needed and no questions are made."""
    dataset = _prepare_data(work, inputs, questions=False)
    return _material(dataset, _describe_photos(work, dataset, inputs), work.settings)


def finetune_model(work: Workplace, material: Material, inputs: Mapping[str, str]) -> Path:
    """Fine-tune an adapter on the training split; gives its folder."""
    from coordi.model.finetune import finetune

    folder = work.out / FINETUNE
    if _is_to_do(work, folder, "fine-tuning the language model"):
        examples = training_examples(material.dataset, material.texts, work.settings)
        valid = validation_examples(material.dataset, material.texts, work.settings)
        with stage_folder(folder, work.record(inputs)), work.progress("fine-tuning") as progress:
            finetune(examples, valid, work.settings, folder, progress)
            write_json(folder / ADAPTER / SETTINGS, work.settings.model_dump(mode="json"))
    return folder / ADAPTER


def finished_material(out: Path, settings: RunSettings) -> Material:
    """What an earlier run prepared, as it left it, told in the way of the given settings.

    Raises:
        ArtifactError: If it hadn't got so far.
    """
    for stage in (DATA, DESCRIPTIONS):
        read_manifest(out / stage)
    return _material(read_dataset(out / DATA), read_described(out / DESCRIPTIONS), settings)


def texts_of(
    items: Mapping[str, Item], descriptions: Mapping[str, Description], settings: PromptSettings
) -> dict[str, str]:
    """What a prompt says of each item, by item id."""
    return {item_id: item_text(item, descriptions.get(item_id), settings) for item_id, item in items.items()}


def _material(dataset: Dataset, described: Described, settings: RunSettings) -> Material:
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    items = dict(dataset.items)
    for item in dataset.items.values():
        if not category_is_known(item):
            seen = seen_category(item, described, vocabulary)
            if seen is None:
                del items[item.id]
            else:
                items[item.id] = seen
    dataset = replace(dataset, items=items)
    return Material(dataset, described, texts_of(items, described.descriptions, settings.prompt))


def _prepare_data(work: Workplace, inputs: Mapping[str, str], questions: bool = True) -> Dataset:
    folder = work.out / DATA
    if _is_to_do(work, folder, "reading and cleaning the data"):
        settings = work.settings
        with stage_folder(folder, work.record(inputs)):
            dataset = load(work.data, settings.data, settings.seed)
            write_dataset(folder, dataset)
            if questions:
                _write_questions(folder, dataset, settings)
    return read_dataset(folder)


def _describe_photos(work: Workplace, dataset: Dataset, inputs: Mapping[str, str]) -> Described:
    folder = work.out / DESCRIPTIONS
    if _is_to_do(work, folder, "describing photos"):
        settings = work.settings.describe
        photographed = [item for item in dataset.items.values() if item.image is not None]
        with stage_folder(folder, work.record(inputs)), work.progress("describing photos") as progress:
            encoder = load_encoder(settings.encoder)
            vocabulary = load_vocabulary(settings.vocabulary)
            write_described(folder, describe(photographed, encoder, vocabulary, settings, progress))
    return read_described(folder)


def _is_to_do(work: Workplace, folder: Path, what: str) -> bool:
    if is_finished(folder):
        work.say(f"{what}: done before, in {folder}")
        return False
    work.say(what)
    return True


def _write_questions(folder: Path, dataset: Dataset, settings: RunSettings) -> None:
    for protocol in settings.evaluate.protocols:
        for split in ("valid", "test"):
            asked = compatibility_questions(dataset, split, protocol, settings.seed)
            write_questions(folder / f"questions-{split}-{protocol}.parquet", asked)
        blanks = fill_in_the_blank_questions(dataset, "test", protocol, settings.seed, settings.evaluate.choices)
        write_questions(folder / f"blanks-test-{protocol}.parquet", blanks)
