"""Lets a fine-tuned model name in words what was removed from test outfits, and measures it beside baselines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coordi.artifacts import Progress
from coordi.config import RunSettings
from coordi.encoders.complements import ComplementRecommender, recommender_of
from coordi.encoders.labels import Vocabulary, load_vocabulary
from coordi.evaluation.naming import (
    Answers,
    NameExample,
    NameQuestion,
    NamingResult,
    draw_name_questions,
    naming_figures,
)
from coordi.model.ensemble import text_encoder
from coordi.model.generation import NameRequest, Written
from coordi.model.trained import ModelScorers
from coordi.recommend.generated import NamedWords, note_on, words_of_name
from coordi.recommend.items import describe_items
from coordi.types import Dataset, Item, OutfitScorer

SHORTLIST, POPULARITY = "zero-shot recommendation", "popularity"
_SHORTLISTED = 3
_MATCHED = 3


def measure_naming(
    dataset: Dataset, writer: ModelScorers, scorer: OutfitScorer, settings: RunSettings, progress: Progress
) -> NamingResult | None:
    """Figures and examples of what a model names; None if there is no question. ``scorer`` gives P(yes) of examples."""
    questions = draw_name_questions(dataset, settings.seed, settings.evaluate.names)
    if not questions:
        return None
    written = writer.write([NameRequest(dataset.items_of(row.context), row.want) for row in questions], progress)
    named = [words_of_name(row.text, q.want, row.recommended) for q, row in zip(questions, written, strict=True)]
    naming = _Naming(dataset, questions, settings)
    answers = (
        naming.by_words(scorer.name, [row.words for row in named]),
        naming.by_encoder(written),
        naming.by_popularity(),
    )
    figures = naming_figures(questions, answers, dataset.items, settings.seed, settings.evaluate.bootstrap)
    figures["named_one_item"] = sum(row.kind is not None and not row.note for row in named) / len(named)
    examples = naming.examples(written, named, answers, scorer, settings.evaluate.examples)
    return NamingResult(figures, examples)


@dataclass(frozen=True)
class _Naming:
    dataset: Dataset
    questions: Sequence[NameQuestion]
    settings: RunSettings

    @property
    def vocabulary(self) -> Vocabulary:
        return load_vocabulary(self.settings.describe.vocabulary)

    @property
    def recommender(self) -> ComplementRecommender:
        return recommender_of(self.settings.describe)

    def by_words(self, name: str, words: Sequence[str]) -> Answers:
        """Words, and candidates by the similarity of their texts to them."""
        items = self._described(words)
        scores = (
            [float(candidate.text_embedding @ item.text_embedding) for candidate in self._candidates(question)]
            for question, item in zip(self.questions, items, strict=True)
        )
        return Answers(name, items, tuple(map(np.array, scores)))

    def by_encoder(self, written: Sequence[Written]) -> Answers:
        """The most probable garment type, and candidates by the similarity of their photos to those of the outfit."""
        words = [
            row.recommended[0].text if row.recommended else question.want
            for question, row in zip(self.questions, written, strict=True)
        ]
        scores = (
            [float(self.recommender.vector(item) @ row.query) for item in self._candidates(question)]
            for question, row in zip(self.questions, written, strict=True)
        )
        return Answers(SHORTLIST, self._described(words), tuple(map(np.array, scores)))

    def by_popularity(self) -> Answers:
        """The kind and the colour of a category that training outfits have most, and candidates by these counts."""
        kinds: dict[str, Counter[str]] = defaultdict(Counter)
        colours: dict[str, Counter[str]] = defaultdict(Counter)
        for outfit in self.dataset.outfits_of("train"):
            for item in self.dataset.items_of(outfit.item_ids):
                kinds[item.category or ""].update(filter(None, [item.kind]))
                colours[item.category or ""].update(item.colours)

        def most(counts: Counter[str]) -> str:
            return next((name for name, _ in counts.most_common(1)), "")

        def score(item: Item, want: str) -> float:
            of_colour = max((colours[want][colour] for colour in item.colours), default=0)
            return kinds[want][item.kind or ""] + of_colour / (1 + colours[want].total())

        words = [f"{most(colours[row.want])} {most(kinds[row.want]) or row.want}".strip() for row in self.questions]
        scores = tuple(
            np.array([score(item, row.want) for item in self.dataset.items_of(row.candidates)])
            for row in self.questions
        )
        return Answers(POPULARITY, self._described(words), scores)

    def examples(
        self,
        written: Sequence[Written],
        named: Sequence[NamedWords],
        answers: Sequence[Answers],
        scorer: OutfitScorer,
        count: int,
    ) -> tuple[NameExample, ...]:
        """Every step of a few questions, those with the most photos."""

        def photos(number: int) -> int:
            question = self.questions[number]
            return sum(item.image is not None for item in self.dataset.items_of((*question.context, question.removed)))

        examples = []
        for number in sorted(range(len(self.questions)), key=photos, reverse=True)[:count]:
            question, row, words = self.questions[number], written[number], named[number]
            context = self.dataset.items_of(question.context)
            by_words, by_photo = (
                [question.candidates[column] for column in np.argsort(-answer.scores[number], kind="stable")]
                for answer in answers[:2]
            )
            matched = by_words[:_MATCHED]
            outfits = [(*context, item) for item in self.dataset.items_of(matched)]
            alone = [context] if len(context) > 1 else []
            scores = scorer.score([*alone, *outfits]).tolist()
            items = self.dataset.items_of(by_words)
            examples.append(
                NameExample(
                    question.context, question.want, question.removed, row.recommended, tuple(by_photo[:_SHORTLISTED]),
                    row.prompt, row.text, scores[0] if alone else None,
                    tuple(zip(matched, scores[len(alone) :], strict=True)),
                    note_on(words, question.want, items, self.vocabulary),
                )
            )  # fmt: skip
        return tuple(examples)

    def _described(self, words: Sequence[str]) -> tuple[Item, ...]:
        items = [
            Item(f"named {number}", text, question.want)
            for number, (question, text) in enumerate(zip(self.questions, words, strict=True))
        ]
        return tuple(describe_items(items, {}, {}, self.settings.prompt, self.vocabulary, text_encoder()))

    def _candidates(self, question: NameQuestion) -> tuple[Item, ...]:
        return self.dataset.items_of(question.candidates)
