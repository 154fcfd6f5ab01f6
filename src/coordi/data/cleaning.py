"""The cleaning funnel from a source to a data set; everything left out is counted with its reason.

The paper keeps images that have a description (section 2.2): an item needs a photo and a title. The text-only mode
keeps items without a photo, and the data set says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from coordi.artifacts import Progress, no_progress
from coordi.config import DataSettings
from coordi.data.categories import NOT_WORN
from coordi.data.photos import photo_problem
from coordi.data.release_questions import capped, named_items, release_questions
from coordi.data.source import (
    MIN_ITEMS,
    Funnel,
    Source,
    SourceItem,
    SourceOutfit,
    biggest_reasons,
    clean_title,
    title_key,
    with_examples,
)
from coordi.data.splits import cap_splits, draw_splits
from coordi.errors import DataError
from coordi.types import Dataset, GarmentCategory, Item, Outfit

_AUTO_SHARE = 0.5


def clean(
    source: Source, settings: DataSettings, seed: int, progress: Progress = no_progress, *, check_photos: bool = True
) -> Dataset:
    """Take a source through the funnel.

    Args:
        source: Its funnel is added to.
        settings: Whether photos are required, and caps on the splits.
        seed: Of the drawn splits and of the caps.
        progress: Told of each photo that was checked.
        check_photos: False believes that every photo which the source names is sound.

    Raises:
        DataError: If nothing is left, or a split that had outfits has none left; with the biggest reasons.
    """
    funnel = source.funnel
    worn = _drop_unworn(source.items, funnel)
    titled = _repair_titles(worn, funnel)
    problems = _photo_problems(titled, progress, check=check_photos)
    required = _photos_required(source, titled, problems, settings)
    usable = _apply_filter(titled, problems, required=required, source=source, funnel=funnel)
    known = _settle_categories(usable, funnel)
    assigned = _clean_outfits(source, known, settings, seed)
    released = release_questions(_with_questions_for(source, settings), known, assigned)
    outfits = cap_splits(assigned, settings, seed, funnel)
    kept = _items_of_use(source, known, outfits, named_items(released))
    funnel.note("items", "price unknown", sum(item.price is None for item in kept.values()))
    if not kept:
        raise DataError(f"nothing of '{source.name}' is left after cleaning: {biggest_reasons(funnel.rows, 'items')}")
    return Dataset(
        name=source.name,
        layout=source.layout,
        items={item_id: _item(item) for item_id, item in kept.items()},
        outfits=tuple(Outfit(each.id, each.item_ids, each.split, each.title) for each in outfits if each.split),
        funnel=funnel.rows,
        text_only=not required,
        released=released,
    )


def _drop_unworn(items: Sequence[SourceItem], funnel: Funnel) -> list[SourceItem]:
    worn = [item for item in items if item.category != NOT_WORN]
    funnel.drop("items", "nobody wears it to be seen (rugs, lipstick, underwear, ...)", len(items) - len(worn))
    return worn


def _repair_titles(items: Sequence[SourceItem], funnel: Funnel) -> list[SourceItem]:
    titles = [clean_title(item.title) for item in items]
    funnel.note("items", "title in a wrong encoding, repaired", sum(title.repaired for title in titles))
    return [replace(item, title=title.text) for item, title in zip(items, titles, strict=True)]


def _photo_problems(items: Sequence[SourceItem], progress: Progress, *, check: bool) -> dict[str, str]:
    """By item id, why it has no sound photo; each file is looked at once, or none where ``check`` is False."""
    problems: dict[str, str] = {}
    for done, item in enumerate(items, start=1):
        problem = item.why_no_photo if item.image is None else photo_problem(item.image) if check else None
        if problem is not None:
            problems[item.id] = problem
        progress(done, len(items))
    return problems


def _photos_required(
    source: Source, items: Sequence[SourceItem], problems: Mapping[str, str], settings: DataSettings
) -> bool:
    if settings.photos != "auto":
        return settings.photos == "required"
    without_filter = {item.id for item in items}
    passing = {item.id for item in items if item.id not in problems and (item.title or not source.titles_needed)}
    if not source.outfits:
        return len(passing) >= _AUTO_SHARE * len(without_filter)
    return _survivors(source, passing) >= _AUTO_SHARE * _survivors(source, without_filter)


def _survivors(source: Source, item_ids: set[str]) -> int:
    return sum(sum(name in item_ids for name in outfit.item_ids) >= MIN_ITEMS for outfit in source.outfits)


def _apply_filter(
    items: Sequence[SourceItem], problems: Mapping[str, str], *, required: bool, source: Source, funnel: Funnel
) -> list[SourceItem]:
    kept: list[SourceItem] = []
    dropped: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    for item in items:
        problem = problems.get(item.id)
        if required and problem is not None:
            dropped.setdefault(problem, []).append(item.id)
        elif not item.title and (problem is not None or (required and source.titles_needed)):
            dropped.setdefault("no title" if required else "no title and no photo", []).append(item.id)
        elif problem is not None:
            told.setdefault(f"{problem}: kept for its title", []).append(item.id)
            kept.append(replace(item, image=None))
        else:
            if not item.title:
                told.setdefault("no title: kept for its photo", []).append(item.id)
            kept.append(item)
    for reason, names in dropped.items():
        funnel.drop("items", _named(reason, names), len(names))
    for reason, names in told.items():
        funnel.note("items", _named(reason, names), len(names))
    return kept


def _named(reason: str, item_ids: Sequence[str]) -> str:
    """Broken photos are named so that they can be mended; items that just lack something aren't."""
    return with_examples(reason, item_ids) if reason.startswith("photo") else reason


def _settle_categories(items: Sequence[SourceItem], funnel: Funnel) -> dict[str, SourceItem]:
    known: dict[str, SourceItem] = {}
    unseen: list[str] = []
    waiting = 0
    for item in items:
        if item.category is not None:
            known[item.id] = item
        elif item.image is None:
            unseen.append(f"'{item.subcategory or item.title}'")
        else:
            known[item.id] = item
            waiting += 1
    reason = "no word tells its category, and it has no photo"
    funnel.drop("items", with_examples(reason, dict.fromkeys(unseen)), len(unseen))
    funnel.note("items", "no word tells its category: left to the photo", waiting)
    return known


def _clean_outfits(
    source: Source, items: Mapping[str, SourceItem], settings: DataSettings, seed: int
) -> list[SourceOutfit]:
    funnel = source.funnel
    reduced = _without_twins(source, items)
    small = [outfit for outfit in reduced if len(outfit.item_ids) < MIN_ITEMS]
    funnel.drop("outfits", f"fewer than {MIN_ITEMS} items left", len(small))
    large = [outfit for outfit in reduced if len(outfit.item_ids) >= MIN_ITEMS]
    assigned = draw_splits(large, items, settings, seed, funnel)
    for split in source.splits if settings.split == "released" else ():
        if not any(outfit.split == split for outfit in assigned):
            raise DataError(f"the {split} split of '{source.name}' is empty after cleaning: {_why_empty(source)}")
    if source.outfits and not assigned:
        raise DataError(f"no outfit of '{source.name}' is left after cleaning: {_why_empty(source)}")
    return assigned


def _with_questions_for(source: Source, settings: DataSettings) -> Source:
    """The source with the question files that go with the settings.

    They go with the release's own splits. A cap on a split holds for the outfits of its question files too.
    """
    caps = {"train": settings.train_outfits, "valid": settings.valid_outfits, "test": settings.test_outfits}
    parts = []
    for part in source.questions:
        cap = caps[part.split] if settings.split == "released" else 0
        fewer, aside = capped(part, cap)
        asked = f"{part.split}_outfits={cap}" if cap else f"they go with its own splits, not split={settings.split}"
        source.funnel.note("outfits", f"left aside in the release's questions '{part.name}': {asked}", aside)
        parts.append(fewer)
    return replace(source, questions=tuple(parts) if settings.split == "released" else ())


def _without_twins(source: Source, items: Mapping[str, SourceItem]) -> list[SourceOutfit]:
    """Outfits with the items that are left, each title once.

    A made-up outfit never holds a title twice, so one that does would give itself away.
    """
    reduced, with_twins = [], 0
    for outfit in source.outfits:
        left = [name for name in outfit.item_ids if name in items]
        titles = [title_key(items[name]) for name in left]
        kept = tuple(name for place, name in enumerate(left) if titles[place] not in titles[:place])
        with_twins += len(kept) < len(left)
        reduced.append(replace(outfit, item_ids=kept))
    source.funnel.note("outfits", "holds one title twice: the first kept", with_twins)
    return reduced


def _why_empty(source: Source) -> str:
    rows = source.funnel.rows
    lacks_photos = any("photo" in row.reason and row.dropped for row in rows)
    way_out = "; data.photos=optional keeps items without a photo" if lacks_photos else ""
    return f"{biggest_reasons(rows, 'outfits')}; {biggest_reasons(rows, 'items')}{way_out}"


def _items_of_use(
    source: Source, items: Mapping[str, SourceItem], outfits: Iterable[SourceOutfit], asked: set[str]
) -> Mapping[str, SourceItem]:
    if source.keeps_single_items:
        return items
    used = {name for outfit in outfits for name in outfit.item_ids} | asked
    source.funnel.drop("items", "its outfit was left out, or holds its title already", len(items) - len(used))
    return {item_id: item for item_id, item in items.items() if item_id in used}


def _item(item: SourceItem) -> Item:
    category = cast("GarmentCategory | None", item.category)
    return Item(item.id, item.title, category, item.subcategory, item.image, item.price, item.extra)
