"""``coordi encoder export``: a checkpoint as ONNX, for processors and without torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from coordi.cli.console import echo_json
from coordi.cli.work import DownloadOption, JsonOption, RevisionOption


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
    from coordi.describe.encoder import load_encoder
    from coordi.describe.onnx_export import export_onnx
    from coordi.describe.towers import TowersEncoder
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
