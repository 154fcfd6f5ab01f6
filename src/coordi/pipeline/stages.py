"""The stages in their order. Each reads what the one before it left in the output folder, and is skipped once done."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from coordi.artifacts import is_finished, read_json, read_manifest, stage_folder, write_json
from coordi.config import PromptSettings, RunSettings
from coordi.data.categories import category_is_known
from coordi.data.loading import load
from coordi.data.released import without_items, without_taught
from coordi.data.source import MIN_ITEMS
from coordi.data.storage import read_dataset, write_dataset
from coordi.describe.catalogue import CatalogueDescriber
from coordi.describe.describer import Described
from coordi.describe.encoder import load_settled_encoder
from coordi.describe.storage import read_described
from coordi.describe.vector_cache import VectorCache
from coordi.describe.vocabulary import Vocabulary, load_vocabulary
from coordi.domain import Dataset, Description, FunnelRow, Item, Outfit, Split
from coordi.errors import DataError, EvaluationError, ModelError
from coordi.pipeline.examples import training_examples, validation_examples
from coordi.pipeline.seen_category import seen_category
from coordi.pipeline.workspace import Workspace
from coordi.prompts.item_text import item_text

DATA = "data"
DESCRIPTIONS = "descriptions"
FINETUNE = "finetune"
ADAPTER = "adapter"
CURVE = "curve.json"
CHOSEN_ON = "chosen_on.json"  # beside the adapter's weights: the outfits that chose them and weighed what they join
TRAINED_ON = "trained_on.json"  # beside the adapter's weights, so that no evaluation asks what was taught
SETTINGS = "settings.json"  # beside the adapter's weights, so that a copied adapter is asked as it was taught
_KNOWN_FROM: tuple[tuple[str, Split], ...] = ((TRAINED_ON, "train"), (CHOSEN_ON, "valid"))


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


def prepare(work: Workspace, inputs: Mapping[str, str]) -> Material:
    """Read and clean the data and see what its photos show."""
    dataset = _prepare_data(work, inputs)
    return _material(dataset, _describe_photos(work, dataset, inputs), work.settings)


def finetune_model(work: Workspace, material: Material, inputs: Mapping[str, str]) -> Path:
    """Fine-tune an adapter on the training split; gives its folder.

    Going on from an adapter (``finetune.start_from``), the validation outfits that it was trained on are left out.

    Raises:
        ModelError: If the adapter to go on from doesn't say what it was trained on.
    """
    from coordi.model.finetune import finetune

    folder = work.out / FINETUNE
    if _is_to_do(work, folder, "fine-tuning the language model"):
        before = _adapter_before(work.settings)
        if before is not None:
            material = without_trained_on(material, before)
        examples = training_examples(material.dataset, material.texts, work.settings)
        valid = validation_examples(material.dataset, material.texts, work.settings)
        with stage_folder(folder, work.record(inputs)), work.progress("fine-tuning") as progress:
            finetune(examples, valid, work.settings, folder, progress, work.say)
            write_known(material.dataset, folder / ADAPTER, before)
            if work.settings.finetune.join:
                join_adapter(work, material, folder / ADAPTER)
            write_json(folder / ADAPTER / SETTINGS, work.settings.model_dump(mode="json"))
    return folder / ADAPTER


def write_known(dataset: Dataset, adapter: Path, before: Path | None) -> None:
    """Write beside an adapter which outfits it was trained and chosen on, and the adapter that it went on from."""
    for name, split in _KNOWN_FROM:
        known = {outfit_key(one, dataset) for one in dataset.outfits_of(split)}
        if before is not None and (before / name).is_file():
            known |= set(read_json(before / name))
        write_json(adapter / name, sorted(known))


def _adapter_before(settings: RunSettings) -> Path | None:
    from coordi.model.starting import starting_adapter

    start = settings.finetune.start_from
    return None if start is None else starting_adapter(start)


def join_adapter(work: Workspace, material: Material, adapter: Path) -> None:
    """Weigh a language model's answers beside what needs none; where that can't be, say so and leave it alone."""
    from coordi.model.base import resolve_base
    from coordi.model.score import load_scorer
    from coordi.pipeline.joining import Joined

    work.say("joining it with category pairs and likeness")
    model = load_scorer(resolve_base(work.settings.model), adapter, material.texts, work.settings)
    try:
        joined = Joined.learn(model, material.dataset, material.texts, work.settings.seed)
    except (DataError, EvaluationError) as error:
        work.say(f"  not joined, it answers alone: {error}")
        return
    joined.save(adapter)


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
    dataset = _with_seen_categories(dataset, described, load_vocabulary(settings.describe.vocabulary))
    return Material(dataset, described, texts_of(dataset.items, described.descriptions, settings.prompt))


def _with_seen_categories(dataset: Dataset, described: Described, vocabulary: Vocabulary) -> Dataset:
    """Give items whose category no text tells the one seen in their photo; count those that stay unknown."""
    items = dict(dataset.items)
    for item in dataset.items.values():
        if not category_is_known(item):
            seen = seen_category(item, described, vocabulary)
            if seen is None:
                del items[item.id]
            else:
                items[item.id] = seen
    unknown = len(dataset.items) - len(items)
    if not unknown:
        return replace(dataset, items=items)
    reduced = [replace(one, item_ids=tuple(name for name in one.item_ids if name in items)) for one in dataset.outfits]
    outfits = tuple(one for one in reduced if len(one.item_ids) >= MIN_ITEMS)
    released = tuple(without_items(part, items) for part in dataset.released)
    rows = (
        FunnelRow("items", "neither words nor the photo tell its category", unknown, len(items)),
        FunnelRow("outfits", f"fewer than {MIN_ITEMS} items left", len(reduced) - len(outfits), len(outfits)),
    )
    return replace(dataset, items=items, outfits=outfits, funnel=(*dataset.funnel, *rows), released=released)


def without_trained_on(material: Material, adapter: Path) -> Material:
    """The material without validation and test outfits that an adapter was trained on, counted in the funnel.

    Test outfits that chose the adapter, or weighed what it is joined with, are left out too, where it says which.

    Raises:
        ModelError: If the adapter doesn't say what it was trained on.
    """
    path = adapter / TRAINED_ON
    if not path.is_file():
        raise ModelError(
            f"'{adapter}' has no {TRAINED_ON}, so nobody can tell which outfits it was trained on and a figure could "
            "be memory; take the whole folder that coordi finetune made, or fine-tune again"
        )
    trained = set(read_json(path))
    chosen = set(read_json(adapter / CHOSEN_ON)) if (adapter / CHOSEN_ON).is_file() else set()
    known: Mapping[Split, set[str]] = {"train": set(), "valid": trained, "test": trained | chosen}
    dataset = material.dataset
    kept = tuple(one for one in dataset.outfits if outfit_key(one, dataset) not in known[one.split])
    released = tuple(without_taught(part, partial(_is_known, dataset, known[part.split])) for part in dataset.released)
    left_out = len(dataset.outfits) - len(kept)
    if not left_out and released == dataset.released:
        return material
    row = FunnelRow("outfits", "the model was trained or chosen on it", left_out, len(kept))
    left = replace(dataset, outfits=kept, funnel=(*dataset.funnel, row), released=released)
    return replace(material, dataset=left)


def measurable(work: Workspace, material: Material, adapter: Path) -> Material:
    """What the adapter of a run may be measured on: nothing that the adapter it went on from was taught elsewhere."""
    return material if work.settings.finetune.start_from is None else without_trained_on(material, adapter)


def _is_known(dataset: Dataset, known: Collection[str], item_ids: Sequence[str]) -> bool:
    return _key(item_ids, dataset) in known


def outfit_key(outfit: Outfit, dataset: Dataset) -> str:
    """Hash of an outfit's titles and categories, the same whatever its ids and their order are."""
    return _key(outfit.item_ids, dataset)


def _key(item_ids: Sequence[str], dataset: Dataset) -> str:
    worn = sorted(f"{dataset.items[name].category}\0{dataset.items[name].title or name}" for name in item_ids)
    return hashlib.sha256("\0".join(worn).encode()).hexdigest()


def _prepare_data(work: Workspace, inputs: Mapping[str, str]) -> Dataset:
    folder = work.out / DATA
    if _is_to_do(work, folder, "reading and cleaning the data"):
        settings = work.settings
        with stage_folder(folder, work.record(inputs)):
            write_dataset(folder, load(work.data, settings.data, settings.seed))
    return read_dataset(folder)


def _describe_photos(work: Workspace, dataset: Dataset, inputs: Mapping[str, str]) -> Described:
    folder = work.out / DESCRIPTIONS
    if _is_to_do(work, folder, "describing photos"):
        settings = work.settings.describe
        photographed = [item for item in dataset.items.values() if item.image is not None]
        with stage_folder(folder, work.record(inputs)), work.progress("describing photos") as progress:
            encoder = load_settled_encoder(settings)
            vocabulary = load_vocabulary(settings.vocabulary)
            with VectorCache.of(encoder) as cache:
                describer = CatalogueDescriber(encoder, vocabulary, settings, cache)
                describer.describe(photographed, folder, progress=progress)
    return read_described(folder)


def _is_to_do(work: Workspace, folder: Path, what: str) -> bool:
    if is_finished(folder):
        work.say(f"{what}: done before, in {folder}")
        return False
    work.say(what)
    return True
