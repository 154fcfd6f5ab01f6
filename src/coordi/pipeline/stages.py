"""The stages of a run in their order, each skipped once it is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import coordi
from coordi.artifacts import (
    Progress,
    Record,
    hash_file,
    is_finished,
    lock_folder,
    read_json,
    read_manifest,
    stage_folder,
    versions,
    write_json,
)
from coordi.config import PromptSettings, RunSettings
from coordi.data.loading import load, read_dataset, write_dataset
from coordi.data.questions import compatibility_questions, fill_in_the_blank_questions
from coordi.data.release_questions import without_items, without_taught
from coordi.data.source import MIN_ITEMS
from coordi.encoders.base import load_settled_encoder
from coordi.encoders.describe import CatalogueDescriber, Described, read_described
from coordi.encoders.labels import KINDS, Vocabulary, load_vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache
from coordi.errors import ArtifactError, DataError, EvaluationError, ModelError
from coordi.prompts import Instruction, choose_instruction, compatibility_instruction, complement_instruction, item_text
from coordi.types import (
    CompatibilityQuestion,
    Dataset,
    Description,
    FitbNegatives,
    FitbQuestion,
    FunnelRow,
    Item,
    Negatives,
    Outfit,
    Split,
)

RUN_FILE = "run.json"
_HASHED_WHOLE = {".json", ".jsonl", ".csv", ".txt", ".parquet"}
_MOST_HASHED = 256 * 2**20  # bytes; a larger table holds photos


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a run reads, where it writes, with which settings, and how it speaks.

    Attributes:
        data: File or folder of the data.
        out: Output folder; stages get folders of their own in it.
        command: What the user typed, for the manifests and the report.
        say: Shows one line to the user.
        progress: Gives a context that shows a stage's progress under a label.
    """

    data: Path
    out: Path
    settings: RunSettings
    command: str
    say: Callable[[str], None]
    progress: Callable[[str], AbstractContextManager[Progress]]

    def record(self, inputs: Mapping[str, str]) -> Record:
        """What the manifest of each stage says."""
        return Record(self.command, self.settings.model_dump(mode="json"), self.settings.seed, inputs)


def fingerprint(data: Path, out: Path | None = None) -> dict[str, str]:
    """What a data source holds, so that a changed one is noticed.

    Args:
        data: File or folder.
        out: Left out if it lies in the data's folder: it changes while coordi works.

    Returns:
        SHA-256 by file name of every table or annotation file of 256 MiB or less, and under ``"photos"`` one of all
        other files' names and sizes (their bytes are not read).

    Raises:
        DataError: If the path doesn't exist.
    """
    if not data.exists():
        raise DataError(f"no data at '{data}': give the path of a release, a catalogue file, a folder of photos, or "
                        "'sample' for the drawn wardrobe")  # fmt: skip
    if data.is_file():
        outfits = data.with_name("outfits.jsonl")
        return {path.name: hash_file(path) for path in (data, outfits) if path.is_file()}
    found, photos = {}, hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if out is not None and out.resolve() in path.resolve().parents:
            continue
        name = path.relative_to(data).as_posix()
        if path.suffix.lower() in _HASHED_WHOLE and path.stat().st_size <= _MOST_HASHED:
            found[name] = hash_file(path)
        else:
            photos.update(f"{name}\0{path.stat().st_size}\n".encode())
    found["photos"] = photos.hexdigest()
    return found


@contextmanager
def claim_folder(work: Workspace, also: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Hold the output folder for one run and give the hashes of its inputs.

    Args:
        work: Whose folder.
        also: Hashes of inputs beside the data, such as the model that is measured.

    Raises:
        ArtifactError: If another run is at work in the folder, or it holds something else: other files, or finished
            stages of a run with other settings or other data. Nothing finished is overwritten.
    """
    with lock_folder(work.out):
        inputs = {**fingerprint(work.data, work.out), **_named_in(work.settings), **(also or {})}
        _claim(work, inputs)
        yield inputs


def _claim(work: Workspace, inputs: dict[str, str]) -> None:
    asked = {
        "settings": work.settings.model_dump(mode="json"),
        "data": str(work.data.resolve()),
        "inputs": inputs,
        # What was kept by other code would stand in a report under this one's name.
        "versions": {**versions(), "coordi's code": code_identity()},
    }
    path = work.out / RUN_FILE
    if not path.exists():
        others = sorted(entry.name for entry in work.out.iterdir() if not entry.name.startswith("."))
        if others:
            raise ArtifactError(
                f"{work.out} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}) and no "
                "run of coordi; choose an empty or new folder with --out"
            )
        write_json(path, asked)
        return
    changes = _differences(read_json(path), asked)
    if changes and not finished_stages(work.out):
        write_json(path, asked)
    elif changes:
        raise ArtifactError(
            f"{work.out} holds a run that was started with something else: {'; '.join(changes[:5])}; run it with the "
            "same to go on, or choose another --out"
        )


@cache
def code_identity() -> str:
    """The first 12 digits of a SHA-256 of coordi's own modules, word lists and manifests of bundled weights."""
    found = hashlib.sha256()
    package = Path(coordi.__file__).parent
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".yaml", ".csv", ".json")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]


def _named_in(settings: RunSettings) -> dict[str, str]:
    """Hashes of the user's own files and folders that settings name."""
    named = {
        "vocabulary": settings.describe.vocabulary,
        "encoder": settings.describe.encoder,
        "base model": settings.model.base,
        "sentence encoder": settings.evaluate.sentence_encoder,
    }
    found = {}
    for name, value in named.items():
        if Path(value).exists():
            held = json.dumps(fingerprint(Path(value)), sort_keys=True)
            found[name] = hashlib.sha256(held.encode()).hexdigest()
    if settings.finetune.start_from is not None:
        from coordi.model.training import WEIGHTS, starting_adapter

        with suppress(ModelError):  # gone since: what was made from it is measured without it
            found["adapter to start from"] = hash_file(starting_adapter(settings.finetune.start_from) / WEIGHTS)
    return found


def _differences(held: Any, asked: Any, where: str = "") -> list[str]:
    if isinstance(held, dict) and isinstance(asked, dict):
        return [
            line
            for key in dict.fromkeys((*held, *asked))
            for line in _differences(held.get(key), asked.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if held == asked else [f"{where} was {held!r}, now {asked!r}"]


def finished_stages(out: Path) -> tuple[str, ...]:
    """Names of the stages in an output folder that have their manifest, sorted."""
    if not out.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in out.iterdir() if entry.is_dir() and is_finished(entry)))


def seen_category(item: Item, described: Described, vocabulary: Vocabulary) -> Item | None:
    """An item whose category no text tells, with the category seen in its photo; None if none was sure enough."""
    description = described.descriptions.get(item.id)
    labels = description.attributes.get(KINDS, ()) if description is not None else ()
    worn = vocabulary.worn_category(KINDS, labels[0].text) if labels else None
    return None if worn is None else replace(item, category=worn)


_Name = TypeVar("_Name", bound=str)
_STREAM = 501  # of the run's seed


def training_examples(
    dataset: Dataset, texts: Mapping[str, str], settings: RunSettings
) -> Callable[[int], tuple[Instruction, ...]]:
    """How to draw the examples of an epoch, each with its answer.

    Every training outfit, in shuffled order, gives one task's examples in an epoch: it and one negative for
    ``compatibility``, one for ``choose`` or ``complement``. The task and where negatives come from are drawn by their
    shares in the settings. An outfit and its negative follow each other, so that they share an optimizer step and what
    is common to both cancels out of it. For a pooled head an outfit is followed by a negative of every protocol.

    Args:
        dataset: With a training split.
        texts: What prompts say of each item, by item id.
        settings: ``finetune.tasks``, ``finetune.negatives``, ``evaluate.choices`` and ``seed`` count here.
    """

    def draw(epoch: int) -> tuple[Instruction, ...]:
        rng = np.random.default_rng([settings.seed, _STREAM, epoch])
        epoch_questions = _Epoch(dataset, settings, epoch)
        tasks, task_shares = _shares(settings.finetune.tasks)
        protocols, protocol_shares = _shares(settings.finetune.negatives)
        outfits = dataset.outfits_of("train")
        drawn: list[Instruction] = []
        if settings.finetune.head == "pooled":
            used = [protocol for protocol, share in zip(protocols, protocol_shares, strict=True) if share]
            for place in rng.permutation(len(outfits)):
                drawn += _with_negatives(epoch_questions, outfits[place].id, used, texts)
            return tuple(drawn)
        for outfit in (outfits[place] for place in rng.permutation(len(outfits))):
            task = tasks[rng.choice(len(tasks), p=task_shares)]
            protocol = protocols[rng.choice(len(protocols), p=protocol_shares)]
            if task == "compatibility":
                drawn += [_yes_or_no(one, texts) for one in epoch_questions.compatibility(protocol).get(outfit.id, ())]
            else:
                wrong: FitbNegatives = "random" if protocol == "random" else "same-category"
                blanks = epoch_questions.blanks(wrong).get(outfit.id, ())
                drawn += [_choose(one, texts) if task == "choose" else _name(one, dataset, texts) for one in blanks]
        return tuple(drawn)

    return draw


def validation_examples(dataset: Dataset, texts: Mapping[str, str], settings: RunSettings) -> tuple[Instruction, ...]:
    """Compatibility questions of the validation split with their answers, of every protocol that is trained on."""
    return tuple(
        _yes_or_no(question, texts)
        for protocol, share in settings.finetune.negatives.items()
        if share
        for question in compatibility_questions(dataset, "valid", protocol, settings.seed)
    )


@dataclass
class _Epoch:
    """Questions of one epoch by outfit, drawn when they are first asked for."""

    dataset: Dataset
    settings: RunSettings
    epoch: int
    _compatibility: dict[Negatives, dict[str, list[CompatibilityQuestion]]] = field(default_factory=dict)
    _blanks: dict[FitbNegatives, dict[str, list[FitbQuestion]]] = field(default_factory=dict)

    def compatibility(self, protocol: Negatives) -> dict[str, list[CompatibilityQuestion]]:
        if protocol not in self._compatibility:
            by_outfit = self._compatibility[protocol] = {}
            for one in compatibility_questions(self.dataset, "train", protocol, self.settings.seed, self.epoch):
                by_outfit.setdefault(one.outfit_id, []).append(one)
        return self._compatibility[protocol]

    def blanks(self, protocol: FitbNegatives) -> dict[str, list[FitbQuestion]]:
        if protocol not in self._blanks:
            by_outfit = self._blanks[protocol] = {}
            choices = self.settings.evaluate.choices
            # A seed of its own for each epoch, far from the run's other seeds.
            seed = self.settings.seed + 1_000_003 * (self.epoch + 1)
            for one in fill_in_the_blank_questions(self.dataset, "train", protocol, seed, choices):
                by_outfit.setdefault(one.outfit_id, []).append(one)
        return self._blanks[protocol]


def _with_negatives(
    questions: _Epoch, outfit_id: str, protocols: Sequence[Negatives], texts: Mapping[str, str]
) -> list[Instruction]:
    """An outfit and a negative of each protocol; nothing if one of them can't be made."""
    asked = [questions.compatibility(protocol).get(outfit_id, ()) for protocol in protocols]
    if not all(asked):
        return []
    positive = next(one for one in asked[0] if one.compatible)
    negatives = [one for part in asked for one in part if not one.compatible]
    return [_yes_or_no(one, texts) for one in (positive, *negatives)]


def _shares(shares: Mapping[_Name, float]) -> tuple[list[_Name], NDArray[np.float64]]:
    weights = np.array(list(shares.values()), dtype=np.float64)
    return list(shares), weights / weights.sum()


def _yes_or_no(question: CompatibilityQuestion, texts: Mapping[str, str]) -> Instruction:
    return compatibility_instruction([texts[item] for item in question.item_ids], question.compatible)


def _choose(blank: FitbQuestion, texts: Mapping[str, str]) -> Instruction:
    candidates = [texts[item] for item in blank.candidates]
    return choose_instruction([texts[item] for item in blank.item_ids], candidates, blank.answer)


def _name(blank: FitbQuestion, dataset: Dataset, texts: Mapping[str, str]) -> Instruction:
    answer = blank.candidates[blank.answer]
    context = [texts[item] for item in blank.item_ids]
    wrong = blank.candidates[(blank.answer + 1) % len(blank.candidates)]
    return complement_instruction(context, dataset.items[answer].category or "accessory", texts[answer], texts[wrong])


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
class PreparedData:
    """What every later stage works on.

    Attributes:
        dataset: Cleaned and split.
        described: What the encoder saw; items without a photo are absent.
        texts: What prompts say of each item, by item id.
    """

    dataset: Dataset
    described: Described
    texts: Mapping[str, str]


def prepare(work: Workspace, inputs: Mapping[str, str]) -> PreparedData:
    """Read and clean the data and see what its photos show."""
    dataset = _prepare_data(work, inputs)
    return _material(dataset, _describe_photos(work, dataset, inputs), work.settings)


def finetune_model(work: Workspace, material: PreparedData, inputs: Mapping[str, str]) -> Path:
    """Fine-tune an adapter on the training split; gives its folder.

    Going on from an adapter (``finetune.start_from``), the validation outfits that it was trained on are left out.

    Raises:
        ModelError: If the adapter to go on from doesn't say what it was trained on.
    """
    from coordi.model.training import finetune

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
    from coordi.model.training import starting_adapter

    start = settings.finetune.start_from
    return None if start is None else starting_adapter(start)


def join_adapter(work: Workspace, material: PreparedData, adapter: Path) -> None:
    """Weigh a language model's answers beside what needs none; where that can't be, say so and leave it alone."""
    from coordi.model.base import resolve_base
    from coordi.model.scoring import load_scorer
    from coordi.pipeline.ensemble import Ensemble

    work.say("joining it with category pairs and likeness")
    model = load_scorer(resolve_base(work.settings.model), adapter, material.texts, work.settings)
    try:
        joined = Ensemble.learn(model, material.dataset, material.texts, work.settings.seed)
    except (DataError, EvaluationError) as error:
        work.say(f"  not joined, it answers alone: {error}")
        return
    joined.save(adapter)


def finished_material(out: Path, settings: RunSettings) -> PreparedData:
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


def _material(dataset: Dataset, described: Described, settings: RunSettings) -> PreparedData:
    dataset = _with_seen_categories(dataset, described, load_vocabulary(settings.describe.vocabulary))
    return PreparedData(dataset, described, texts_of(dataset.items, described.descriptions, settings.prompt))


def _with_seen_categories(dataset: Dataset, described: Described, vocabulary: Vocabulary) -> Dataset:
    """Give items whose category no text tells the one seen in their photo; count those that stay unknown."""
    items = dict(dataset.items)
    for item in dataset.items.values():
        if item.category is None:
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


def without_trained_on(material: PreparedData, adapter: Path) -> PreparedData:
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


def measurable(work: Workspace, material: PreparedData, adapter: Path) -> PreparedData:
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
            with EmbeddingCache.of(encoder) as cache:
                describer = CatalogueDescriber(encoder, vocabulary, settings, cache)
                describer.describe(photographed, folder, progress=progress)
    return read_described(folder)


def _is_to_do(work: Workspace, folder: Path, what: str) -> bool:
    if is_finished(folder):
        work.say(f"{what}: done before, in {folder}")
        return False
    work.say(what)
    return True
