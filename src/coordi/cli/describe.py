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
    typed_command,
)
from coordi.data.loading import located

if TYPE_CHECKING:
    from coordi.encoders.describe import DescriptionSummary
    from coordi.encoders.evaluation import EncoderReport

PAGE = "descriptions.html"
STARTED = "describe.json"  # inputs of an unfinished folder
_MAX_EXAMPLES = 5
_MAX_CARDS = 200


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("describe")(describe)
    encoder = typer.Typer(no_args_is_help=True, help="Measure and export image encoders.")
    encoder.command("evaluate")(evaluate)
    encoder.command("export")(export)
    app.add_typer(encoder, name="encoder")


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
    """Give every photo a category, colours, pattern, material, occasion and so on, as far as the encoder is sure.

    Writes descriptions.html (to look at), descriptions.parquet (a row per label), embeddings.safetensors and
    unreadable.json. The same command resumes after Ctrl-C or a crash, and brings a finished folder up to date: photos
    are recognised by their content, from vectors (never photos) in coordi's cache folder.

    Example: coordi describe --data path/to/catalogue --out described
    """
    from coordi.artifacts import Record, lock_folder, stage_folder, write_json, write_text
    from coordi.config import DataSettings, DescribeSettings
    from coordi.data.loading import load
    from coordi.encoders.base import load_settled_encoder
    from coordi.encoders.describe import CatalogueDescriber, render_page
    from coordi.encoders.labels import load_vocabulary
    from coordi.encoders.photo_embeddings import EmbeddingCache
    from coordi.errors import DataError

    settings = DescribeSettings(
        encoder=encoder, vocabulary=vocabulary, batch_size=batch_size, allow_download=allow_download, revision=revision
    )
    labels, loaded = load_vocabulary(vocabulary), load_settled_encoder(settings)
    inputs = {
        "data": str(Path(data).resolve()) if data != "sample" else data,
        "encoder": loaded.identity,
        "vocabulary": hashlib.sha256(labels.model_dump_json().encode()).hexdigest(),
    }
    _check_out(out, data, inputs)
    dataset = load(located(data), DataSettings(photos="optional"), seed=0, check_photos=False)
    items = [item for item in dataset.items.values() if item.image is not None]
    if not items:
        raise DataError(f"none of the {len(dataset.items)} items of {data} has a photo; there is nothing to describe")
    left_out = [(row.reason, row.count) for row in dataset.funnel if row.dropped and row.unit == "items"]
    for reason, count in left_out:
        note(f"left out {count}: {reason}")
    record = Record(typed_command(), settings.model_dump(mode="json"), inputs=inputs)
    with lock_folder(out), EmbeddingCache.of(loaded, save_every) as cache:
        _check_out(out, data, inputs)  # another process may have started since
        write_json(out / STARTED, inputs)
        with stage_folder(out, record):
            with progress_bar("describing photos") as progress:
                describer = CatalogueDescriber(loaded, labels, settings, cache)
                summary = describer.describe(items, out, _MAX_CARDS, progress)
            write_text(out / PAGE, render_page(summary, dataset.name, left_out))
    if as_json:
        echo_json(summary_json(summary, left_out))
    else:
        _show_summary(summary, out, cache.path)


def summary_json(summary: DescriptionSummary, left_out: list[tuple[str, int]]) -> dict[str, Any]:
    """How many photos were described, how many labels each attribute got, and what was left out for which reason."""
    return {
        "photos": summary.photos,
        "encoded": summary.encoded,
        "labels": summary.labels,
        "unreadable": [{"item_id": row.item_id, "kind": row.kind, "reason": row.reason} for row in summary.unreadable],
        "left_out": [{"reason": reason, "count": count} for reason, count in left_out],
    }


def _check_out(out: Path, data: str, inputs: dict[str, str]) -> None:
    """Refuse a folder that holds anything but an earlier run of the same command, finished or not."""
    from coordi.artifacts import MANIFEST, RUN_FILE, is_finished, read_json, read_manifest
    from coordi.encoders.describe import DESCRIPTIONS
    from coordi.errors import ArtifactError

    if (out / RUN_FILE).exists():
        raise ArtifactError(f"{out} holds a run of coordi; choose another --out")
    if out.resolve() == Path(data).resolve():
        raise ArtifactError(f"--out {out} is the folder of the data; choose another --out, so that they don't mix")
    if is_finished(out):
        earlier, state = read_manifest(out).get("inputs"), "finished already"
        if not (out / DESCRIPTIONS).is_file() or not isinstance(earlier, dict) or not set(inputs) <= set(earlier):
            raise ArtifactError(f"{out} is finished already (it has a {MANIFEST}); choose another --out or delete it")
    elif (out / STARTED).is_file():
        earlier, state = read_json(out / STARTED), "begun already"
        if not isinstance(earlier, dict):
            raise ArtifactError(f"{out / STARTED} is somebody else's; choose an empty or new folder with --out")
    else:
        files = sorted(path.name for path in out.glob("[!.]*"))
        names = ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
        if files:
            raise ArtifactError(f"{out} holds other files ({names}); choose an empty or new folder with --out")
        return
    changes = [f"{name} was {earlier.get(name)}, now {new}" for name, new in inputs.items() if earlier.get(name) != new]
    if changes:
        raise ArtifactError(
            f"{out} is {state}, with something else: {'; '.join(changes)}; choose another --out or delete it"
        )


def _show_summary(summary: DescriptionSummary, out: Path, cache: Path | None) -> None:
    for kind, ids in summary.problems().items():
        more = f" and {len(ids) - _MAX_EXAMPLES} more" if len(ids) > _MAX_EXAMPLES else ""
        note(f"not opened {len(ids)}: {kind} ({', '.join(ids[:_MAX_EXAMPLES])}{more})")
    cached = summary.photos - summary.encoded
    typer.echo(
        f"{summary.photos:,} photos described ({summary.encoded:,} encoded now, {cached:,} from the cache), "
        f"{len(summary.unreadable):,} not opened"
    )
    for item, description in summary.examples[:_MAX_EXAMPLES]:
        attributes = [
            f"{attribute} {', '.join(f'{label.text} {label.probability:.2f}' for label in labels)}"
            for attribute, labels in description.attributes.items()
        ]
        typer.echo(f"  {item.id}: {'; '.join(attributes) or 'no label is sure enough'}")
    typer.echo(f"Look at {(out / PAGE).resolve()}; the descriptions are beside it")
    if cache is not None:
        note(f"vectors are stored for the next run in {cache}; delete it whenever you like")


def export(
    encoder: Annotated[
        str, typer.Option("--encoder", help="The folder of a CLIP or SigLIP checkpoint, 'fashion-clip' or a hub id.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write, new or empty.")],
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="The image tower in 8 bits: a quarter of the size, faster, less exact.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write an encoder as ONNX, with its tokenizer and its preparation of photos, and check its vectors.

    The folder is an encoder itself, and needs neither torch nor transformers.

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
            f"{exported.mebibytes:.1f} MiB, photo vectors' cosine with the checkpoint's at least {exported.cosine:.4f}"
        )
        typer.echo("To measure what that costs on your photos, run coordi encoder evaluate with both folders")
    else:
        typer.echo(f"{exported.mebibytes:.1f} MiB, vectors within {exported.difference:.1g} of the checkpoint's")
    typer.echo(f"Use it with: --encoder {exported.folder.resolve()}")


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="A folder with styles.csv and images/<id>.jpg.")],
    encoder: EncoderOption = "edge",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only photos that the edge encoder wasn't trained on, by id.")
    ] = False,
    min_photos: Annotated[
        int, typer.Option("--min-photos", min=1, help="Minimum photos of a label in the rows of common labels.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the bootstrap, which gives the intervals.")] = 17,
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label photos by zero-shot and compare with their hand-made labels.

    With --held-out, photos whose title no trained photo has are also measured apart. Photos are recognised by their
    content, from vectors (never photos) in coordi's cache folder.

    Example: coordi encoder evaluate --data fashion-products --held-out --json
    """
    from coordi.encoders import evaluation
    from coordi.encoders.base import load_encoder
    from coordi.encoders.photo_embeddings import EmbeddingCache

    every = evaluation.read_labelled(data)
    left_out = evaluation.left_out(data, every)
    if any(left_out.values()):
        note(f"{left_out['rows']} rows have no photo and {left_out['photos']} photos no row; they were left out")
    photos = evaluation.holdout_photos(every) if held_out else every
    loaded = load_encoder(encoder, allow_download, revision)
    trained = 0 if held_out or encoder != "edge" else sum(map(evaluation.may_be_trained_on, every))
    if trained:
        note(f"{trained} of {len(every)} photos may have been trained on, by their ids; --held-out leaves them out")
    new = evaluation.with_new_titles(photos, every) if held_out else frozenset()
    options = evaluation.EvaluationOptions(evaluation.label_lists(every), min_photos, new, seed)
    with EmbeddingCache.of(loaded) as cache, progress_bar("encoding photos") as progress:
        report = evaluation.evaluate_encoder(photos, loaded, options, progress, cache)
    if report.unreadable:
        note(f"{report.unreadable} photos can't be opened and were left out")
    if as_json:
        echo_json(
            {
                "attributes": report.attributes,
                "left_out": {**left_out, "unreadable": report.unreadable},
                "may_be_trained_on": trained,
                "photos_per_second": report.photos_per_second,
                "encoded": report.encoded,
            }
        )
    else:
        _show_report(report, min_photos)


def _show_report(report: EncoderReport, min_photos: int) -> None:
    typer.echo(f"{'attribute':<30}{'n':>7}{'labels':>8}{'accuracy':>10}{'top 3':>8}{'weighted F1 [95%]':>25}{'ECE':>8}")
    for name, metrics in report.attributes.items():
        rows = {name: metrics}
        if "common" in metrics and metrics["common"]["n"] < metrics["n"]:
            rows[f"  labels of {min_photos} photos or more"] = metrics["common"]
        for title, row in rows.items():
            low, high = row["ci95"]["weighted_f1"]
            f1 = f"{row['weighted_f1']:.3f} [{low:.3f}, {high:.3f}]"
            shares = f"{row['accuracy']:>10.3f}{row['top3']:>8.3f}"
            typer.echo(f"{title:<30}{row['n']:>7}{row['classes']:>8}{shares}{f1:>25}{row['ece']:>8.3f}")
    typer.echo(f"{report.photos_per_second:.1f} photos per second ({report.encoded:,} encoded now, the others cached)")
