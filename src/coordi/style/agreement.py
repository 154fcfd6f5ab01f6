"""Rules of how the facts of two items agree: dress codes, seasons, purposes, traditions, colours, patterns, people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

from coordi.style.words import FORMALITIES, dress_codes, style_tables
from coordi.types import OF_CHILDREN, Fact, FactName, Facts

RULES: Mapping[str, float] = {
    "dress codes apart": -1.0,
    "dress codes differ": -0.15,
    "seasons apart": -1.0,
    "seasons shared": 0.3,
    "purpose shared": 0.8,
    "purposes differ": -0.2,
    "tradition shared": 1.0,
    "traditions differ": -0.5,
    "colours clash": -0.8,
    "colours of a family": 0.2,
    "colour shared": 0.8,
    "pattern shared": 0.4,
    "patterns clash": -0.8,
    "made for others": -5.0,
    "one colour throughout": -8.0,
}
"""Rules with the weights that a stylist might give them: positive for what speaks for two items, else negative. The
last is of an outfit, the others of two items.
"""
THROUGHOUT = "one colour throughout"
Amounts = tuple[float, ...]
"""How much each rule applies to two items, in the order of ``RULES``; 0 for a rule that doesn't."""

NO_AMOUNTS: Amounts = (0.0,) * len(RULES)
_NAMES: tuple[FactName, ...] = ("seasons", "purposes", "tradition", "colour", "pattern", "audience")
_OTHERS = (frozenset({"women", "men"}), frozenset({"girls", "boys"}))


@dataclass(frozen=True, slots=True)
class FactSets:
    """What the rules need of an item's facts: the first fact of each name."""

    dress_codes: tuple[int, int] | None  # the lowest and the highest
    category: str
    seasons: frozenset[str]
    purposes: frozenset[str]
    tradition: frozenset[str]
    colours: frozenset[str]
    patterns: frozenset[str]
    audience: frozenset[str]
    strong: frozenset[str]  # families of its colours if none is neutral; denim's blue is

    @classmethod
    def of(cls, facts: Facts) -> FactSets | None:
        """None if there are none."""
        if not facts:
            return None
        sets = [frozenset(facts[name][0].values) if name in facts else frozenset() for name in _NAMES]
        codes = dress_codes(facts["formality"][0].values) if "formality" in facts else None
        category = facts["category"][0].values[0] if "category" in facts else ""
        return cls(codes, category, *[*sets, _strong(facts)])


def amounts_of(facts: FactSets | None, other: FactSets | None) -> Amounts:
    """How much each rule applies to two items, whatever their order; nothing does if nothing is known of one."""
    if facts is None or other is None:
        return NO_AMOUNTS
    amounts = {
        **_of_dress_codes(facts.dress_codes, other.dress_codes),
        **_of_colours(facts.colours, other.colours),
        **_of_patterns(facts.patterns, other.patterns),
    }
    if facts.seasons and other.seasons:
        shared = len(facts.seasons & other.seasons) / len(facts.seasons | other.seasons)
        amounts["seasons shared" if shared else "seasons apart"] = shared or 1.0
    if facts.purposes or other.purposes:  # an item without a purpose is for every day
        amounts["purpose shared" if facts.purposes & other.purposes else "purposes differ"] = 1.0
    if facts.tradition or other.tradition:
        amounts["tradition shared" if facts.tradition == other.tradition else "traditions differ"] = 1.0
    people = facts.audience | other.audience
    if any(group <= people for group in _OTHERS) or 0 < len(people & OF_CHILDREN) < len(people):
        amounts["made for others"] = 1.0
    return tuple(amounts.get(rule, 0.0) for rule in RULES)


def _of_dress_codes(codes: tuple[int, int] | None, others: tuple[int, int] | None) -> Mapping[str, float]:
    """Steps between two ranges of dress codes, and steps between their middles."""
    if codes is None or others is None:
        return {}
    (low, high), (other_low, other_high) = codes, others
    apart = max(low - other_high, other_low - high, 0)
    return {"dress codes apart": apart, "dress codes differ": abs(low + high - other_low - other_high) / 2}


def _strong(facts: Facts) -> frozenset[str]:
    table = style_tables().colours
    colours = [table[name] for name in facts["colour"][0].values if name in table] if "colour" in facts else []
    if any(colour.is_neutral or colour.family == _MANY for colour in colours):
        return frozenset()
    is_denim = "material" in facts and "denim" in facts["material"][0].values
    return frozenset({colour.family for colour in colours} - ({"blue"} if is_denim else set()))


def same_strong_colour(facts: Iterable[FactSets | None]) -> tuple[int, ...]:
    """Positions of the items of an outfit of one strong colour throughout: three or more of one family, two of them a
    top, a bottom or outerwear. Accessories of a dress's colour are the usual.
    """
    of_family: dict[str, list[int]] = defaultdict(list)
    large: Counter[str] = Counter()
    for position, row in enumerate(facts):
        for family in sorted(row.strong) if row is not None else ():
            of_family[family].append(position)
            large[family] += row is not None and row.category in _LARGE
    alike = [tuple(rows) for family, rows in of_family.items() if len(rows) > 2 and large[family] > 1]
    return max(alike, key=len, default=())


def throughout(facts: Iterable[FactSets | None]) -> int:
    """How much an outfit is of one strong colour throughout: the number of items beyond two."""
    return max(len(same_strong_colour(facts)) - 2, 0)


@lru_cache(maxsize=4096)
def _of_colours(names: frozenset[str], others: frozenset[str]) -> Mapping[str, float]:
    """Whether a colour of one item clashes with one of the other, whether two are of a family but neutral ones, and
    whether two are the same.
    """
    table = style_tables().colours
    pairs = [(table[name], table[other]) for name, other in product(names, others) if name in table and other in table]
    clash = any(other.name in colour.clashes or colour.name in other.clashes for colour, other in pairs)
    related = any(
        colour.family == other.family and not (colour.is_neutral and other.is_neutral) for colour, other in pairs
    )
    same = float(bool(names & others))
    return {"colours clash": float(clash), "colours of a family": float(related), "colour shared": same}


@lru_cache(maxsize=4096)
def _of_patterns(names: frozenset[str], others: frozenset[str]) -> Mapping[str, float]:
    """Whether two items share a pattern, and whether two patterns aren't worn together; plain ones count as none."""
    table = style_tables().patterns
    bold, other_bold = (
        [table[name] for name in row if name in table and table[name].boldness] for row in (names, others)
    )
    clash = any(row is not other and other.name not in row.mixes for row, other in product(bold, other_bold))
    return {"pattern shared": float(any(row in other_bold for row in bold)), "patterns clash": float(clash)}


DRESS_CODES_SHARED = "dress codes shared"
"""Of two dressy items or two sporty ones, where no rule speaks: that dress codes meet is the usual."""
_WORTH_SAYING: Mapping[str, float] = {
    "made for others": 1.0, THROUGHOUT: 1.0, "dress codes apart": 1.0, "seasons apart": 1.0, "tradition shared": 1.0,
    "colours clash": 0.8, "purpose shared": 0.8, "patterns clash": 0.8, "pattern shared": 0.6,
    DRESS_CODES_SHARED: 0.4, "colours of a family": 0.2,
}  # fmt: skip
_READS: Mapping[str, FactName] = {
    "made for others": "audience", "dress codes apart": "formality", DRESS_CODES_SHARED: "formality",
    "seasons apart": "seasons", "tradition shared": "tradition", "purpose shared": "purposes",
    "colours clash": "colour", "colours of a family": "colour", "patterns clash": "pattern",
    "pattern shared": "pattern",
}  # fmt: skip
_LARGE = ("top", "bottom", "outerwear")
_OF_SPORT = (*_LARGE, "dress", "shoes", "bag")  # a watch may be casual
_MANY = "multicolour"
_SPORTS = frozenset(
    {"ballet", "baseball", "basketball", "climbing", "cricket", "cycling", "dance", "football", "golf", "gymnastics",
     "hiking", "martial arts", "riding", "running", "skating", "skiing", "tennis", "training", "yoga"}
)  # fmt: skip
_SPORT, _CASUAL, _SMART = (FORMALITIES.index(name) for name in ("sport", "casual", "business"))
_FAR = 3  # dress codes between two items
_OPPOSITE = ("summer", "winter")


@dataclass(frozen=True, slots=True)
class Remark:
    """A rule that speaks for two items or against them: their positions, and the fact of each that it reads."""

    rule: str
    speaks_for: bool
    items: tuple[int, int]
    fact: FactName
    facts: tuple[Fact, Fact]


def remarks(facts: Sequence[Facts], of: int | None = None) -> tuple[Remark, ...]:
    """What a stylist would say of an outfit, given its items' facts, or of one of its items, the position of which is
    given: what counts most first, each rule once.
    """
    sets = [FactSets.of(row) for row in facts]
    weighed: list[tuple[float, Remark]] = []
    for position, later in combinations(range(len(facts)), 2):
        if of not in (None, position, later):
            continue
        first, second = sets[position], sets[later]
        amounts = dict(zip(RULES, amounts_of(first, second), strict=True))
        if first is not None and second is not None and _share_dress_codes(first.dress_codes, second.dress_codes):
            amounts[DRESS_CODES_SHARED] = 1.0
        for rule, weight in _WORTH_SAYING.items():
            if amount := amounts.get(rule, 0.0):
                name = _READS[rule]
                read = (facts[position][name][0], facts[later][name][0])
                weighed.append((weight * amount, Remark(rule, RULES.get(rule, 1) > 0, (position, later), name, read)))
    alike = same_strong_colour(sets)
    if alike and (of is None or of in alike):
        pair = (alike[0], alike[1] if of is None or of in alike[:2] else of)
        colours = (facts[pair[0]]["colour"][0], facts[pair[1]]["colour"][0])
        weighed.append((_WORTH_SAYING[THROUGHOUT], Remark(THROUGHOUT, False, pair, "colour", colours)))
    strongest: dict[str, Remark] = {}
    for _, remark in sorted(weighed, key=lambda row: -row[0]):
        strongest.setdefault(remark.rule, remark)
    return tuple(strongest.values())


def _share_dress_codes(codes: tuple[int, int] | None, others: tuple[int, int] | None) -> bool:
    if codes is None or others is None or max(codes[0], others[0]) > min(codes[1], others[1]):
        return False
    return min(codes[0], others[0]) >= _SMART or max(codes[1], others[1]) <= _CASUAL


def are_far_apart(facts: FactSets | None, other: FactSets | None) -> bool:
    """Whether hardly anybody would wear two items together: they are three or more dress codes apart, or two if one is
    made for a sport and the other for the office, or one is for summer and the other for winter.
    """
    if facts is None or other is None:
        return False
    far = _FAR - ((_is_for_sport(facts) and _is_smart(other)) or (_is_for_sport(other) and _is_smart(facts)))
    amounts = dict(zip(RULES, amounts_of(facts, other), strict=True))
    opposite = any(
        season in facts.seasons - other.seasons and against in other.seasons - facts.seasons
        for season, against in (_OPPOSITE, _OPPOSITE[::-1])
    )
    return amounts["dress codes apart"] >= far or (amounts["seasons apart"] > 0 and opposite)


def misses_dress_code(facts: FactSets | None, outfit: Sequence[FactSets | None]) -> bool:
    """Whether an item's dress codes don't meet the one that an outfit of two or more items has: the office or dressier,
    or sport, for which half of the items are made.
    """
    rows = [row for row in outfit if row is not None and row.dress_codes is not None]
    if facts is None or facts.dress_codes is None or len(rows) < 2:
        return False
    (low, high), codes = facts.dress_codes, [row.dress_codes for row in rows if row.dress_codes is not None]
    lowest, highest = max(row[0] for row in codes), min(row[1] for row in codes)
    if lowest > highest:
        return False
    is_sport = highest <= _CASUAL and facts.category in _OF_SPORT and 2 * sum(map(_is_for_sport, rows)) >= len(rows)
    return high < lowest if lowest >= _SMART else is_sport and low > _SPORT


def _is_for_sport(facts: FactSets) -> bool:
    return bool(facts.purposes & _SPORTS) and facts.dress_codes is not None and facts.dress_codes[1] <= _CASUAL


def _is_smart(facts: FactSets) -> bool:
    return facts.dress_codes is not None and facts.dress_codes[0] >= _SMART
