"""From what a user calls a catalogue to one that can be asked: a built one, a run's folder, or any data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from coordi.artifacts import cache_folder, read_json
from coordi.config import DescribeSettings, RunSettings
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.vocabulary import load_vocabulary
from coordi.domain import Item
from coordi.errors import RecommendationError
from coordi.pipeline import stages
from coordi.pipeline.catalogue_describing import Eyes
from coordi.pipeline.plain_parts import text_encoder
from coordi.pipeline.workspace import CLAIM, Workspace, code_identity, fingerprint
from coordi.progress import Progress
from coordi.recommend.catalogue_file import INFO_FILE, check_fits
from coordi.recommend.catalogue_index import CatalogueIndex
from coordi.recommend.facets import describe_items


def open_catalogue(
    source: Path,
    settings: RunSettings,
    encoder: ImageTextEncoder,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> CatalogueIndex:
    """Open a catalogue for a model.

    Args:
        source: What ``coordi catalogue build`` made, a run's output folder, or any data that coordi reads, which is
            described once and kept in the cache.
        settings: The model's.
        encoder: The model's.
        say: Shows one line to the user.
        progress: Shows progress of describing.

    Raises:
        CoordiError: If there is none, or it was made for another encoder or other prompts than the model's.
    """
    if (source / INFO_FILE).is_file():
        index = CatalogueIndex.open(source)
        eyes = Eyes(settings.describe, settings.prompt, encoder, load_vocabulary(settings.describe.vocabulary))
        check_fits(source, index.info, eyes.info(index.info.name, index.info.source))
        return index
    if (source / CLAIM).is_file():
        described_as = RunSettings.model_validate(read_json(source / CLAIM)["settings"]).describe
        if not _see_alike(described_as, settings.describe):
            raise RecommendationError(
                f"'{source}' was described by the encoder '{described_as.encoder}' with the vocabulary "
                f"'{described_as.vocabulary}', but the model learned from '{settings.describe.encoder}' with "
                f"'{settings.describe.vocabulary}'; give the data itself with --catalogue"
            )
        material = stages.finished_material(source, settings)
    else:
        material = _described_once(source, settings, say, progress)
    material.described.check_seen_by((encoder.name, encoder.identity))
    return index_of(material, settings, tuple(material.dataset.items.values()), str(source))


def index_of(material: stages.Material, settings: RunSettings, items: tuple[Item, ...], source: str) -> CatalogueIndex:
    """A catalogue in memory of items of a data set.

    Args:
        material: What is known of them.
        settings: How they are told.
        items: Which of them.
        source: Where the data set is from.
    """
    eyes = Eyes.of(settings.describe, settings.prompt)
    seen = material.described
    vectors = seen.vectors(item.id for item in items)
    described = describe_items(items, seen.descriptions, vectors, settings.prompt, eyes.vocabulary, text_encoder())
    return CatalogueIndex.in_memory(eyes.info(material.dataset.name, source), described)


def _see_alike(one: DescribeSettings, other: DescribeSettings) -> bool:
    alike = {"batch_size": 1, "allow_download": False}  # neither changes what is seen
    return one.model_copy(update=alike) == other.model_copy(update=alike)


def _described_once(
    source: Path,
    settings: RunSettings,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> stages.Material:
    inputs = fingerprint(source)
    known = json.dumps([code_identity(), str(source.resolve()), inputs, settings.describe.model_dump(mode="json")])
    out = cache_folder() / "catalogues" / hashlib.sha256(known.encode()).hexdigest()[:16]
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"photos": "optional"})})
    work = Workspace(source, out, settings, f"coordi recommend --catalogue {source}", say, progress)
    return stages.prepare(work, inputs)
