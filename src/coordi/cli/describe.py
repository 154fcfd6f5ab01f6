"""``coordi describe``: what the photos of a data set show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordi.cli.console import echo_json, note, progress_bar
from coordi.cli.work import DataOption, JsonOption, OutOption, data_path, typed_command

if TYPE_CHECKING:
    from coordi.describe.describer import Described

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("describe")(describe)


def describe(
    data: DataOption,
    out: OutOption,
    encoder: Annotated[
        str, typer.Option("--encoder", help="'edge' (bundled) or the folder of a CLIP checkpoint.")
    ] = "edge",
    vocabulary: Annotated[str, typer.Option("--vocabulary", help="'fashion' (bundled) or a YAML file.")] = "fashion",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Photos encoded at once.")] = 32,
    as_json: JsonOption = False,
) -> None:
    """Give every photo a category, colours, pattern, material, style and occasion, as far as the encoder is sure.

    Writes descriptions.parquet (a row per label), embeddings.safetensors and unreadable.json.

    Example: coordi describe --data path/to/catalogue --out described
    """
    from coordi.artifacts import MANIFEST, Record, is_finished, stage_folder
    from coordi.config import DataSettings, DescribeSettings
    from coordi.data.loading import load
    from coordi.describe.describer import describe as describe_items
    from coordi.describe.encoder import load_encoder
    from coordi.describe.storage import write_described
    from coordi.describe.vocabulary import load_vocabulary
    from coordi.errors import ArtifactError, DataError
    from coordi.pipeline.workspace import CLAIM

    if (out / CLAIM).exists():
        raise ArtifactError(f"{out} holds a run of coordi; choose another --out")
    if is_finished(out):
        raise ArtifactError(f"{out} is finished already (it has a {MANIFEST}); choose another --out or delete it")
    settings = DescribeSettings(encoder=encoder, vocabulary=vocabulary, batch_size=batch_size)
    words, eyes = load_vocabulary(vocabulary), load_encoder(encoder)
    dataset = load(data_path(data), DataSettings(photos="optional"), seed=0)
    photographed = [item for item in dataset.items.values() if item.image is not None]
    if not photographed:
        raise DataError(f"none of the {len(dataset.items)} items of {data} has a photo; there is nothing to describe")
    inputs = {"data": str(Path(data).resolve()) if data != "sample" else data, "encoder": eyes.identity}
    record = Record(typed_command(), settings.model_dump(mode="json"), inputs=inputs)
    with stage_folder(out, record), progress_bar("describing photos") as progress:
        described = describe_items(photographed, eyes, words, settings, progress)
        write_described(out, described)
    if as_json:
        echo_json(summary(described))
    else:
        _show(described, out)


def summary(described: Described) -> dict[str, object]:
    """How many photos were described, how many labels each attribute got, and what couldn't be opened."""
    labels: dict[str, Counter[str]] = {}
    for description in described.descriptions.values():
        for attribute, found in description.attributes.items():
            labels.setdefault(attribute, Counter()).update(label.text for label in found)
    return {
        "photos": len(described.ids),
        "labels": {attribute: dict(counts.most_common()) for attribute, counts in labels.items()},
        "unreadable": [{"item_id": row.item_id, "reason": row.reason} for row in described.unreadable],
    }


def _show(described: Described, out: Path) -> None:
    for row in described.unreadable[:_SHOWN]:
        note(f"left out {row.item_id}: {row.reason}")
    typer.echo(f"{len(described.ids)} photos described, {len(described.unreadable)} left out")
    for description in list(described.descriptions.values())[:_SHOWN]:
        said = [
            f"{attribute} {', '.join(f'{label.text} {label.probability:.2f}' for label in found)}"
            for attribute, found in description.attributes.items()
        ]
        typer.echo(f"  {description.item_id}: {'; '.join(said) or 'nothing sure enough to say'}")
    typer.echo(f"The descriptions are at {out.resolve()}")
