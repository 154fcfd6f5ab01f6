"""The Python API: a model with its encoder and a catalogue, for scripts, the command line and the server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coordi.artifacts import RUN_FILE, ShowProgress, cache_folder, read_json, show_no_progress
from coordi.config import DataSettings, DescribeSettings, EvaluateSettings, RunSettings, validate
from coordi.data.loading import load as load_dataset
from coordi.data.loading import located
from coordi.data.photos import PHOTO_SUFFIXES, open_photo
from coordi.data.source import title_of_file
from coordi.encoders.base import ImageTextEncoder, load_settled_encoder
from coordi.encoders.labels import KINDS, SUBJECT, Labeller, Vocabulary, load_vocabulary
from coordi.errors import DataError, EvaluationError, RecommendationError
from coordi.model.ensemble import text_encoder
from coordi.model.trained import ModelScorers, TrainedModel, find_model
from coordi.pipeline.workspace import Workspace, code_identity, fingerprint
from coordi.recommend.answers import Completion, Looks, OutfitScore, Scorers
from coordi.recommend.build import DescriptionPipeline
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import INFO_FILE, check_fits
from coordi.recommend.facts import FactReader
from coordi.recommend.items import describe_item
from coordi.recommend.rules import Rules, parse_rules
from coordi.recommend.stylist import Stylist
from coordi.style.languages import in_english
from coordi.style.lexicon import NOT_WEARABLE, default_lexicon
from coordi.types import GARMENT_CATEGORIES, Dataset, Description, GarmentCategory, Item, Label, OutfitScorer

if TYPE_CHECKING:
    from PIL import Image

Say = Callable[[str], None]

DEFAULT_SEED = RunSettings().seed
_CATEGORIES = f"accepted are {', '.join(GARMENT_CATEGORIES)} and None"
_SCORER = "name, gives_probabilities and score(outfits)"

_numbers = count()


@dataclass(frozen=True, slots=True, eq=False)
class PhotoDescription:
    """Labels, category (None if no garment type passed its threshold) and embedding ``(D,)`` of one photo."""

    description: Description
    category: GarmentCategory | None
    embedding: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Model:
    """A model that scores and completes outfits. Safe to call from several threads.

    Items are given as a photo's path, as a few words, as the id of a catalogue's item, or as an ``Item``. Methods raise
    ``DataError`` if words name no garment or a photo shows none, and ``ImageError`` if a photo can't be opened.

    Attributes:
        trained: Name, settings and adapter.
        scorers: The language model is loaded by the first outfit.
        encoder: Describes photos, as it described the training photos.
        vocabulary: Labels that describe photos.
        labeller: Finds the labels of photo embeddings.
        catalogue: Source of suggestions; None if there is none.
    """

    trained: TrainedModel
    scorers: Scorers
    encoder: ImageTextEncoder
    vocabulary: Vocabulary
    labeller: Labeller
    catalogue: Catalogue | None = None

    def score(
        self,
        items: Sequence[str | Path | Item],
        catalogue: Catalogue | str | Path | None = None,
        *,
        language_model: bool = True,
    ) -> OutfitScore:
        """Score how well items go together, and find the one that fits least.

        Args:
            items: Two or more.
            catalogue: For ids; None for that of the model.
            language_model: False takes microseconds and is less accurate.

        Raises:
            RecommendationError: If there are fewer than two items.
        """
        model = self.with_catalogue(catalogue)
        return model.stylist.score(model.find_items(items), language_model=language_model)

    def complete(  # noqa: PLR0913 - a caller names what it needs
        self,
        items: Sequence[str | Path | Item],
        catalogue: Catalogue | str | Path | None = None,
        *,
        want: GarmentCategory | None = None,
        k: int = 5,
        rules: Rules | Mapping[str, Any] | None = None,
        language_model: bool = True,
        reasons: bool = True,
        generate: bool = False,
    ) -> Completion:
        """Find items of a catalogue that complete an outfit; see ``Stylist.complete``.

        Args:
            items: One or more.
            catalogue: None for that of the model.
            want: Only this category; None for those that the outfit lacks.
            k: Maximum number of suggestions beside pinned items.
            rules: Which items may be suggested, as ``Rules`` or its fields by name; None for all.
            language_model: False takes milliseconds and is less accurate.
            reasons: Also compute how each item moves each score, which takes about as long again.
            generate: Let the language model name in words what would complete the outfit, and suggest the items that
                are nearest to its words.

        Raises:
            RecommendationError: If there is no catalogue, a rule can't be followed, or ``generate`` is wanted without
                the language model.
            ModelError: If this model can't write, but ``generate`` is wanted.
        """
        model, rules = self.with_catalogue(catalogue), parse_rules(rules)
        outfit = model.find_items(items)
        return model.stylist.complete(
            outfit, want, k, rules, language_model=language_model, reasons=reasons, generate=generate
        )

    def looks(
        self,
        item: str | Path | Item | None = None,
        catalogue: Catalogue | str | Path | None = None,
        *,
        k: int = 3,
        rules: Rules | Mapping[str, Any] | None = None,
        language_model: bool = True,
    ) -> Looks:
        """Build complete outfits around an item, or without one for an occasion, the weather or a wish of the rules;
        arguments and errors as for ``complete``.
        """
        model = self.with_catalogue(catalogue)
        around = None if item is None else model.find_item(item)
        return model.stylist.outfits(around, k, parse_rules(rules), language_model=language_model)

    @cached_property
    def stylist(self) -> Stylist:
        """Scores and completes outfits of described items, with the model's catalogue."""
        settings = self.trained.settings.recommend
        return Stylist(self.catalogue, self.scorers, settings, self.vocabulary, text_encoder().encode_texts)

    def with_catalogue(self, catalogue: Catalogue | str | Path | None) -> Model:
        """The same model with another catalogue or a folder of one; None returns it as it is. Raises ``ArtifactError``
        if it can't be opened, or another encoder or other prompts made it.
        """
        if isinstance(catalogue, str | Path):
            catalogue = Catalogue.open(Path(catalogue))
        if catalogue is None or catalogue is self.catalogue:
            return self
        settings, info = self.trained.settings, catalogue.info
        pipeline = DescriptionPipeline(settings.describe, settings.prompt, self.encoder, self.vocabulary)
        check_fits(catalogue.folder or info.name, info, pipeline.info(info.name, info.source))
        return replace(self, catalogue=catalogue)

    def with_encoder(self, settings: DescribeSettings) -> Model:
        """The same model with another encoder and vocabulary for photos, and without a catalogue."""
        if _describes_alike(settings, self.trained.settings.describe):
            return replace(self, catalogue=None)
        encoder, vocabulary = load_settled_encoder(settings), load_vocabulary(settings.vocabulary)
        labeller = Labeller(encoder, vocabulary)
        return replace(self, encoder=encoder, vocabulary=vocabulary, labeller=labeller, catalogue=None)

    def reopened(self) -> Model | None:
        """The same model with the catalogue as it is on disk now, None if that hasn't changed; the earlier one stays
        open for requests that use it. Raises ``CoordiError`` if it can't be opened, or wasn't made for this model.
        """
        if self.catalogue is None or self.catalogue.folder is None or not self.catalogue.is_replaced:
            return None
        model = self.with_catalogue(Catalogue.open(self.catalogue.folder))
        _ = model.stylist  # reads the items, so that no request waits for it
        return model

    def describe_photos(self, images: Sequence[Image.Image]) -> list[PhotoDescription]:
        """Describe RGB photos of any size, in order."""
        if not images:
            return []
        embeddings = self.encoder.encode_images(images)  # (N, D)
        descriptions = self.labeller.descriptions([""] * len(images), embeddings)
        categories = self.labeller.categories(descriptions, embeddings)
        return [PhotoDescription(*row) for row in zip(descriptions, categories, embeddings, strict=True)]

    def find_items(self, items: Sequence[str | Path | Item]) -> list[Item]:
        """Described items; see ``find_item``."""
        return [self.find_item(item) for item in ([items] if isinstance(items, str | Path | Item) else items)]

    def find_item(self, item: str | Path | Item) -> Item:
        """The described item for an id of the catalogue, a photo's path or words."""
        if not isinstance(item, str | Path | Item):
            raise DataError(f"an item is words, an id, a path or an Item, got {item!r} ({type(item).__name__})")
        if isinstance(item, Item):
            if item.category not in (None, *GARMENT_CATEGORIES):
                raise DataError(f"item '{item.id}' has the category '{item.category}'; {_CATEGORIES}")
            if len(item.text_embedding):
                return item
            if item.image is None or item.photo_embedding is not None:
                return self._described(item, item.description, item.photo_embedding)
            return self._described_by_photo(item, item.image)
        if isinstance(item, str) and self.catalogue is not None:
            items = self.catalogue.get([item])
            if item in items:
                return items[item]
        return self._item_of_photo(Path(item)) if _is_photo(item) else self.item_of_words(str(item))

    def _item_of_photo(self, path: Path) -> Item:
        """Describe a photo, and its file's name if that names a garment ("white leather flats.jpg")."""
        title = title_of_file(path.stem)
        kind = default_lexicon().find(in_english(title))
        is_named = kind is not None and kind is not NOT_WEARABLE
        item = Item(_new_id(), title if is_named else "", kind.category if kind else None, image=path, is_users=True)
        item = self._described_by_photo(item, path)
        if item.category is None and not is_named:
            subjects = item.description.attributes.get(SUBJECT, ()) if item.description else ()
            what = next((label.text for label in subjects), "nothing that is sure")
            raise DataError(f"the photo '{path}' shows {what}; say in words what it is, like 'navy wool blazer'")
        return item

    def _described_by_photo(self, item: Item, path: Path) -> Item:
        (photo,) = self.describe_photos([open_photo(path)])
        item = replace(item, category=item.category or photo.category)
        return self._described(item, photo.description, photo.embedding)

    def item_of_words(self, words: str) -> Item:
        """Describe a few words as an item. Its category is None if the lexicon doesn't know them; ``DataError`` if they
        are no words, or name what nobody wears.
        """
        title = " ".join(words.split())
        kind = default_lexicon().find(in_english(title))
        if kind is NOT_WEARABLE or not any(map(str.isalnum, title)):
            raise DataError(
                f"'{words}' names nothing that is worn, no photo and no item of a catalogue; write it like 'navy wool "
                f"blazer', or give the path of a photo ({', '.join(PHOTO_SUFFIXES)})"
            )
        category = None if kind is None else kind.category
        return self._described(Item(_new_id(), title, category, is_users=True), None, None)

    def item_of_labels(
        self,
        category: GarmentCategory,
        attributes: Mapping[str, Sequence[str]],
        title: str = "",
        corrected: Collection[str] = (),
        embedding: NDArray[np.float32] | None = None,
    ) -> Item:
        """Describe an item by a few words, which may be empty, and its labels by attribute of the vocabulary; those of
        the attributes in ``corrected`` are a person's, the others a photo's. They replace words that they contradict.
        ``embedding`` is the photo's, unit length, ``(D,)``.

        Raises:
            DataError: If an attribute or a label isn't in the vocabulary, or a garment type has another category.
        """
        for name in (*attributes, *corrected):
            if name not in self.vocabulary.attributes:
                raise DataError(f"no attribute '{name}': accepted are {', '.join(self.vocabulary.attributes)}")
        for name, labels in attributes.items():
            entries = {entry.text: entry for entry in self.vocabulary.attributes[name].labels}
            for label in labels:
                if label not in entries:
                    raise DataError(f"no {name} '{label}': accepted are {', '.join(entries)}")
                expected = entries[label].category
                if name == KINDS and expected not in (None, category):
                    raise DataError(f"a '{label}' is worn as '{expected}', not as '{category}': change one of them")
        certain = {name: tuple(Label(text, 1.0) for text in labels) for name, labels in attributes.items() if labels}
        title = FactReader(self.vocabulary).corrected_title(" ".join(title.split()), attributes, corrected, category)
        item = Item(_new_id(), title, category, is_users=True)
        return self._described(item, Description(item.id, certain, tuple(corrected)), embedding)

    def _described(self, item: Item, description: Description | None, embedding: NDArray[np.float32] | None) -> Item:
        prompt = self.trained.settings.prompt
        return describe_item(item, description, embedding, prompt, self.vocabulary, text_encoder())


def load(
    model: str | Path | None = None,
    catalogue: str | Path | None = None,
    say: Say = lambda line: None,
    progress: ShowProgress = show_no_progress,
    *,
    overrides: Sequence[str] = (),
) -> Model:
    """Load a model, and open a catalogue for it.

    Args:
        model: ``bundled``, ``base``, or a folder of ``coordi run`` or ``coordi finetune``. None for the model of the
            run in ``catalogue``, or the bundled one.
        catalogue: A folder of ``coordi catalogue build`` or ``coordi run``, ``sample``, or any data set that coordi
            reads, which is described once and cached; None for no catalogue.
        say: Shows one line to the user.
        progress: Shows progress of describing a catalogue for the first time.
        overrides: Settings of this machine, such as ``model.base=FOLDER`` where the base lies elsewhere.

    Raises:
        CoordiError: If there is no such model or catalogue, or they don't fit together.
    """
    source = None if catalogue is None else located(catalogue)
    is_run = source is not None and (source / RUN_FILE).is_file()
    trained = find_model(str((source if is_run else "bundled") if model is None else model), overrides)
    settings = trained.settings
    encoder = load_settled_encoder(settings.describe)
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    loaded = Model(trained, ModelScorers(trained), encoder, vocabulary, Labeller(encoder, vocabulary))
    return loaded if source is None else loaded.with_catalogue(_open_catalogue(source, loaded, say, progress))


def read_dataset(source: str | Path, *, seed: int = DEFAULT_SEED, **settings: Any) -> Dataset:
    """Read and clean a data set.

    Args:
        source: A release's folder, a catalogue file, a folder of photos, ``sample``, or a hub data set
            (``OWNER/NAME``, with ``allow_download=True`` unless it is in the cache).
        seed: Seed of splits that the source doesn't have, and of samples of outfits.
        settings: Fields of ``config.DataSettings``, such as ``photos="optional"`` or ``test_outfits=500``.

    Raises:
        ConfigError: If a setting is unknown or out of range.
        DataError: If the source isn't there, has an unknown layout, or has nothing usable in it.
    """
    validated = validate(DataSettings, settings, "read_dataset")
    seed = validate(RunSettings, {"seed": seed}, "read_dataset").seed
    return load_dataset(located(source, validated), validated, seed)


def evaluate(
    scorer: OutfitScorer | Callable[[Sequence[Sequence[Item]]], ArrayLike],
    data: Dataset | str | Path,
    *,
    seed: int = DEFAULT_SEED,
    **settings: Any,
) -> dict[str, Any]:
    """Evaluate a scorer under every protocol that the data allows, with confidence intervals.

    Args:
        scorer: An ``OutfitScorer``, or a function that returns one finite score per outfit, higher for more compatible
            ones. Items have the fields of their source; ids must not be used, since they name the outfit in some
            releases.
        data: A data set, or a source for ``read_dataset``.
        seed: Seed of the questions, the intervals and, for a source, its splits.
        settings: Fields of ``config.EvaluateSettings``, such as ``protocols=("random",)`` or ``bootstrap=2000``.

    Returns:
        The ``tasks`` of ``report.json``: by task and protocol the figures, without baselines.

    Raises:
        ConfigError: If a setting is unknown or out of range.
        DataError: If the data can't be read or has too few outfits.
        EvaluationError: If the scorer returns anything else than one finite score per outfit.
        MissingDependencyError: If ``coordi[train]`` isn't installed.
    """
    from coordi.evaluation import benchmark
    from coordi.evaluation.question_sets import draw_questions

    validated = validate(EvaluateSettings, settings, "evaluate")
    seed = validate(RunSettings, {"seed": seed}, "evaluate").seed
    if not isinstance(scorer, OutfitScorer) and not callable(scorer):
        raise EvaluationError(f"a scorer is a function of outfits, or an object with {_SCORER}; got {scorer!r}")
    benchmark.check_installed()
    dataset = data if isinstance(data, Dataset) else read_dataset(data, seed=seed)
    if not isinstance(scorer, OutfitScorer):
        scorer = benchmark.CallableScorer(getattr(scorer, "__name__", type(scorer).__name__), scorer)
    run = benchmark.EvaluationRun(validated, seed, dataset.items)
    return dict(benchmark.measure(draw_questions(dataset, validated, seed), [scorer], run).tasks)


def _open_catalogue(source: Path, model: Model, say: Say, progress: ShowProgress) -> Catalogue:
    from coordi.pipeline import stages  # advice needs nothing of evaluation and its report

    settings = model.trained.settings
    if (source / INFO_FILE).is_file():
        return Catalogue.open(source)
    if (source / RUN_FILE).is_file():
        described_with = RunSettings.model_validate(read_json(source / RUN_FILE)["settings"]).describe
        if described_with.vocabulary != settings.describe.vocabulary:
            raise RecommendationError(
                f"'{source}' was described with the vocabulary '{described_with.vocabulary}', but the model was "
                f"trained with '{settings.describe.vocabulary}'; give the data itself with --catalogue"
            )
        prepared = stages.prepared_data(source, settings)
    else:
        inputs = fingerprint(source)
        key = json.dumps([code_identity(), str(source.resolve()), inputs, settings.describe.model_dump(mode="json")])
        out = cache_folder() / "catalogues" / hashlib.sha256(key.encode()).hexdigest()[:16]
        with_all_items = {"data": settings.data.model_copy(update={"photos": "optional"})}
        command = f"coordi recommend --catalogue {source}"
        work = Workspace(source, out, settings.model_copy(update=with_all_items), command, say, progress)
        prepared = stages.prepare(work, inputs)
    prepared.check_encoder((model.encoder.name, model.encoder.identity))
    return stages.catalogue_of(prepared, settings, tuple(prepared.dataset.items.values()), str(source))


def _describes_alike(settings: DescribeSettings, other: DescribeSettings) -> bool:
    irrelevant = {"batch_size", "allow_download", "identity"}  # none changes a description
    return settings.model_dump(exclude=irrelevant) == other.model_dump(exclude=irrelevant)


def _is_photo(path: str | Path) -> bool:
    """Whether a user means a path: a ``Path``, text that ends like a photo, or the name of a file that exists."""
    if isinstance(path, Path) or path.lower().endswith(PHOTO_SUFFIXES):
        return True
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long for a file's name, or not a name at all
        return False


def _new_id() -> str:
    """An id for an item that is in no catalogue, unique in this process."""
    return f"given:{next(_numbers)}"
