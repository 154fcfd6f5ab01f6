"""``coordi describe`` and ``coordi encoder``."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.options import (
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
    from coordi.encoders.describe import Catalogued, CatalogueDescriber, Shown
    from coordi.encoders.evaluation import EncoderReport
    from coordi.types import Dataset, FunnelRow, Item


PAGE = "descriptions.html"
BEGUN = "describe.json"  # what an unfinished folder was begun with
_SHOWN = 5
_ON_PAGE = 200


def register_describe(app: typer.Typer) -> None:
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
    from coordi.artifacts import Record, lock_folder, write_json
    from coordi.config import DataSettings, DescribeSettings
    from coordi.data.loading import load
    from coordi.encoders.base import load_settled_encoder
    from coordi.encoders.describe import CatalogueDescriber, Shown
    from coordi.encoders.labels import load_vocabulary
    from coordi.encoders.photo_embeddings import EmbeddingCache
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
    with lock_folder(out), EmbeddingCache.of(eyes, save_every) as cache:
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
    from coordi.encoders.describe import render_page

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
    from coordi.artifacts import MANIFEST, RUN_FILE, is_finished, read_json, read_manifest
    from coordi.encoders.describe import DESCRIPTIONS
    from coordi.errors import ArtifactError

    if (out / RUN_FILE).exists():
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


def export(
    encoder: Annotated[
        str, typer.Option("--encoder", help="The folder of a CLIP or SigLIP checkpoint, 'fashion-clip' or a hub id.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write, not there yet or empty.")],
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="The image tower in 8 bits: a quarter of the size, faster, less exact."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write an encoder as ONNX with its tokenizer and how it wants its photos, and check that it says the same.

    The folder is then an encoder itself, that needs neither torch nor transformers.

    Example: coordi encoder export --encoder path/to/fashion-clip --out fashion-clip-onnx
    """
    from coordi.encoders.base import load_encoder
    from coordi.encoders.clip import TowersEncoder
    from coordi.encoders.onnx import export_onnx
    from coordi.errors import EncoderError

    loaded = load_encoder(encoder, allow_download, revision)
    if not isinstance(loaded, TowersEncoder):
        raise EncoderError(f"the encoder '{encoder}' is in ONNX already; give the folder of a checkpoint")
    exported = export_onnx(loaded, out, "int8" if int8 else "float32")
    if as_json:
        echo_json({**asdict(exported), "folder": str(exported.folder)})
        return
    if int8:
        typer.echo(
            f"{exported.mebibytes:.1f} MiB, photo vectors' cosine with the checkpoint's {exported.cosine:.4f} or more"
        )
        typer.echo("How much that costs on your photos: coordi encoder evaluate, with both folders")
    else:
        typer.echo(f"{exported.mebibytes:.1f} MiB, vectors within {exported.difference:.1g} of the checkpoint's")
    typer.echo(f"Use it with: --encoder {exported.folder.resolve()}")


def register_encoder(app: typer.Typer) -> None:
    """Add the noun to the command line."""
    nouns = typer.Typer(no_args_is_help=True, help="Measure image encoders.")
    nouns.callback()(_nothing)
    nouns.command("evaluate")(evaluate)
    nouns.command("export")(export)
    app.add_typer(nouns, name="encoder")


def _nothing() -> None:
    """Measure image encoders."""


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="A folder with styles.csv and images/<id>.jpg.")],
    encoder: EncoderOption = "edge",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only the photos that the edge encoder's training never saw, by id.")
    ] = False,
    min_photos: Annotated[
        int,
        typer.Option("--min-photos", min=1, help="Rows of common labels are of labels with so many photos."),
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap behind the intervals.")] = 17,
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label photos by zero-shot and compare with their hand-made labels.

    With --held-out, labels that the encoder's training saw no photo of at all are measured on all of their photos, and
    photos are also measured apart whose title no trained photo has. Photos that were seen before are known by their
    content, from vectors (never photos) kept in coordi's cache folder.

    Example: coordi encoder evaluate --data fashion-products --held-out --json
    """
    from coordi.encoders.base import load_encoder
    from coordi.encoders.evaluation import (
        EvaluationOptions,
        evaluate_encoder,
        held_out_photos,
        label_lists,
        left_out,
        may_be_trained_on,
        read_labelled,
        with_new_titles,
        with_withheld_labels,
    )
    from coordi.encoders.photo_embeddings import EmbeddingCache

    every = read_labelled(data)
    without = left_out(data, every)
    if without.rows or without.photos:
        note(f"{without.rows} rows have no photo and {without.photos} photos no row; they were left out")
    photos = held_out_photos(every) if held_out else every
    loaded = load_encoder(encoder, allow_download, revision)
    trained = 0 if held_out or encoder != "edge" else sum(map(may_be_trained_on, every))
    if trained:
        note(f"{trained} of {len(every)} photos may have been trained on, by their ids; --held-out leaves them out")
    new = with_new_titles(photos, every) if held_out else frozenset()
    question = EvaluationOptions(label_lists(every), min_photos, with_withheld_labels(every, loaded, photos), new, seed)
    with EmbeddingCache.of(loaded) as cache, progress_bar("encoding photos") as progress:
        report = evaluate_encoder(photos, loaded, question, progress, cache)
    if report.unreadable:
        note(f"{report.unreadable} photos can't be opened and were left out")
    if as_json:
        echo_json(
            {
                "attributes": report.attributes,
                "unseen": report.unseen,
                "left_out": {"rows": without.rows, "photos": without.photos, "unreadable": report.unreadable},
                "may_be_trained_on": trained,
                "photos_per_second": report.photos_per_second,
                "encoded": report.encoded,
            }
        )
        return
    _encoder_show(report, min_photos)


def _encoder_show(report: EncoderReport, min_photos: int) -> None:
    heading = f"{'attribute':<30}{'n':>7}{'labels':>8}{'accuracy':>10}{'top 3':>8}{'weighted F1 [95%]':>25}{'ECE':>8}"
    typer.echo(heading)
    for name, found in report.attributes.items():
        rows = {name: found}
        if "common" in found and found["common"]["n"] < found["n"]:
            rows[f"  labels of {min_photos} photos or more"] = found["common"]
        for title, row in rows.items():
            low, high = row["ci95"]["weighted_f1"]
            f1 = f"{row['weighted_f1']:.3f} [{low:.3f}, {high:.3f}]"
            shares = f"{row['accuracy']:>10.3f}{row['top3']:>8.3f}"
            typer.echo(f"{title:<30}{row['n']:>7}{row['classes']:>8}{shares}{f1:>25}{row['ece']:>8.3f}")
    if report.unseen:
        typer.echo("\nWithheld from training; plain is without the constant that makes up for labels never seen.")
        typer.echo(f"{'label':<30}{'n':>7}{'top 1 [95%]':>25}{'top 3 [95%]':>25}{'plain top 1, 3':>18}")
    for row in report.unseen:
        cells = [f"{row[k]:.3f} [{row['ci95'][k][0]:.3f}, {row['ci95'][k][1]:.3f}]" for k in ("top1", "top3")]
        plain = f"{row['plain']['top1']:.3f}, {row['plain']['top3']:.3f}"
        typer.echo(f"{row['label']:<30}{row['n']:>7}{cells[0]:>25}{cells[1]:>25}{plain:>18}")
    typer.echo(
        f"{report.photos_per_second:.1f} photos per second ({report.encoded:,} seen now, the others known already)"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    register_describe(app)
    register_encoder(app)
