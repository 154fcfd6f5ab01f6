from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from coordi.model.prefix_cache import prefix_groups, shared_prefix_length

CONTEXT = tuple(range(100, 140))


def test_candidates_of_one_outfit_are_a_family() -> None:
    prompts: list[tuple[int, ...]] = [(1, 2, 3, 4, *CONTEXT, 7, number) for number in range(4)]
    strangers: list[tuple[int, ...]] = [(1, 2, 3, 4, 50 + number, 9) for number in range(3)]
    shared = shared_prefix_length(prompts + strangers)
    result, alone = prefix_groups(prompts + strangers, shared)
    assert shared == 4
    assert [(family.shared, set(family.rows)) for family in result] == [(4 + len(CONTEXT) + 1, {0, 1, 2, 3})]
    assert sorted(alone) == [4, 5, 6]


def test_a_family_ends_where_going_on_would_save_less() -> None:
    near = [(*CONTEXT, 1, 2, number) for number in range(3)]
    far = [(*CONTEXT[:2], 3, number) for number in range(2)]
    result, alone = prefix_groups(near + far, 0)
    assert [set(family.rows) for family in result] == [{0, 1, 2}]
    assert sorted(alone) == [3, 4]


def test_equal_prompts_keep_a_token_of_their_own() -> None:
    result, alone = prefix_groups([CONTEXT, CONTEXT], 0)
    assert [(family.shared, family.rows) for family in result] == [(len(CONTEXT) - 1, (0, 1))]
    assert not alone
    assert shared_prefix_length([CONTEXT, CONTEXT]) == len(CONTEXT) - 1
    assert (
        shared_prefix_length([CONTEXT])
        == shared_prefix_length([])
        == shared_prefix_length([(1, 2, 3, 4), (1, 2, 3, 5)])
        == 0
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=60).map(tuple), min_size=1, max_size=12))
def test_every_row_is_placed_once_and_families_do_begin_alike(prompts: list[tuple[int, ...]]) -> None:
    shared = shared_prefix_length(prompts)
    result, alone = prefix_groups(prompts, shared)
    assert sorted([*alone, *(row for family in result for row in family.rows)]) == list(range(len(prompts)))
    for family in result:
        assert len({prompts[row][: family.shared] for row in family.rows}) == 1
        assert all(len(prompts[row]) > family.shared > shared for row in family.rows)
