"""A model, a catalogue and an encoder opened together, for every front end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, cache_folder, no_progress, read_json
from coordi.config import DescribeSettings, RunSettings
from coordi.data.categories import category_of
from coordi.data.photos import PHOTO_SUFFIXES, open_photo
from coordi.encoders.base import ImageTextEncoder, load_settled_encoder
from coordi.encoders.describe import Labeller
from coordi.encoders.labels import KINDS, Vocabulary, load_vocabulary
from coordi.errors import DataError, RecommendationError
from coordi.pipeline import stages
from coordi.pipeline.catalogue_build import DescriptionPipeline
from coordi.pipeline.ensemble import text_encoder
from coordi.pipeline.stages import RUN_FILE, Workspace, code_identity, fingerprint
from coordi.pipeline.trained import LoadedModel, TrainedModel, find_model
from coordi.recommend.answers import ItemScorer
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import INFO_FILE, check_fits
from coordi.recommend.items import describe_item, describe_items
from coordi.recommend.stylist import Stylist
from coordi.types import Description, GarmentCategory, Item, Label

if TYPE_CHECKING:
    from PIL import Image


def open_catalogue(
    source: Path,
    settings: RunSettings,
    encoder: ImageTextEncoder,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> Catalogue:
    """Open a catalogue for a model.

    Args:
        source: What ``coordi catalogue build`` made, a run's output folder, or any data that coordi reads, which is
            described once and kept in the cache.
        settings: The model's.
        encoder: The model's.
        say: Shows one line to the user.
        progress: Shows progress of describing.

    Raises:
        CoordiError: If there is none, or it was made for another encoder or other prompts than the model's.
    """
    if (source / INFO_FILE).is_file():
        index = Catalogue.open(source)
        eyes = DescriptionPipeline(
            settings.describe, settings.prompt, encoder, load_vocabulary(settings.describe.vocabulary)
        )
        check_fits(source, index.info, eyes.info(index.info.name, index.info.source))
        return index
    if (source / RUN_FILE).is_file():
        described_as = RunSettings.model_validate(read_json(source / RUN_FILE)["settings"]).describe
        if not _see_alike(described_as, settings.describe):
            raise RecommendationError(
                f"'{source}' was described by the encoder '{described_as.encoder}' with the vocabulary "
                f"'{described_as.vocabulary}', but the model learned from '{settings.describe.encoder}' with "
                f"'{settings.describe.vocabulary}'; give the data itself with --catalogue"
            )
        material = stages.finished_material(source, settings)
    else:
        material = _described_once(source, settings, say, progress)
    material.described.check_seen_by((encoder.name, encoder.identity))
    return index_of(material, settings, tuple(material.dataset.items.values()), str(source))


def index_of(material: stages.PreparedData, settings: RunSettings, items: tuple[Item, ...], source: str) -> Catalogue:
    """A catalogue in memory of items of a data set.

    Args:
        material: What is known of them.
        settings: How they are told.
        items: Which of them.
        source: Where the data set is from.
    """
    eyes = DescriptionPipeline.of(settings.describe, settings.prompt)
    seen = material.described
    vectors = seen.vectors(item.id for item in items)
    described = describe_items(items, seen.descriptions, vectors, settings.prompt, eyes.vocabulary, text_encoder())
    return Catalogue.in_memory(eyes.info(material.dataset.name, source), described)


def _see_alike(one: DescribeSettings, other: DescribeSettings) -> bool:
    alike = {"batch_size": 1, "allow_download": False}  # neither changes what is seen
    return one.model_copy(update=alike) == other.model_copy(update=alike)


def _described_once(
    source: Path,
    settings: RunSettings,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> stages.PreparedData:
    inputs = fingerprint(source)
    known = json.dumps([code_identity(), str(source.resolve()), inputs, settings.describe.model_dump(mode="json")])
    out = cache_folder() / "catalogues" / hashlib.sha256(known.encode()).hexdigest()[:16]
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"photos": "optional"})})
    work = Workspace(source, out, settings, f"coordi recommend --catalogue {source}", say, progress)
    return stages.prepare(work, inputs)


_NUMBERS = count()
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True, eq=False)
class SeenPhoto:
    """What was seen in one photo.

    Attributes:
        description: What is sure enough to be said; its item id is empty.
        category: What it is worn as; None if the encoder isn't sure.
        vector: Of the photo, unit length, shape ``(D,)``.
    """

    description: Description
    category: GarmentCategory | None
    vector: NDArray[np.float32]


def _say_nothing(line: str) -> None:
    """For who wants no word of what goes on."""


@contextmanager
def _show_nothing(label: str) -> Iterator[Progress]:
    yield no_progress


@dataclass(frozen=True, eq=False)
class Advisor:
    """What advice is made with. Safe to be asked from several threads, if its parts are.

    Attributes:
        model: The model under which items are told and scored.
        scorer: It, loaded when it is first needed.
        encoder: Sees photos; the one that the model's texts are from.
        vocabulary: What may be said of them.
        labeller: Says it.
        index: The catalogue; None without one.
    """

    model: TrainedModel
    scorer: ItemScorer
    encoder: ImageTextEncoder
    vocabulary: Vocabulary
    labeller: Labeller
    index: Catalogue | None = None

    @classmethod
    def open(
        cls,
        catalogue: Path | None = None,
        model: str | None = None,
        say: Callable[[str], None] = _say_nothing,
        progress: Callable[[str], AbstractContextManager[Progress]] = _show_nothing,
    ) -> Advisor:
        """Open a catalogue for a model.

        Args:
            catalogue: What ``coordi catalogue build`` made, a run's output folder, or any data that coordi reads, which
                is described once and kept in the cache; None for no catalogue.
            model: As for ``find_model``; None takes the model of the run in ``catalogue``, or the bundled one.
            say: Shows one line to the user.
            progress: Shows progress of describing a catalogue for the first time.

        Raises:
            CoordiError: If there is no such model or catalogue, or they don't fit together.
        """
        is_run = catalogue is not None and (catalogue / RUN_FILE).is_file()
        found = find_model(model or (str(catalogue) if is_run else "bundled"))
        settings = found.settings
        encoder = load_settled_encoder(settings.describe)
        vocabulary = load_vocabulary(settings.describe.vocabulary)
        index = None if catalogue is None else open_catalogue(catalogue, settings, encoder, say, progress)
        scorer: ItemScorer = LoadedModel(found)
        if index is not None:
            scorer = scorer.in_catalogue(index)
        return cls(found, scorer, encoder, vocabulary, Labeller(encoder, vocabulary), index)

    @property
    def stylist(self) -> Stylist:
        """Who advises; making one costs nothing."""
        settings = self.model.settings.recommend
        return Stylist(self.index, self.scorer, settings, self.vocabulary, text_encoder().encode_texts)

    def with_parts(self, *, scorer: ItemScorer | None = None, encoder: ImageTextEncoder | None = None) -> Advisor:
        """The same with other parts in place, such as ones that gather requests."""
        return replace(self, scorer=scorer or self.scorer, encoder=encoder or self.encoder)

    def renewed(self) -> Advisor | None:
        """The same with the catalogue as it is on disk now; None if that is the one that is open.

        The one that was open is not closed: questions may be in the midst of it.

        Raises:
            CoordiError: If what is there now can't be opened, or wasn't made for this model.
        """
        if self.index is None or self.index.folder is None or not self.index.is_replaced:
            return None
        settings = self.model.settings
        index = open_catalogue(self.index.folder, settings, self.encoder, _say_nothing, _show_nothing)
        return replace(self, index=index, scorer=self.scorer.in_catalogue(index))

    def see(self, images: Sequence[Image.Image]) -> list[SeenPhoto]:
        """What is seen in RGB photos of any size, in order."""
        if not images:
            return []
        vectors = self.encoder.encode_images(images)  # (N, D)
        said = self.labeller.descriptions([""] * len(images), vectors)
        worn = self.labeller.worn(said, vectors)
        return [SeenPhoto(*one) for one in zip(said, worn, vectors, strict=True)]

    def item_of_photo(self, path: Path) -> Item:
        """An item of a photo's file.

        Raises:
            ImageError: If it is missing or can't be opened.
            DataError: If the encoder isn't sure what it shows.
        """
        (seen,) = self.see([open_photo(path)])
        if seen.category is None:
            raise DataError(f"the encoder can't tell what '{path}' shows; say it in words, like 'navy wool blazer'")
        return self._item(Item(_new_id(), "", seen.category, image=path), seen.description, seen.vector)

    def item_of_words(self, words: str) -> Item:
        """An item of a few words.

        Raises:
            DataError: If they name nothing that is worn.
        """
        title = " ".join(words.split())
        category = category_of(title)
        if category is None:
            raise DataError(
                f"'{words}' names nothing that is worn, no photo and no item of a catalogue; write it like 'navy wool "
                f"blazer', or give the path of a photo ({', '.join(PHOTO_SUFFIXES)})"
            )
        return self._item(Item(_new_id(), title, category), None, None)

    def item_of_labels(
        self, category: GarmentCategory, attributes: Mapping[str, Sequence[str]], title: str = ""
    ) -> Item:
        """An item of what was seen in a photo and perhaps corrected.

        Args:
            category: What it is worn as.
            attributes: By attribute of the vocabulary, labels of it.
            title: A few words of the user's own; may be empty.

        Raises:
            DataError: If an attribute or label isn't the vocabulary's, or a kind isn't worn as that category, with what
                is accepted.
        """
        for name, labels in attributes.items():
            if name not in self.vocabulary.attributes:
                raise DataError(f"no attribute '{name}': accepted are {', '.join(self.vocabulary.attributes)}")
            known = {entry.text: entry for entry in self.vocabulary.attributes[name].labels}
            for label in labels:
                if label not in known:
                    raise DataError(f"no {name} '{label}': accepted are {', '.join(known)}")
                worn = known[label].worn
                if name == KINDS and worn is not None and worn != category:
                    raise DataError(f"a '{label}' is worn as '{worn}', not as '{category}': change one of them")
        said = {name: tuple(Label(text, 1.0) for text in labels) for name, labels in attributes.items() if labels}
        item = Item(_new_id(), " ".join(title.split()), category)
        return self._item(item, Description(item.id, said), None)

    def items_of_ids(self, ids: Sequence[str]) -> list[Item]:
        """Items of the catalogue.

        Raises:
            RecommendationError: If there is none of an id, with near ones.
        """
        known = {} if self.index is None else self.index.get(ids)
        for name in ids:
            if name not in known:
                raise RecommendationError(f"no item '{name}': {self._accepted(name)}")
        return [known[name] for name in ids]

    def item_given(self, given: str) -> Item:
        """An item as a user names it on the command line: an id of the catalogue, a photo's path, or words.

        Raises:
            DataError: If it is none of them, or can't be told.
            ImageError: If it is a photo that can't be opened.
        """
        if self.index is not None:
            found = self.index.get([given])
            if given in found:
                return found[given]
        return self.item_of_photo(Path(given)) if is_photo(given) else self.item_of_words(given)

    def _accepted(self, name: str) -> str:
        if self.index is None or not len(self.index):
            return "there is no catalogue with items to look it up in; give words or a photo"
        near = ", ".join(self.index.near_ids(name[:_LONGEST_ID]))
        return f"accepted are the ids of the catalogue's {len(self.index)} items, such as {near}"

    def _item(self, item: Item, description: Description | None, vector: NDArray[np.float32] | None) -> Item:
        prompt = self.model.settings.prompt
        return describe_item(item, description, vector, prompt, self.vocabulary, text_encoder())


def is_photo(given: str) -> bool:
    """Whether what a user gave is meant as a path: it ends like a photo, or a file of that name is there."""
    if given.lower().endswith(PHOTO_SUFFIXES):
        return True
    try:
        return Path(given).is_file()
    except (OSError, ValueError):  # too long for a file's name, or no name at all
        return False


def _new_id() -> str:
    """Of an item that is in no catalogue; unique in this process."""
    return f"given:{next(_NUMBERS)}"
