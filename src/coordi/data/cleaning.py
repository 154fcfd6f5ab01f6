"""The cleaning funnel from a source to a data set. The paper's items have a photo and a title (section 2.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coordi.artifacts import Progress, no_progress
from coordi.config import DataSettings
from coordi.data.categories import NO_GARMENT
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
    first_of_each_title,
    listed,
)
from coordi.data.splits import cap_splits, draw_splits, outfit_caps
from coordi.errors import DataError
from coordi.types import Dataset, Item, Outfit

_AUTO_SHARE = 0.5


def clean(
    source: Source, settings: DataSettings, seed: int, progress: Progress = no_progress, *, check_photos: bool = True
) -> Dataset:
    """Clean a source; raises DataError if nothing is left, or a split that had outfits has none left."""
    funnel = source.funnel
    garments = [item for item in source.items if item.category != NO_GARMENT]
    unworn = len(source.items) - len(garments)
    funnel.drop("items", "nobody wears it to be seen (rugs, lipstick, underwear, ...)", unworn)
    titled = _repair_titles(garments, funnel)
    problems = _photo_problems(titled, progress, check=check_photos)
    required = _photos_required(source, titled, problems, settings)
    usable = _apply_filter(titled, problems, required=required, source=source, funnel=funnel)
    items = _with_category(usable, funnel)
    assigned = _clean_outfits(source, items, settings, seed)
    released = release_questions(_with_questions_for(source, settings), items, assigned)
    outfits = cap_splits(assigned, settings, seed, funnel)
    if not source.keeps_single_items:
        used = {name for outfit in outfits for name in outfit.item_ids} | named_items(released)
        funnel.drop("items", "its outfit was left out, or holds its title already", len(items) - len(used))
        items = {item_id: item for item_id, item in items.items() if item_id in used}
    funnel.note("items", "price unknown", sum(item.price is None for item in items.values()))
    if not items:
        raise DataError(f"nothing of '{source.name}' is left after cleaning: {biggest_reasons(funnel.rows, 'items')}")
    return Dataset(
        source.name,
        source.layout,
        {item_id: _item(item) for item_id, item in items.items()},
        tuple(Outfit(outfit.id, outfit.item_ids, outfit.split, outfit.title) for outfit in outfits if outfit.split),
        funnel.rows,
        text_only=not required,
        released=released,
    )


def _repair_titles(items: Sequence[SourceItem], funnel: Funnel) -> list[SourceItem]:
    titles = [clean_title(item.title) for item in items]
    funnel.note("items", "title in a wrong encoding, repaired", sum(title.repaired for title in titles))
    return [replace(item, title=title.text) for item, title in zip(items, titles, strict=True)]


def _photo_problems(items: Sequence[SourceItem], progress: Progress, *, check: bool) -> dict[str, str]:
    problems: dict[str, str] = {}
    for done, item in enumerate(items, start=1):
        if problem := item.why_no_photo if item.image is None else photo_problem(item.image) if check else None:
            problems[item.id] = problem
        progress(done, len(items))
    return problems


def _photos_required(
    source: Source, items: Sequence[SourceItem], problems: Mapping[str, str], settings: DataSettings
) -> bool:
    if settings.photos != "auto":
        return settings.photos == "required"
    every = {item.id for item in items}
    passing = {item.id for item in items if item.id not in problems and (item.title or not source.titles_needed)}

    def survivors(item_ids: set[str]) -> int:
        if not source.outfits:
            return len(item_ids)
        return sum(sum(name in item_ids for name in outfit.item_ids) >= MIN_ITEMS for outfit in source.outfits)

    return survivors(passing) >= _AUTO_SHARE * survivors(every)


def _apply_filter(
    items: Sequence[SourceItem], problems: Mapping[str, str], *, required: bool, source: Source, funnel: Funnel
) -> list[SourceItem]:
    usable: list[SourceItem] = []
    dropped: dict[str, list[str]] = defaultdict(list)
    noted: dict[str, list[str]] = defaultdict(list)
    for item in items:
        problem = problems.get(item.id)
        if required and problem is not None:
            dropped[problem].append(item.id)
        elif not item.title and (problem is not None or (required and source.titles_needed)):
            dropped["no title" if required else "no title and no photo"].append(item.id)
        elif problem is not None:
            noted[f"{problem}: kept for its title"].append(item.id)
            usable.append(replace(item, image=None))
        else:
            if not item.title:
                noted["no title: kept for its photo"].append(item.id)
            usable.append(item)
    for count, reasons in ((funnel.drop, dropped), (funnel.note, noted)):
        for reason, names in reasons.items():
            # Broken photos are named so that they can be mended; items that just lack something aren't.
            count("items", reason, names if reason.startswith("photo") else len(names))
    return usable


def _with_category(items: Sequence[SourceItem], funnel: Funnel) -> dict[str, SourceItem]:
    usable = {item.id: item for item in items if item.category is not None or item.image is not None}
    unusable = [f"'{item.subcategory or item.title}'" for item in items if item.id not in usable]
    reason = "no word tells its category, and it has no photo"
    funnel.drop("items", f"{reason} ({listed(dict.fromkeys(unusable))})", len(unusable))
    waiting = sum(item.category is None for item in usable.values())
    funnel.note("items", "no word tells its category: left to the photo", waiting)
    return usable


def _clean_outfits(
    source: Source, items: Mapping[str, SourceItem], settings: DataSettings, seed: int
) -> list[SourceOutfit]:
    funnel = source.funnel
    reduced = _with_unique_titles(source, items)
    large = [outfit for outfit in reduced if len(outfit.item_ids) >= MIN_ITEMS]
    funnel.drop("outfits", f"fewer than {MIN_ITEMS} items left", len(reduced) - len(large))
    assigned = draw_splits(large, items, settings, seed, funnel)
    for split in source.splits if settings.split == "released" else ():
        if not any(outfit.split == split for outfit in assigned):
            raise DataError(f"the {split} split of '{source.name}' is empty after cleaning: {_why_empty(source)}")
    if source.outfits and not assigned:
        raise DataError(f"no outfit of '{source.name}' is left after cleaning: {_why_empty(source)}")
    return assigned


def _with_questions_for(source: Source, settings: DataSettings) -> Source:
    """The source with its question files, which go with its own splits; a split's cap holds for their outfits too."""
    caps = outfit_caps(settings)
    parts = []
    for part in source.questions:
        cap = caps[part.split] if settings.split == "released" else 0
        fewer, aside = capped(part, cap)
        why = f"{part.split}_outfits={cap}" if cap else f"they go with its own splits, not split={settings.split}"
        source.funnel.note("outfits", f"left aside in the release's questions '{part.name}': {why}", aside)
        parts.append(fewer)
    return replace(source, questions=tuple(parts) if settings.split == "released" else ())


def _with_unique_titles(source: Source, items: Mapping[str, SourceItem]) -> list[SourceOutfit]:
    """Each title once per outfit: a made-up outfit never repeats a title, so one that does would give itself away."""
    reduced, repeated = [], 0
    for outfit in source.outfits:
        left = [name for name in outfit.item_ids if name in items]
        first = first_of_each_title(left, items)
        repeated += len(first) < len(left)
        reduced.append(replace(outfit, item_ids=first))
    source.funnel.note("outfits", "holds one title twice: the first kept", repeated)
    return reduced


def _why_empty(source: Source) -> str:
    rows = source.funnel.rows
    photos = any("photo" in row.reason and row.dropped for row in rows)
    way_out = "; data.photos=optional keeps items without a photo" if photos else ""
    return f"{biggest_reasons(rows, 'outfits')}; {biggest_reasons(rows, 'items')}{way_out}"


def _item(item: SourceItem) -> Item:
    category = item.category or None
    return Item(item.id, item.title, category, item.subcategory, item.image, item.price, item.extra)
