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
from coordi.describe.vocabulary import Vocabulary, load_vocabulary
from coordi.domain import Item
from coordi.errors import RecommendationError
from coordi.pipeline import stages
from coordi.pipeline.plain_parts import text_encoder
from coordi.pipeline.workspace import CLAIM, Workspace, code_identity, fingerprint
from coordi.progress import Progress
from coordi.recommend.catalogue_file import INFO_FILE, CatalogueInfo
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
        check_made_for(index.info, settings, encoder, source)
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
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    info = CatalogueInfo(
        name=material.dataset.name,
        source=source,
        encoder=material.described.encoder,
        text_encoder=text_encoder().text_identity,
        describe=settings.describe,
        prompt=settings.prompt,
        vocabulary=vocabulary_identity(vocabulary),
        photo_dimension=material.described.embeddings.shape[1],
        text_dimension=text_encoder().dimension,
    )
    seen = material.described
    vectors = seen.vectors(item.id for item in items)
    described = describe_items(items, seen.descriptions, vectors, settings.prompt, vocabulary, text_encoder())
    return CatalogueIndex.in_memory(info, described)


def vocabulary_identity(vocabulary: Vocabulary) -> str:
    """SHA-256 of what a vocabulary says, whatever its file's layout."""
    return hashlib.sha256(vocabulary.model_dump_json().encode()).hexdigest()


def check_made_for(info: CatalogueInfo, settings: RunSettings, encoder: ImageTextEncoder, folder: Path) -> None:
    """See to it that a built catalogue says of its items what a model was taught with.

    Raises:
        RecommendationError: If another encoder, vocabulary, text encoder or prompt made it, with the way out.
    """
    name, identity = info.encoder
    vocabulary = vocabulary_identity(load_vocabulary(settings.describe.vocabulary))
    differences = {
        f"its photos were seen by the encoder '{name}' ({identity[:12]}), the model goes by '{encoder.name}' "
        f"({encoder.identity[:12]})": identity != encoder.identity,
        "its labels are of another vocabulary": info.vocabulary != vocabulary,
        "its texts were read by the text encoder of another version of coordi": (
            info.text_encoder != text_encoder().text_identity
        ),
        "its items are told in another way than the model was taught": info.prompt != settings.prompt,
    }
    reasons = [reason for reason, is_true in differences.items() if is_true]
    if reasons:
        raise RecommendationError(
            f"the catalogue '{folder}' doesn't fit the model: {'; '.join(reasons)}; build it again for this model: "
            f"coordi catalogue build '{info.source}' --out NEW_FOLDER --model MODEL"
        )


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
