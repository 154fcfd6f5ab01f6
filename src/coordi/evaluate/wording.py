"""What reports call protocols, scorers and tasks, and how they write figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Task = Literal["compatibility", "fill_in_the_blank", "retrieval"]
TASKS: tuple[Task, ...] = ("compatibility", "fill_in_the_blank", "retrieval")

Kind = Literal["language model", "baseline", "file"]


@dataclass(frozen=True, slots=True)
class ScorerWords:
    """What a scorer is called and what it sees.

    Attributes:
        label: As a table's row.
        note: In a few words; a baseline's says what it sees.
        kind: ``baseline`` needs no language model to answer; ``file`` came as somebody's scores.
    """

    label: str
    note: str
    kind: Kind = "baseline"


PROTOCOL_WORDS: Mapping[str, tuple[str, str]] = {
    "random": ("Random items", "made-up outfits take their items from anywhere, so categories alone can tell"),
    "same-category": (
        "Same categories",
        "made-up outfits swap each item for another of the same category, so only style tells",
    ),
    "one-swapped": ("One item swapped", "made-up outfits differ from a real one in a single item of the same category"),
    "pairs": ("Pairs of items", "two items of an outfit, or one of them beside a stranger of the same category"),
    "release": ("The release’s own questions", "the question files that came with the data"),
    "release-resampled": (
        "The release’s own questions, resampled",
        "the release’s question files whose made-up outfits keep the categories",
    ),
}
SCORER_WORDS: Mapping[str, ScorerWords] = {
    "fine-tuned": ScorerWords(
        "Fine-tuned model", "the language model with its adapter, and what it is joined with", "language model"
    ),
    "language-model": ScorerWords(
        "Language model alone", "the fine-tuned model, joined with nothing", "language model"
    ),
    "without-language-model": ScorerWords(
        "Without the language model", "what the fine-tuned model is joined with, weighed on the same questions"
    ),
    "base": ScorerWords("Base model", "the same language model before fine-tuning", "language model"),
    "frozen-probe": ScorerWords("Frozen probe", "logistic regression on the base model’s states", "language model"),
    "chance": ScorerWords("Chance", "draws a number for each outfit"),
    "size": ScorerWords("Number of items", "sees how many items there are, nothing else"),
    "order": ScorerWords("Order of items", "sees the order of the categories, nothing else"),
    "popularity": ScorerWords("Popularity", "sees how often an item and its kind are worn in training outfits"),
    "category-pairs": ScorerWords("Category pairs", "sees which categories meet, no title and no photo"),
    "title-cosine": ScorerWords("Title likeness", "sees how many words the titles and kinds of items share"),
    "sentence-cosine": ScorerWords(
        "Text likeness",
        "sees how alike a sentence encoder finds what a prompt says of the items (category, title, what was seen in "
        "the photo), less what is usual for their category in training outfits",
    ),
    "encoder-similarity": ScorerWords(
        "Encoder likeness",
        "sees how alike the image encoder finds the photos, or the titles where there is no photo, less what is usual "
        "for their category in training outfits",
    ),
    "set-transformer": ScorerWords("Set transformer", "a small network trained on frozen vectors of the items"),
}
TASK_WORDS: Mapping[Task, str] = {
    "compatibility": "Compatibility",
    "fill_in_the_blank": "Fill in the blank",
    "retrieval": "Retrieval",
}
METRIC_WORDS: Mapping[str, str] = {"auc": "AUC", "accuracy": "accuracy", "f1": "F1", "mrr": "MRR"}


def protocol_words(name: str) -> tuple[str, str]:
    """A protocol's title and meaning; a ``release-`` one that isn't known is told by its own name."""
    if name not in PROTOCOL_WORDS and name.startswith("release-"):
        title, meaning = PROTOCOL_WORDS["release"]
        return f"{title} ({name.removeprefix('release-')})", meaning
    return PROTOCOL_WORDS.get(name, (name, ""))


def scorer_words(name: str) -> ScorerWords:
    """A scorer's words; one that coordi doesn't know came from a file and keeps its name."""
    return SCORER_WORDS.get(name, ScorerWords(name, "scores from a file", "file"))


def figure(value: float | None) -> str:
    """A share or score with three decimals; an en dash if there is none."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference with three decimals and its sign, the minus as it is printed; nothing has none."""
    text = f"{value:+.3f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def p_value(value: float) -> str:
    """A p-value as journals print it: three decimals, and below a thousandth only that."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def lower_first(text: str) -> str:
    """The first letter small, for the middle of a sentence; a word in capitals stays."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def subject_words(name: str) -> str:
    """A scorer at the start of a sentence: ``The fine-tuned model``; one from a file by its name."""
    words = scorer_words(name)
    return words.label if words.kind == "file" else f"The {lower_first(words.label)}"


def place_words(where: str) -> str:
    """Where something was found, with protocols in words: ``same-category blanks`` is ``same categories, blanks``."""
    return "; ".join(_place(part.strip()) for part in where.split(","))


def _place(part: str) -> str:
    protocol, _, rest = part.partition(" ")
    title, meaning = protocol_words(protocol)
    if not meaning or (rest and rest.replace("-", "_") not in (*TASKS, "blanks")):
        return part
    return f"{lower_first(title)}, {rest.replace('-', ' ')}" if rest else lower_first(title)
