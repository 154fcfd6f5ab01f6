"""Everything that the command line, the batch and the server ask: a model, a catalogue and an encoder, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coordi.data.categories import category_of
from coordi.data.photos import PHOTO_SUFFIXES, open_photo
from coordi.describe.describer import Labeller
from coordi.describe.encoder import ImageTextEncoder, load_settled_encoder
from coordi.describe.vocabulary import KINDS, Vocabulary, load_vocabulary
from coordi.domain import Description, Item, Label, WornCategory
from coordi.errors import DataError, RecommendationError
from coordi.pipeline.item_scoring import LoadedModel
from coordi.pipeline.models import find_model
from coordi.pipeline.opening_catalogues import open_catalogue
from coordi.pipeline.plain_parts import text_encoder
from coordi.pipeline.scorers import MeasuredModel
from coordi.pipeline.workspace import CLAIM
from coordi.progress import Progress, silent
from coordi.recommend.catalogue_index import CatalogueIndex
from coordi.recommend.described_item import DescribedItem
from coordi.recommend.facets import describe_item
from coordi.recommend.item_scorer import ItemScorer
from coordi.recommend.stylist import Stylist

if TYPE_CHECKING:
    from PIL import Image

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
    category: WornCategory | None
    vector: NDArray[np.float32]


def _say_nothing(line: str) -> None:
    """For who wants no word of what goes on."""


@contextmanager
def _show_nothing(label: str) -> Iterator[Progress]:
    yield silent


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

    model: MeasuredModel
    scorer: ItemScorer
    encoder: ImageTextEncoder
    vocabulary: Vocabulary
    labeller: Labeller
    index: CatalogueIndex | None = None

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
        is_run = catalogue is not None and (catalogue / CLAIM).is_file()
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

    def item_of_photo(self, path: Path) -> DescribedItem:
        """An item of a photo's file.

        Raises:
            ImageError: If it is missing or can't be opened.
            DataError: If the encoder isn't sure what it shows.
        """
        (seen,) = self.see([open_photo(path)])
        if seen.category is None:
            raise DataError(f"the encoder can't tell what '{path}' shows; say it in words, like 'navy wool blazer'")
        return self._item(Item(_new_id(), "", seen.category, image=path), seen.description, seen.vector)

    def item_of_words(self, words: str) -> DescribedItem:
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
        self, category: WornCategory, attributes: Mapping[str, Sequence[str]], title: str = ""
    ) -> DescribedItem:
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

    def items_of_ids(self, ids: Sequence[str]) -> list[DescribedItem]:
        """Items of the catalogue.

        Raises:
            RecommendationError: If there is none of an id, with near ones.
        """
        known = {} if self.index is None else self.index.get(ids)
        for name in ids:
            if name not in known:
                raise RecommendationError(f"no item '{name}': {self._accepted(name)}")
        return [known[name] for name in ids]

    def item_given(self, given: str) -> DescribedItem:
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

    def _item(self, item: Item, description: Description | None, vector: NDArray[np.float32] | None) -> DescribedItem:
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
