"""Items, outfits, descriptions, data sets and questions as frozen types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

# Sources of the negatives of compatibility questions, defined in docs/method.md.
Negatives = Literal["random", "same-category", "one-swapped", "pairs"]
NEGATIVES: tuple[Negatives, ...] = ("random", "same-category", "one-swapped", "pairs")

# Sources of the wrong candidates of fill-in-the-blank questions.
FitbNegatives = Literal["random", "same-category"]
FITB_NEGATIVES: tuple[FitbNegatives, ...] = ("random", "same-category")

# Tasks of a release's question files.
ReleaseTask = Literal["compatibility", "fill-in-the-blank"]

GarmentCategory = Literal[
    "top", "bottom", "dress", "outerwear", "shoes", "bag", "jewellery", "headwear", "eyewear", "scarf", "gloves",
    "belt", "watch", "hosiery", "swimwear", "accessory",
]  # fmt: skip
GARMENT_CATEGORIES: tuple[GarmentCategory, ...] = get_args(GarmentCategory)

# Whom an item is made for: ``unisex`` are women and men, ``children`` are girls and boys.
Gender = Literal["women", "men", "girls", "boys", "unisex", "children"]
GENDERS: tuple[Gender, ...] = ("women", "men", "girls", "boys", "unisex", "children")
OF_CHILDREN: frozenset[Gender] = frozenset({"girls", "boys", "children"})

FactName = Literal[
    "kind", "category", "colour", "pattern", "material", "formality", "seasons", "purposes", "tradition", "audience",
]  # fmt: skip
# Whose word a fact is, the first of which counts: the user, a shop's column, the title, the photo, or what is usual for
# the item's kind.
FactSource = Literal["user", "shop", "title", "photo", "kind"]


class RandomStream(IntEnum):
    """Second number of the seed of each generator, so that no two draws of a run depend on each other."""

    VALIDATION_QUESTIONS = 72
    DROPOUT = 73
    SPLIT = 101
    SPLIT_CAP = 102
    COMPATIBILITY = 111
    FITB = 112
    ITEM_ORDER = 113
    RETRIEVAL = 113  # the number of ITEM_ORDER: another one would change every published figure of retrieval
    AUDIT_HALVES = 121
    AUDIT_ORDER = 122
    RELEASE = 131
    BOOTSTRAP = 401
    COMPARISON = 421
    PROBE = 423
    SET_TRANSFORMER = 424
    LEAK_BASELINE = 427
    TRAINING_ORDER = 501
    RECOMMENDATIONS = 601
    NAMES = 602


@cache
def _no_embedding() -> NDArray[np.float32]:
    import numpy as np

    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Fact:
    """What one source says of an item, such as its colours, the most important first."""

    values: tuple[str, ...]
    source: FactSource


Facts = Mapping[FactName, tuple[Fact, ...]]
"""By name; the first fact of a name counts."""


@dataclass(frozen=True, slots=True)
class Item:
    """One garment or accessory, with the fields of its source and those that coordi adds.

    A reader sets the fields up to ``extra``; ``recommend.items.describe_items`` adds the others.

    Attributes:
        id: Unique within its data set. In the Maryland release it names the outfit, so it must never reach a prompt
            or a feature.
        title: The seller's words, cleaned; empty if there are none.
        category: Garment category; None if neither its text nor its photo determines it.
        subcategory: The source's own, finer category (``"Day Dresses"``); empty if there is none.
        image: Path of its photo; None if it has none.
        price: In the source's currency; None if unknown.
        extra: The source's other columns by name.
        description: Labels of its photo, from an encoder or corrected by a user; None without a photo.
        text: Its text in prompts (``prompts.item_text``); empty before it is described.
        text_embedding: Of ``text``, by the bundled text encoder, unit length, shape ``(T,)``; ``(0,)`` before
            it is described.
        photo_embedding: Of its photo, unit length, shape ``(D,)``; None without a photo.
        brand: As the source has it; empty if unknown.
        colours: Labels of the vocabulary's ``colour``, of the first source that names one; empty if unknown.
        gender: None if unknown.
        season: As the source has it, in lower case; empty if unknown.
        in_stock: None if unknown, which counts as in stock.
        facts: What is known of it, by name; the first fact of a name counts, the others are of sources that come later.
        is_users: True if its title is a user's own words, not a shop's.
    """

    id: str
    title: str
    category: GarmentCategory | None
    subcategory: str = ""
    image: Path | None = None
    price: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    description: Description | None = None
    text: str = ""
    text_embedding: NDArray[np.float32] = field(default_factory=_no_embedding, compare=False, repr=False)
    photo_embedding: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    brand: str = ""
    colours: tuple[str, ...] = ()
    gender: Gender | None = None
    season: str = ""
    in_stock: bool | None = None
    facts: Facts = field(default_factory=dict)
    is_users: bool = False

    @property
    def kind(self) -> str | None:
        """Name of its kind of garment in the lexicon; None if unknown."""
        return self.facts["kind"][0].values[0] if "kind" in self.facts else None


EmbeddingSort = Literal["text", "photo"]
"""What an embedding is of."""


@runtime_checkable
class OutfitScorer(Protocol):
    """Scores how well the items of an outfit go together: a trained model, a baseline, or a user's own.

    Attributes:
        name: For reports and files; unique among the scorers of one evaluation.
        gives_probabilities: True if scores are probabilities, so that their calibration is measured as they are.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def gives_probabilities(self) -> bool: ...  # noqa: D102

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Compatibility of each outfit of two items or more, shape ``(N,)``, finite, higher is better.

        A scorer must not use an item's id as a feature: in the Maryland release it names the outfit.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outfit:
    """Items that somebody put together, in the source's order (which leaks answers: shuffle before use)."""

    id: str
    item_ids: tuple[str, ...]
    split: Split
    title: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """One label of an attribute with its probability in ``[0, 1]`` among the labels of that attribute."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Description:
    """Labels of a photo by attribute (``"category"``, ``"colour"``, ...), in the vocabulary's order.

    The labels of an attribute are those that passed its threshold, most probable first; there is no empty attribute.
    Labels of the attributes in ``corrected`` are a person's.
    """

    item_id: str
    attributes: Mapping[str, tuple[Label, ...]]
    corrected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One step of the cleaning funnel: how many items or outfits were dropped and why, or were repaired.

    Attributes:
        reason: For users, such as ``"nobody wears it (rugs, lipstick, ...)"``.
        count: Number of units affected.
        left: Number of units after this step.
        dropped: False for a repair: its items stay.
    """

    unit: Literal["items", "outfits"]
    reason: str
    count: int
    left: int
    dropped: bool = True


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cleaned items and outfits of one source, with counts of what was dropped.

    Attributes:
        name: The folder's or file's name.
        layout: Recognised layout: ``"polyvore-maryland"``, ``"polyvore-outfits"``, a hub copy's layout,
            ``"catalogue"``, ``"photos"`` or ``"sample"``.
        items: By item id.
        outfits: Every outfit's items are in ``items``; empty for a catalogue without outfits.
        funnel: Cleaning steps in their order.
        text_only: True if items without a photo are in it.
        released: The question files that came with the source; empty for most.
    """

    name: str
    layout: str
    items: Mapping[str, Item]
    outfits: tuple[Outfit, ...]
    funnel: tuple[FunnelRow, ...]
    text_only: bool
    released: tuple[ReleaseQuestions, ...] = ()

    def outfits_of(self, split: Split) -> tuple[Outfit, ...]:
        """The outfits of one split, in the source's order."""
        return tuple(outfit for outfit in self.outfits if outfit.split == split)

    def items_of(self, item_ids: Sequence[str]) -> tuple[Item, ...]:
        """Items by their ids, in order."""
        return tuple(self.items[item_id] for item_id in item_ids)


@dataclass(frozen=True, slots=True)
class CompatibilityQuestion:
    """Do these items go together?

    Attributes:
        outfit_id: The true outfit that it was made from; positives and their negatives share it, so that intervals can
            be resampled by outfit.
        item_ids: Shuffled.
        compatible: True for an outfit that somebody put together.
    """

    id: str
    outfit_id: str
    item_ids: tuple[str, ...]
    compatible: bool


@dataclass(frozen=True, slots=True)
class FitbQuestion:
    """Which candidate completes the outfit? Complementary item retrieval asks the same of a larger pool.

    Attributes:
        item_ids: The outfit without the blanked item, shuffled.
        candidates: Item ids, shuffled.
        answer: Position of the true item in ``candidates``.
    """

    id: str
    outfit_id: str
    item_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """Counts of a release's question file.

    Attributes:
        count: Questions in the file, of outfits within the cap on the split; 0 if there is no such file.
        losses: How many questions were dropped or changed, by reason.
    """

    count: int = 0
    losses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseQuestions:
    """The usable questions of a release's files for one split.

    Attributes:
        name: The protocol's name: ``release``, or ``release-`` and the name of a second file.
        split: Split of the outfits.
        compatibility: Items shuffled, ids numbered after shuffling; empty if there is no such file.
        blanks: Likewise; the right answer is first in the files, so candidates are shuffled.
    """

    name: str
    split: Split
    compatibility: tuple[CompatibilityQuestion, ...]
    blanks: tuple[FitbQuestion, ...]
    compatibility_file: QuestionFile = field(default_factory=QuestionFile)
    blanks_file: QuestionFile = field(default_factory=QuestionFile)

    def by_task(self) -> dict[ReleaseTask, tuple[int, QuestionFile]]:
        """For each task, how many questions can be asked, and of which file."""
        return {
            "compatibility": (len(self.compatibility), self.compatibility_file),
            "fill-in-the-blank": (len(self.blanks), self.blanks_file),
        }
