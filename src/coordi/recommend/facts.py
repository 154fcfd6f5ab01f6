"""What is known of an item, and who says so: the user, a shop's column, the title, the photo, or what is usual."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import Any, Literal

from coordi.data.categories import category_of
from coordi.encoders.labels import KINDS, Vocabulary
from coordi.style.languages import in_english, item_in_english
from coordi.style.lexicon import NOT_WEARABLE, SEASONS_OF_WARMTH, Kind, default_lexicon
from coordi.style.words import (
    FORMALITIES,
    Colour,
    Describing,
    Material,
    Pattern,
    Phrases,
    by_word,
    dress_codes,
    own_words,
    proper_names,
    replaced,
    stated,
    style_tables,
    words_of,
)
from coordi.types import Description, Fact, FactName, Facts, FactSource, GarmentCategory, Gender, Item, Label

# Attributes of the vocabulary.
COLOUR: Literal["colour"] = "colour"
PATTERN: Literal["pattern"] = "pattern"
MATERIAL: Literal["material"] = "material"
OCCASION = "occasion"
_LABELLED: tuple[FactName, ...] = (COLOUR, PATTERN, MATERIAL)
_OCCASIONS = (OCCASION, "formality")  # attributes whose labels are describing words
# Names are compared without case, spaces, dashes and underscores.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    COLOUR: (
        "colour", "color", "basecolour", "basecolor", "colours", "colors", "colourname", "colorname", "maincolour",
        "maincolor", "primarycolour", "primarycolor", "colourgroup", "colorgroup", "colourgroupname",
        "perceivedcolourmastername",
    ),
    PATTERN: ("pattern", "patterns", "print", "graphicalappearancename"),
    MATERIAL: ("material", "materials", "fabric", "fabrics", "composition", "fabrictype", "materialcomposition"),
    OCCASION: ("usage", "occasion", "occasions", "dresscode", "activity", "sport", "season", "seasons", "seasonname"),
}  # fmt: skip
GENDER_COLUMNS = (
    "gender", "sex", "targetgender", "agegender", "agegroup", "age", "madefor", "idealfor", "audience", "target",
    "department", "indexgroupname", "indexname",
)  # fmt: skip
# Paths of categories, of which the parts before the last may name people ("Kids > Shoes").
_PATH_COLUMNS = ("category", "producttype", "type", "categories", "categorypath", "googleproductcategory")
# Words of columns for people, beside those of the style tables: "girl" and "man" are parts of names in titles
# ("Material Girl", "man bag"). Neither "female" nor "unisex" says how old.
_COLUMN_PEOPLE: Mapping[str, tuple[str, ...]] = {
    "lady": ("women",), "man": ("men",), "girl": ("girls",), "boy": ("boys",), "everyone": ("female", "male"),
    "everybody": ("female", "male"), "kid": ("children",), "junior": ("children",), "juniors": ("children",),
    "adult": ("adults",), "adults": ("adults",),
}  # fmt: skip
_LETTERS: Mapping[str, tuple[str, ...]] = {
    "w": ("women",), "f": ("female",), "m": ("male",), "u": ("female", "male"), "all": ("female", "male"),
}  # fmt: skip
_AGES = re.compile(r"(\d{1,2})\s*(years?|yrs?|y|months?|mths?)\b")  # of "5-7 years" the end
_OLDEST_CHILD = 15
_TITLE_AGES = re.compile(
    r"\b\d{1,2}\s*(?:-|to)\s*(?:\d|1[0-5])\s*(?:years?|yrs?|months?|mths?)\b|\b\d{1,2}\s*months?\b"
)
_FEMALE, _MALE = frozenset({"women", "girls", "female"}), frozenset({"men", "boys", "male"})
_CHILDREN, _ADULTS = frozenset({"girls", "boys", "children", "baby"}), frozenset({"women", "men", "adults"})

_CASUAL, _COCKTAIL = FORMALITIES.index("casual"), FORMALITIES.index("cocktail")
_WARM = 3  # the warmth of wool
_OF_JEWELLERY = frozenset(
    {"amber", "brass", "bronze metal", "copper metal", "coral stone", "diamond", "gemstone", "gold", "jade", "pearl",
     "platinum", "silver", "turquoise stone"}
)  # fmt: skip
_OF_METAL = ("jewellery", "watch", "accessory", "belt", "eyewear")

Range = tuple[int, int]

_SOURCES_IN_WORDS: Mapping[FactSource, str] = {
    "user": "you", "shop": "shop", "title": "title", "photo": "photo", "kind": "usual",
}  # fmt: skip


def facts_as_json(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    """By name, values and source of each fact; the first counts."""
    return {name: [asdict(fact) for fact in row] for name, row in facts.items()}


def facts_in_words(facts: Facts) -> dict[str, str]:
    """What counts of each fact, such as ``"colour": "navy blue (title)"``; ``usual`` is for items of this kind."""
    words: dict[str, str] = {}
    for name, (fact, *_) in facts.items():
        words["for" if name == "audience" else name] = f"{_values(name, fact)} ({_SOURCES_IN_WORDS[fact.source]})"
    return words


def fact_in_words(name: FactName, fact: Fact) -> str:
    """Values and source of one fact, such as ``"casual to cocktail, usual"``."""
    return f"{_values(name, fact)}, {_SOURCES_IN_WORDS[fact.source]}"


def _values(name: FactName, fact: Fact) -> str:
    return (" to " if name == "formality" else ", ").join(fact.values)


@lru_cache(maxsize=4096)
def _key(column: str) -> str:
    return "".join(words_of(column))


def column_values(item: Item, columns: Sequence[str]) -> list[str]:
    """The source's values of these columns, in the columns' order; empty ones are left out."""
    by_key = {_key(name): value.strip() for name, value in item.extra.items()}
    return [by_key[column] for column in columns if by_key.get(column)]


@cache
def _describing() -> Phrases[Describing | None]:
    """Describing words; names of colours and the like hide those within them ("baby blue" names no baby)."""
    tables = style_tables()
    others: list[Colour | Pattern | Material] = [
        *tables.colours.values(),
        *tables.patterns.values(),
        *tables.materials.values(),
    ]
    hidden: dict[str, Describing | None] = dict.fromkeys((*by_word(others), *proper_names()))
    return Phrases(hidden | by_word(tables.describing.values()))


def _described_in(text: str) -> list[Describing]:
    return [word for word in _describing().values_in(stated(text)) if word is not None]


@cache
def _column_people() -> Phrases[tuple[str, ...]]:
    return Phrases(_COLUMN_PEOPLE)


def people_in_column(value: str) -> frozenset[str]:
    """Words for the people whom a column's value names; empty if there are none."""
    letters = _LETTERS.get(" ".join(words_of(value)), ())
    years = _AGES.search(value.casefold())
    if years is not None and ("m" in years[2] or int(years[1]) <= _OLDEST_CHILD):
        letters = (*letters, "children")
    named = (person for people in _column_people().values_in(value) for person in people)
    return frozenset((*letters, *named)) | _people_of(_described_in(value))


def _people_of(words: Iterable[Describing]) -> frozenset[str]:
    return frozenset(person for word in words for person in word.audience)


class LabelWords:
    """Finds labels of an attribute by their words and by those of the style tables."""

    def __init__(self, attribute: str, labels: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        """Labels of the vocabulary, each with its phrases."""
        self.names = frozenset(label for label, _ in labels)
        tables = style_tables()
        by_attribute: Mapping[str, Mapping[str, Colour | Pattern | Material]] = {
            COLOUR: tables.colours, PATTERN: tables.patterns, MATERIAL: tables.materials,
        }  # fmt: skip
        # Suggestions are filtered by colour, and filters accept labels of the vocabulary alone.
        rows = [row for row in by_attribute[attribute].values() if row.name in self.names or attribute != COLOUR]
        # Names of brands and what other tables name in several words hide the words within them ("pearl white").
        others = [row for name, table in by_attribute.items() if name != attribute for row in table.values()]
        hidden: dict[str, str] = dict.fromkeys((word for row in others for word in row.words if " " in word), "")
        self._phrases = Phrases(
            hidden
            | {word: row.name for word, row in by_word(rows).items()}
            | {phrase: label for label, phrases in labels for phrase in phrases}
            | dict.fromkeys(proper_names(), "")
        )

    @classmethod
    def of(cls, vocabulary: Vocabulary, attribute: str) -> LabelWords:
        """Words for the labels of a vocabulary's colour, pattern or material, which it need not have."""
        entries = vocabulary.attributes[attribute].labels if attribute in vocabulary.attributes else ()
        return _label_words(attribute, tuple((entry.text, entry.phrases) for entry in entries))

    def labels_in(self, text: str) -> list[str]:
        """Labels in a text, in its order; a phrase within a longer one doesn't count (navy blue isn't blue)."""
        return [label for label in self._phrases.values_in(stated(text)) if label]

    def corrected(self, text: str, labels: Sequence[str]) -> str:
        """A text with these labels for the words of others that describe the garment itself."""
        phrases = [(phrase, label) for phrase, label in self._phrases.phrases_in(own_words(text)) if label]
        added = " and ".join(label for label in labels if label not in {label for _, label in phrases})
        for phrase, label in phrases:
            if label not in labels:
                text, added = replaced(text, phrase, added), ""
        return text


_label_words = lru_cache(maxsize=16)(LabelWords)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What one source says: labels by attribute, describing words, and words for people."""

    source: FactSource
    labels: Mapping[str, Sequence[str]]
    words: Sequence[Describing] = ()
    people: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _NamedKind:
    kind: Kind
    source: FactSource
    words: str


class FactReader:
    """Reads facts of items; colours are labels of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._labels: dict[str, LabelWords] = {name: LabelWords.of(vocabulary, name) for name in _LABELLED}

    def facts(self, item: Item, description: Description | None) -> Facts:
        """What is known of an item and the labels of its photo; the first fact of each name counts.

        What is usual for a kind comes after the source that names the kind, its materials last. A photo may narrow the
        formality that is usual ("shirt"), not contradict it.
        """
        item = item_in_english(item)
        title: FactSource = "user" if item.is_users else "title"
        named = _named_kinds(item, description, title)
        kinds = _finest(named, title)
        evidence = self._evidence(item, description, title, kinds[0] if kinds else None)
        tradition = kinds[0].kind.tradition if kinds else ""
        facts: dict[FactName, list[Fact]] = {
            "kind": [Fact((named.kind.name,), named.source) for named in kinds],
            "category": _category(item, description, named),
            "colour": _of_each(evidence, [row.labels.get(COLOUR, ()) for row in evidence]),
            "pattern": _of_each(evidence, [row.labels.get(PATTERN, ()) for row in evidence]),
            "material": _of_each(evidence, [_materials(row, item.category) for row in evidence]),
            "formality": _formality(evidence),
            "seasons": _of_each(evidence, [_shared([_seasons(word) for word in row.words]) for row in evidence]),
            "purposes": _purposes(evidence, kinds[0].source if kinds else None),
            "tradition": [Fact((tradition,), "kind")] if tradition else [],
            "audience": _audience(evidence),
        }
        facts["material"].sort(key=lambda fact: fact.source == "kind")
        return {name: tuple(rows) for name, rows in facts.items() if rows}

    def corrected_title(
        self, title: str, labels: Mapping[str, Sequence[str]], corrected: Collection[str], category: GarmentCategory
    ) -> str:
        """A title with the labels that its user corrected for the words that they contradict; then it is in English.

        A kind of a tradition keeps its name within its category: no label of a photo is as fine ("hanbok", "dress").
        """
        own, title = title, in_english(title)
        translated = title
        for name in _LABELLED:
            if name in corrected:
                title = self._labels[name].corrected(title, labels.get(name, ()))
        kind, words = default_lexicon().match(title)
        if KINDS not in corrected or kind is None or kind is NOT_WEARABLE:
            return own if title == translated else title
        label = next(iter(labels.get(KINDS, ())), "")
        general = default_lexicon().find(label) if label else None
        is_finer = kind.tradition or (general and (kind is general or default_lexicon().is_a(kind, general)))
        if kind.category in (None, category) and is_finer:
            return own if title == translated else title
        return replaced(title, words, label)

    def description_in_prompts(self, item: Item, description: Description | None, facts: Facts) -> Description | None:
        """The labels that a prompt has beside the title: the photo's, or the shop's column's where that speaks.

        A photo's label isn't used where the title or a column names another, or if its occasion contradicts them.
        """
        attributes = dict(description.attributes) if description is not None else {}
        corrected = description.corrected if description is not None else ()
        for name in _LABELLED:
            fact = next(iter(facts.get(name, ())), None)
            if fact is None or fact.source in ("photo", "kind") or name in corrected:
                continue
            shops = [value for value in fact.values if fact.source == "shop" and value in self._labels[name].names]
            attributes[name] = tuple(Label(value, 1.0) for value in shops)
        for occasion in set(_OCCASIONS) & set(attributes) - set(corrected):
            attributes[occasion] = tuple(label for label in attributes[occasion] if self._agrees(label.text, facts))
        attributes = {name: labels for name, labels in attributes.items() if labels}
        return Description(item.id, attributes, corrected) if attributes else None

    def _agrees(self, label: str, facts: Facts) -> bool:
        """Whether the formality of an occasion's label has a dress code in common with what is known."""
        formality, of_label = facts.get("formality"), _shared_range(_described_in(label))
        return not formality or of_label is None or _meet(dress_codes(formality[0].values), of_label) is not None

    def _evidence(
        self, item: Item, description: Description | None, title: FactSource, named: _NamedKind | None
    ) -> list[_Evidence]:
        kind_words = default_lexicon().match(item.title)[1]
        evidence = [
            self._of_labels("user", description, corrected=True),
            self._of_columns(item),
            self._of_title(item.title, title, kind_words),
            self._of_labels("photo", description, corrected=False),
        ]
        if named is not None:
            of_kind = _evidence_of_kind(named.kind, evidence[:3], kind_words)
            evidence.insert(4 if named.source == "photo" else 3, of_kind)
        return evidence

    def _of_labels(self, source: FactSource, description: Description | None, *, corrected: bool) -> _Evidence:
        if description is None:
            return _Evidence(source, {})
        labels = {
            name: [label.text for label in labels]
            for name, labels in description.attributes.items()
            if (name in description.corrected) is corrected
        }
        words = [word for name in _OCCASIONS for label in labels.get(name, ()) for word in _described_in(label)]
        return _Evidence(source, labels, words)

    def _of_columns(self, item: Item) -> _Evidence:
        labels = {
            name: [label for value in column_values(item, COLUMNS[name]) for label in words.labels_in(value)]
            for name, words in self._labels.items()
        }
        words = [word for value in column_values(item, COLUMNS[OCCASION]) for word in _described_in(value)]
        paths = [value.rpartition(">")[0] for value in column_values(item, _PATH_COLUMNS)]
        people = [people_in_column(value) for value in (*column_values(item, GENDER_COLUMNS), *filter(None, paths))]
        in_kind = _people_of(_described_in(item.subcategory))
        first, ages = next((row for row in people if row), in_kind), _ages(people)
        if ages:  # "Women" of a column beside "kids" of another says the sex alone
            first = frozenset({"women": "female", "men": "male"}.get(person, person) for person in first)
        return _Evidence("shop", labels, words, first | ages)

    def _of_title(self, title: str, source: FactSource, kind_words: str) -> _Evidence:
        text = own_words(title)
        labels = {name: words.labels_in(text) for name, words in self._labels.items()}
        words = _described_in(own_words(title, kind_words))
        people = _people_of(_described_in(text)) | ({"children"} if _TITLE_AGES.search(title.casefold()) else set())
        return _Evidence(source, labels, words, people)


def _named_kinds(item: Item, description: Description | None, title: FactSource) -> list[_NamedKind]:
    """Kinds of the item's category by source."""
    lexicon = default_lexicon()
    labels = description.attributes.get(KINDS, ()) if description is not None else ()
    is_corrected = description is not None and KINDS in description.corrected
    label = labels[0].text if labels else ""
    texts: list[tuple[FactSource, str]] = [
        ("user", label if is_corrected else ""), ("shop", item.subcategory), (title, item.title),
        ("photo", "" if is_corrected else label),
    ]  # fmt: skip
    named = []
    for source, text in texts:
        kind, words = lexicon.match(text)
        if kind is not None and kind is not NOT_WEARABLE and kind.category in (None, item.category):
            named.append(_NamedKind(kind, source, words))
    return named


def _finest(named: list[_NamedKind], title: FactSource) -> list[_NamedKind]:
    """Kinds as they count: a title's finer kind before the column's."""
    is_finer = (
        len(named) > 1
        and (named[0].source, named[1].source) == ("shop", title)
        and default_lexicon().is_a(named[1].kind, named[0].kind)
    )
    return [named[1], named[0], *named[2:]] if is_finer else named


def _category(item: Item, description: Description | None, kinds: Sequence[_NamedKind]) -> list[Fact]:
    if item.category is None:
        return []
    if kinds:
        return [Fact((item.category,), kinds[0].source)]
    if description is not None and KINDS not in description.corrected and category_of(item.subcategory) is None:
        return [Fact((item.category,), "photo")]
    return [Fact((item.category,), "user" if item.is_users else "shop")]


def _evidence_of_kind(kind: Kind, evidence: Sequence[_Evidence], kind_words: str) -> _Evidence:
    """What is usual for a kind, moved by the first material that isn't part of its name ("linen blazer")."""
    names = next((row.labels[MATERIAL] for row in evidence if row.labels.get(MATERIAL)), ())
    table = style_tables().materials
    formality, seasons = kind.formality, kind.seasons
    for material in [table[name] for name in names if name in table and f" {name} " not in f" {kind_words} "][:1]:
        formality = None if formality is None else _moved(formality, material.dressy)
        if kind.warmth is not None and material.warmth is not None:
            seasons = _seasons_in(material.warmth, kind.warmth) or seasons
    word = Describing(kind.name, (), formality, None, seasons, kind.purposes, kind.audience)
    return _Evidence("kind", {MATERIAL: kind.materials}, [word], frozenset(kind.audience))


def _moved(ends: Range, steps: int) -> Range:
    """A range whose low end a dressy material raises, to cocktail at most; the opposite lowers the high end."""
    low, high = ends
    raised = min(high, max(low, min(low + steps, _COCKTAIL)))
    return (raised, high) if steps > 0 else (low, max(low, min(high, max(high + steps, _CASUAL))))


def _seasons_in(material: int, kind: int) -> tuple[str, ...]:
    """Seasons that a very warm or very cool material gives a kind of another warmth; none for others."""
    if material >= _WARM > kind:
        return SEASONS_OF_WARMTH[_WARM]
    return SEASONS_OF_WARMTH[max(1, kind - 1)] if material == 0 and kind > 0 else ()


def _of_each(evidence: Sequence[_Evidence], values: Iterable[Iterable[str]]) -> list[Fact]:
    """A fact for each source that has values, which are given in the order of the sources."""
    rows = zip(evidence, (tuple(dict.fromkeys(row)) for row in values), strict=True)
    return [Fact(row, source.source) for source, row in rows if row]


def _materials(evidence: _Evidence, category: GarmentCategory | None) -> list[str]:
    """Materials that a source names; "silver" shoes and a "ruby" gown are of a colour, not of a metal or a gem."""
    labels = evidence.labels.get(MATERIAL, ())
    return [name for name in labels if category in _OF_METAL or name not in _OF_JEWELLERY]


def _purposes(evidence: Sequence[_Evidence], named_by: FactSource | None) -> list[Fact]:
    """Purposes by source; of a source that names the kind those of the kind too ("waterproof hiking boots")."""
    of_kind = next((row.words[0].purposes for row in evidence if row.source == "kind"), ())
    rows = [[what for word in row.words for what in word.purposes] for row in evidence]
    rows = [
        [*row, *of_kind] if row and part.source == named_by else row for row, part in zip(rows, evidence, strict=True)
    ]
    return _of_each(evidence, rows)


def _seasons(word: Describing) -> tuple[str, ...]:
    return word.seasons or (() if word.warmth is None else SEASONS_OF_WARMTH[word.warmth])


def _shared(groups: Iterable[tuple[str, ...]]) -> list[str]:
    """The values that all groups have that aren't empty; all values if they have none in common."""
    rows = [row for row in groups if row]
    every = list(dict.fromkeys(value for row in rows for value in row))
    return [value for value in every if all(value in row for row in rows)] or every


def _shared_range(words: Iterable[Describing]) -> Range | None:
    """The dress codes that describing words have in common; those of the last word if there are none."""
    shared: Range | None = None
    for word in words:
        if word.formality is not None:
            shared = (_meet(shared, word.formality) if shared is not None else None) or word.formality
    return shared


def _meet(ends: Range, other: Range) -> Range | None:
    low, high = max(ends[0], other[0]), min(ends[1], other[1])
    return (low, high) if low <= high else None


def _formality(evidence: Sequence[_Evidence]) -> list[Fact]:
    """Ranges by source, narrowed by what is usual where they meet. A photo that contradicts it comes last, and so does
    any photo where two neighbouring dress codes are usual, as for running shoes.
    """
    of_kind = next((_shared_range(row.words) for row in evidence if row.source == "kind"), None)
    ranges: list[tuple[int, FactSource, Range]] = []
    for row in evidence:
        codes = _shared_range(row.words)
        if codes is not None:
            both = codes if of_kind is None or row.source == "shop" else _meet(codes, of_kind)
            is_late = row.source == "photo" and of_kind is not None and (both is None or of_kind[1] - of_kind[0] < 2)
            ranges.append((2 if is_late else row.source == "kind", row.source, both or codes))
    ranges.sort(key=lambda row: row[0])
    return [Fact(tuple(dict.fromkeys(FORMALITIES[end] for end in ends)), source) for _, source, ends in ranges]


def _ages(people: Iterable[frozenset[str]]) -> frozenset[str]:
    """Ages of the first column that has any, such as ``age_group`` beside ``gender``."""
    ages = (row & {"children", "baby", "adults"} for row in people)
    return next((row for row in ages if row), frozenset())


def _audience(evidence: Sequence[_Evidence]) -> list[Fact]:
    """For whom: women or men by the first source that names them, and children or not by the first that says so."""
    people = [row.people for row in evidence]
    genders = [_gender([row]) for row in people]
    used = _gender(people)
    facts = [Fact((gender,), row.source) for row, gender in zip(evidence, genders, strict=True) if gender is not None]
    if used is None or not facts:
        return []
    first = next((fact for fact in facts if fact.values == (used,)), Fact((used,), facts[0].source))
    return [first, *(fact for fact in facts if fact is not first)]


def _gender(sources: Sequence[frozenset[str]]) -> Gender | None:
    sexes = next((row & (_FEMALE | _MALE) for row in sources if row & (_FEMALE | _MALE)), frozenset())
    ages = ((bool(row & _CHILDREN), bool(row & _ADULTS)) for row in sources)
    is_child = next((child for child, adult in ages if child != adult), False)  # a skirt is women's or girls'
    is_female, is_male = bool(sexes & _FEMALE), bool(sexes & _MALE)
    if is_child:
        return "children" if is_female == is_male else "girls" if is_female else "boys"
    return None if not sexes else "unisex" if is_female == is_male else "women" if is_female else "men"
