"""Step 2's command: write the space and the distilled token table into the cache."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from coordi.describe.labelled_photos import is_held_out
from text_side import TokenTable, distil, first_table, fit_space, teacher_vectors
from texts import corpus

VOCABULARY = Path("src/coordi/describe/vocabularies/fashion.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--dimension", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rows = pd.read_csv(options.data / "styles.csv")
    rows = rows[[not is_held_out(photo_id) for photo_id in rows["id"]]]
    texts = corpus(rows, VOCABULARY.read_text(), np.random.default_rng([options.seed, 3]))
    tokenizer = Tokenizer.from_file(str(options.teacher / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    words = [tokenizer.id_to_token(i).removeprefix("##") for i in range(tokenizer.get_vocab_size())]
    cached = options.cache / "teacher.npz"
    if not cached.exists():
        np.savez(cached, texts=teacher_vectors(options.teacher, texts), words=teacher_vectors(options.teacher, words))
    taught = np.load(cached)
    space = fit_space(taught["texts"], options.dimension)
    table = TokenTable(first_table(space, taught["words"]), tokenizer)
    target = space.project(taught["texts"])
    with torch.inference_mode():
        before = float((table.texts(texts) * torch.from_numpy(target)).sum(1).mean())
    after = distil(table, texts, target, options.epochs, options.seed)
    print(json.dumps({"texts": len(texts), "cosine_before": before, "cosine_after": after}))
    save_file(
        {"table": table.bag.weight.detach().numpy(), "mean": space.mean, "basis": np.ascontiguousarray(space.basis)},
        options.cache / "texts.safetensors",
    )
    (options.cache / "texts.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    main()
