"""``coordi describe`` and ``coordi encoder``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordi.cli.console import echo, echo_json, note, progress_bar
from coordi.cli.options import (
    DownloadOption,
    EncoderOption,
    JsonOption,
    RevisionOption,
    typed_command,
)
from coordi.data.loading import located
from coordi.recommend.facts import FactReader, facts_as_json, facts_in_words

if TYPE_CHECKING:
    from coordi.config import DescribeSettings
    from coordi.encoders.describe import DescriptionSummary
    from coordi.encoders.evaluation import EncoderReport
    from coordi.encoders.labels import Labeller, Vocabulary
    from coordi.types import Facts, Item

PAGE = "descriptions.html"
FACTS = "facts.jsonl"
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
    items: Annotated[
        list[str] | None, typer.Argument(metavar="ITEM", help="Photos' paths or words, instead of --data.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="A release's folder, a catalogue file, a photo folder or 'sample'.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder, with --data.")] = None,
    encoder: EncoderOption = "edge",
    vocabulary: Annotated[str, typer.Option("--vocabulary", help="'fashion' (bundled) or a YAML file.")] = "fashion",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Photos encoded at once.")] = 16,
    save_every: Annotated[int, typer.Option("--save-every", min=1, help="Photos between two saves.")] = 128,
    allow_download: DownloadOption = False,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is known of items, and where it is from: the user, a shop's column, the title, the photo, or the kind.

    Of --data every photo gets a category, colours, pattern, material, occasion and so on, as far as the encoder is
    sure. That writes descriptions.html (to look at), descriptions.parquet (a row per label), facts.jsonl (a row per
    item), embeddings.safetensors and unreadable.json. The same command resumes after Ctrl-C or a crash, and brings a
    finished folder up to date: photos are recognised by their content, from vectors (never photos) in coordi's cache
    folder.

    Example: coordi describe "linen blazer" shoes.jpg

    Example: coordi describe --data path/to/catalogue --out described
    """
    from coordi.config import DescribeSettings

    if bool(items) == (data is not None) or (data is None) != (out is None):
        raise typer.BadParameter("give items, or --data with --out")
    settings = DescribeSettings(
        encoder=encoder, vocabulary=vocabulary, batch_size=batch_size, allow_download=allow_download, revision=revision
    )
    if data is not None and out is not None:
        _describe_data(data, out, settings, save_every, as_json=as_json)
    else:
        _describe_items(items or [], settings, as_json=as_json)


def _describe_items(given: list[str], settings: DescribeSettings, *, as_json: bool) -> None:
    from coordi.api import load

    rows = list(zip(given, load().with_encoder(settings).find_items(given), strict=True))
    if as_json:
        values = [
            {"given": words, "text": item.text, "category": item.category, "facts": facts_as_json(item.facts)}
            for words, item in rows
        ]
        echo_json({"items": values})
        return
    for words, item in rows:
        echo(words)
        for name, fact in facts_in_words(item.facts).items():
            echo(f"  {name:<10}{fact}")
        if not item.facts:
            echo("  nothing is known of these words")


def _describe_data(data: str, out: Path, settings: DescribeSettings, save_every: int, *, as_json: bool) -> None:
    from coordi.artifacts import Record, lock_folder, stage_folder, write_json, write_text
    from coordi.config import DataSettings
    from coordi.data.loading import load
    from coordi.encoders.base import load_settled_encoder
    from coordi.encoders.describe import CatalogueDescriber, render_page
    from coordi.encoders.labels import Labeller, load_vocabulary
    from coordi.encoders.photo_embeddings import EmbeddingCache
    from coordi.errors import DataError

    labels, loaded = load_vocabulary(settings.vocabulary), load_settled_encoder(settings)
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
            facts = _facts_of(dataset.items.values(), out, labels, Labeller(loaded, labels))
            rows = ({"item_id": item_id, "facts": facts_as_json(of_item)} for item_id, of_item in facts.items())
            write_text(out / FACTS, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
            in_words = {item.id: facts_in_words(facts[item.id]) for item, _ in summary.examples}
            write_text(out / PAGE, render_page(summary, dataset.name, left_out, in_words))
    if as_json:
        echo_json(summary_json(summary, left_out))
    else:
        _show_summary(summary, in_words, out, cache.path)


def _facts_of(items: Iterable[Item], out: Path, vocabulary: Vocabulary, labeller: Labeller) -> dict[str, Facts]:
    """Facts of items by id, with the descriptions and vectors in a folder."""
    from coordi.encoders.describe import read_described

    reader, described = FactReader(vocabulary), read_described(out)
    descriptions = [described.descriptions[item_id] for item_id in described.ids]
    of_photos = dict(zip(described.ids, labeller.categories(descriptions, described.embeddings), strict=True))
    return {
        item.id: reader.facts(
            replace(item, category=item.category or of_photos.get(item.id)), described.descriptions.get(item.id)
        )
        for item in items
    }


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


def _show_summary(
    summary: DescriptionSummary, facts: Mapping[str, Mapping[str, str]], out: Path, cache: Path | None
) -> None:
    for kind, ids in summary.problems().items():
        more = f" and {len(ids) - _MAX_EXAMPLES} more" if len(ids) > _MAX_EXAMPLES else ""
        note(f"not opened {len(ids)}: {kind} ({', '.join(ids[:_MAX_EXAMPLES])}{more})")
    cached = summary.photos - summary.encoded
    echo(
        f"{summary.photos:,} photos described ({summary.encoded:,} encoded now, {cached:,} from the cache), "
        f"{len(summary.unreadable):,} not opened"
    )
    for item, description in summary.examples[:_MAX_EXAMPLES]:
        attributes = [
            f"{attribute} {', '.join(f'{label.text} {label.probability:.2f}' for label in labels)}"
            for attribute, labels in description.attributes.items()
        ]
        echo(f"  {item.id}: {'; '.join(attributes) or 'no label is sure enough'}")
        echo(f"    {'; '.join(f'{name} {fact}' for name, fact in facts[item.id].items())}")
    echo(f"Look at {(out / PAGE).resolve()}; the descriptions are beside it")
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
        echo(
            f"{exported.mebibytes:.1f} MiB, photo vectors' cosine with the checkpoint's at least {exported.cosine:.4f}"
        )
        echo("To measure what that costs on your photos, run coordi encoder evaluate with both folders")
    else:
        echo(f"{exported.mebibytes:.1f} MiB, vectors within {exported.difference:.1g} of the checkpoint's")
    echo(f"Use it with: --encoder {exported.folder.resolve()}")


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
    echo(f"{'attribute':<30}{'n':>7}{'labels':>8}{'accuracy':>10}{'top 3':>8}{'weighted F1 [95%]':>25}{'ECE':>8}")
    for name, metrics in report.attributes.items():
        rows = {name: metrics}
        if "common" in metrics and metrics["common"]["n"] < metrics["n"]:
            rows[f"  labels of {min_photos} photos or more"] = metrics["common"]
        for title, row in rows.items():
            low, high = row["ci95"]["weighted_f1"]
            f1 = f"{row['weighted_f1']:.3f} [{low:.3f}, {high:.3f}]"
            shares = f"{row['accuracy']:>10.3f}{row['top3']:>8.3f}"
            echo(f"{title:<30}{row['n']:>7}{row['classes']:>8}{shares}{f1:>25}{row['ece']:>8.3f}")
    echo(f"{report.photos_per_second:.1f} photos per second ({report.encoded:,} encoded now, the others cached)")
