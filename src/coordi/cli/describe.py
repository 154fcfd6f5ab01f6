"""``coordi describe``: what the photos of a data set show."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.work import (
    DataOption,
    DownloadOption,
    EncoderOption,
    JsonOption,
    OutOption,
    RevisionOption,
    data_path,
    typed_command,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coordi.artifacts import Record
    from coordi.describe.catalogue import Catalogued, CatalogueDescriber
    from coordi.describe.page import Shown
    from coordi.domain import Dataset, FunnelRow, Item

PAGE = "descriptions.html"
BEGUN = "describe.json"  # what an unfinished folder was begun with
_SHOWN = 5
_ON_PAGE = 200


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("describe")(describe)


def describe(
    data: DataOption,
    out: OutOption,
    encoder: EncoderOption = "edge",
    vocabulary: Annotated[str, typer.Option("--vocabulary", help="'fashion' (bundled) or a YAML file.")] = "fashion",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Photos encoded at once.")] = 16,
    save_every: Annotated[int, typer.Option("--save-every", min=1, help="Photos between two saves.")] = 128,
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give every photo a category, colours, pattern, material, style and occasion, as far as the encoder is sure.

    Writes descriptions.html (to look at), descriptions.parquet (a row per label), embeddings.safetensors and
    unreadable.json. The same command goes on after Ctrl-C or a crash, and brings a finished folder up to date: photos
    that were seen before are known by their content, from vectors (never photos) kept in coordi's cache folder.

    Example: coordi describe --data path/to/catalogue --out described
    """
    from coordi.artifacts import Record, working_alone, write_json
    from coordi.config import DataSettings, DescribeSettings
    from coordi.data.loading import load
    from coordi.describe.catalogue import CatalogueDescriber
    from coordi.describe.encoder import load_settled_encoder
    from coordi.describe.page import Shown
    from coordi.describe.vector_cache import VectorCache
    from coordi.describe.vocabulary import load_vocabulary
    from coordi.errors import DataError

    settings = DescribeSettings(
        encoder=encoder, vocabulary=vocabulary, batch_size=batch_size, allow_download=allow_download, revision=revision
    )
    words, eyes = load_vocabulary(vocabulary), load_settled_encoder(settings)
    inputs = {
        "data": str(Path(data).resolve()) if data != "sample" else data,
        "encoder": eyes.identity,
        "vocabulary": hashlib.sha256(words.model_dump_json().encode()).hexdigest(),
    }
    _check_out(out, data, inputs)
    dataset = load(data_path(data), DataSettings(photos="optional"), seed=0, check_photos=False)
    photographed = [item for item in dataset.items.values() if item.image is not None]
    if not photographed:
        raise DataError(f"none of the {len(dataset.items)} items of {data} has a photo; there is nothing to describe")
    for row in _left_out(dataset):
        note(f"left out {row.count}: {row.reason}")
    left_out = [(row.reason, row.count) for row in _left_out(dataset)]
    shown = Shown(dataset.name, tuple(words.attributes), left_out, eyes.logit_bias is not None)
    record = Record(typed_command(), settings.model_dump(mode="json"), inputs=inputs)
    with working_alone(out), VectorCache.of(eyes, save_every) as cache:
        _check_out(out, data, inputs)  # another process may have begun since
        write_json(out / BEGUN, inputs)
        found = _describe_into(out, record, CatalogueDescriber(eyes, words, settings, cache), photographed, shown)
    if as_json:
        echo_json(summary(found, dataset))
    else:
        _show(found, out, cache.path)


def _describe_into(
    out: Path, record: Record, describer: CatalogueDescriber, items: Sequence[Item], shown: Shown
) -> Catalogued:
    from coordi.artifacts import stage_folder, write_text
    from coordi.describe.page import render_page

    with stage_folder(out, record):
        with progress_bar("describing photos") as progress:
            found = describer.describe(items, out, _ON_PAGE, progress)
        write_text(out / PAGE, render_page(found, shown))
    return found


def summary(found: Catalogued, dataset: Dataset) -> dict[str, Any]:
    """How many photos were described, how many labels each attribute got, and what was left out for which reason."""
    return {
        "photos": found.photos,
        "encoded": found.encoded,
        "labels": found.labels,
        "unreadable": [{"item_id": row.item_id, "kind": row.kind, "reason": row.reason} for row in found.unreadable],
        "left_out": [{"reason": row.reason, "count": row.count} for row in _left_out(dataset)],
    }


def _left_out(dataset: Dataset) -> list[FunnelRow]:
    return [row for row in dataset.funnel if row.dropped and row.unit == "items"]


def _check_out(out: Path, data: str, inputs: dict[str, str]) -> None:
    """Refuse a folder that holds something else than an earlier try of the same, finished or not."""
    from coordi.artifacts import MANIFEST, is_finished, read_json, read_manifest
    from coordi.describe.storage import DESCRIPTIONS
    from coordi.errors import ArtifactError
    from coordi.pipeline.workspace import CLAIM

    if (out / CLAIM).exists():
        raise ArtifactError(f"{out} holds a run of coordi; choose another --out")
    if out.resolve() == Path(data).resolve():
        raise ArtifactError(f"--out {out} is the folder of the data; choose another --out, so that they don't mix")
    if is_finished(out):
        earlier, how_far = read_manifest(out).get("inputs"), "finished already"
        if not (out / DESCRIPTIONS).is_file() or not isinstance(earlier, dict) or not set(inputs) <= set(earlier):
            raise ArtifactError(f"{out} is finished already (it has a {MANIFEST}); choose another --out or delete it")
    elif (out / BEGUN).is_file():
        earlier, how_far = read_json(out / BEGUN), "begun already"
        if not isinstance(earlier, dict):
            raise ArtifactError(f"{out / BEGUN} is somebody else's; choose an empty or new folder with --out")
    else:
        held = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.is_dir() else []
        if held:
            more = ", ..." if len(held) > 3 else ""
            raise ArtifactError(
                f"{out} holds other files ({', '.join(held[:3])}{more}); choose an empty or new folder with --out"
            )
        return
    others = [f"{name} was {earlier.get(name)}, now {is_}" for name, is_ in inputs.items() if earlier.get(name) != is_]
    if others:
        raise ArtifactError(
            f"{out} is {how_far}, with something else: {'; '.join(others)}; choose another --out or delete it"
        )


def _show(found: Catalogued, out: Path, cache: Path | None) -> None:
    for kind, ids in found.kinds().items():
        more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
        note(f"not opened {len(ids)}: {kind} ({', '.join(ids[:_SHOWN])}{more})")
    known = found.photos - found.encoded
    typer.echo(
        f"{found.photos:,} photos described ({found.encoded:,} seen now, {known:,} known already), "
        f"{len(found.unreadable):,} not opened"
    )
    for item, description in found.examples[:_SHOWN]:
        said = [
            f"{attribute} {', '.join(f'{label.text} {label.probability:.2f}' for label in labels)}"
            for attribute, labels in description.attributes.items()
        ]
        typer.echo(f"  {item.id}: {'; '.join(said) or 'nothing sure enough to say'}")
    typer.echo(f"Look at {(out / PAGE).resolve()}; the descriptions are beside it")
    if cache is not None:
        note(f"vectors are kept for next time in {cache}; delete it whenever you like")
