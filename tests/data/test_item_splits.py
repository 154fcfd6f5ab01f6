from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordi.data.source import Funnel, SourceItem, SourceOutfit
from coordi.data.splits import assign_disjoint_splits
from coordi.errors import DataError
from coordi.types import Split

SHARES: dict[Split, float] = {"train": 0.7, "valid": 0.1, "test": 0.2}


def _drawn(looks: Sequence[Sequence[str]], titles: dict[str, str] | None = None) -> tuple[list[SourceOutfit], Funnel]:
    outfits = [SourceOutfit(f"{number:04d}", tuple(look), "train") for number, look in enumerate(looks)]
    items = {name: SourceItem(name, (titles or {}).get(name, ""), "top") for look in looks for name in look}
    funnel = Funnel()
    funnel.read("outfits", len(outfits))
    assigned = assign_disjoint_splits(outfits, items, SHARES, lambda name: name[::-1].encode(), funnel)
    assert funnel.rows[-1].left == len(assigned)
    where: dict[str, Split | None] = {}
    for outfit in assigned:
        for name in outfit.item_ids:
            for key in (name, items[name].title.casefold()):
                assert not key or where.setdefault(key, outfit.split) == outfit.split
    return assigned, funnel


def _sizes(assigned: Sequence[SourceOutfit]) -> dict[Split | None, int]:
    return dict(Counter(outfit.split for outfit in assigned))


def test_outfits_that_share_nothing_are_all_kept_in_the_shares() -> None:
    assigned, funnel = _drawn([[f"a{number}", f"b{number}"] for number in range(100)])
    assert _sizes(assigned) == {"train": 70, "valid": 10, "test": 20}
    assert len(funnel.rows) == 1
    assert [outfit.id for outfit in assigned] == sorted(outfit.id for outfit in assigned)


def test_groups_stay_whole() -> None:
    """Ten chains of ten outfits, each sharing an item with the next: nothing is left out."""
    looks = [[f"{chain}-{link}", f"{chain}-{link + 1}"] for chain in range(10) for link in range(10)]
    assigned, _ = _drawn(looks)
    assert _sizes(assigned) == {"train": 70, "valid": 10, "test": 20}


def test_a_common_title_is_a_common_item_whatever_its_case_but_no_title_is_none() -> None:
    looks = [[f"a{number}", f"b{number}"] for number in range(40)]
    titles = {f"a{number}": f"{'Black' if number % 2 else 'black'} jeans {number // 2}" for number in range(40)}
    assigned, _ = _drawn(looks, titles)
    split = {outfit.id: outfit.split for outfit in assigned}
    assert all(split[f"{number:04d}"] == split[f"{number + 1:04d}"] for number in range(0, 40, 2))
    assert set(split.values()) == {"train", "valid", "test"}


def test_one_long_chain_loses_little_more_than_its_cuts() -> None:
    """Each outfit shares an item with the next. Two cuts are the fewest that give three splits."""
    assigned, funnel = _drawn([[str(link), str(link + 1)] for link in range(200)])
    sizes = _sizes(assigned)
    lost = 200 - len(assigned)
    assert 2 <= lost <= 8
    assert funnel.rows[-1].count == lost
    assert "shares an item or title with another split" in funnel.rows[-1].reason
    assert sizes["test"] == pytest.approx(0.2 * len(assigned), abs=1)
    assert sizes["valid"] == pytest.approx(0.1 * len(assigned), abs=1)


def test_a_tangle_about_keeps_the_shares_of_what_is_left() -> None:
    source = random.Random(3)
    assigned, funnel = _drawn([[str(int(source.paretovariate(0.35)) % 2000) for _ in range(3)] for _ in range(600)])
    sizes = _sizes(assigned)
    assert funnel.rows[-1].count == 600 - len(assigned) > 0
    assert len(assigned) > 150
    assert {split: count / len(assigned) for split, count in sizes.items()} == pytest.approx(SHARES, abs=0.04)


@pytest.mark.parametrize("looks", [[["a", "b"]], [["a"], ["b"]], [["a", str(number)] for number in range(50)]])
def test_splits_that_cant_all_have_an_outfit_are_an_error(looks: list[list[str]]) -> None:
    with pytest.raises(DataError, match=rf"^{len(looks)} outfits can't be drawn .* would be empty.*outfit-disjoint"):
        _drawn(looks)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30).map(str), min_size=1, max_size=4), max_size=30))
def test_no_item_is_in_two_splits_whatever_comes(looks: list[list[str]]) -> None:
    try:
        assigned, _ = _drawn(looks, {str(number): f"title {number // 3}" for number in range(0, 30, 2)})
    except DataError:
        return
    assert set(_sizes(assigned)) == {"train", "valid", "test"}
