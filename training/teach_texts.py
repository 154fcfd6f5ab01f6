"""Step 2's command: write the space and the distilled token table into the cache."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from coordi.encoders.evaluation import is_holdout
from text_side import Space, Teacher, TokenTable, distil, first_table, fit_space
from texts import corpus, explained
from withheld import FOLDS, kept_from_training

VOCABULARY = Path("src/coordi/encoders/vocabularies/fashion.yaml")
GLOSSARY = Path("training/glossary.yaml")
# Times that an explained word comes in an epoch: there are few of them beside 24,000 titles and phrases.
REPEATS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--dimension", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--fold", default="", choices=["", *FOLDS], help="withhold these kinds too, to choose by")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rows = pd.read_csv(options.data / "styles.csv")
    there = [(options.data / "images" / f"{photo_id}.jpg").is_file() for photo_id in rows["id"]]
    photos = rows[there].drop_duplicates("id")
    kept = ~kept_from_training(photos, options.fold) & ~photos["id"].map(is_holdout).to_numpy()
    texts = corpus(photos[kept], VOCABULARY.read_text(), np.random.default_rng([options.seed, 3]))
    tokenizer = Tokenizer.from_file(str(options.teacher / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    teacher = Teacher(options.teacher, options.cache / "teacher.npz")
    words = [tokenizer.id_to_token(i).removeprefix("##") for i in range(tokenizer.get_vocab_size())]
    taught = teacher(texts)
    space = fit_space(taught, options.dimension)
    table = TokenTable(first_table(space, teacher(words)), tokenizer)
    glossary = yaml.safe_load(GLOSSARY.read_text())["garments"]
    texts, target = with_glossary(texts, space.project(taught), glossary, space, teacher)
    with torch.inference_mode():
        before = float((table.texts(texts) * torch.from_numpy(target)).sum(1).mean())
    after = distil(table, texts, target, options.epochs, options.seed)
    print(json.dumps({"texts": len(texts), "cosine_before": before, "cosine_after": after}))
    name = f"texts{options.fold}"
    save_file(
        {"table": table.bag.weight.detach().numpy(), "mean": space.mean, "basis": np.ascontiguousarray(space.basis)},
        options.cache / f"{name}.safetensors",
    )
    (options.cache / f"{name}.json").write_text(json.dumps(sorted(set(texts))))


def with_glossary(
    texts: list[str], target: NDArray[np.float32], glossary: dict[str, str], space: Space, teacher: Teacher
) -> tuple[list[str], NDArray[np.float32]]:
    """Add the glossary: a word shall mean half itself and half its explanation, and so shall its prompt."""
    pairs = explained(glossary)
    plain = space.project(teacher([text for text, _ in pairs]))
    meant = (plain + space.project(teacher([meaning for _, meaning in pairs]))) / 2
    meant /= np.linalg.norm(meant, axis=1, keepdims=True)
    place = {text: row for row, text in enumerate(texts)}
    for (text, _), vector in zip(pairs, meant, strict=True):
        if text in place:
            target[place[text]] = vector
    sentences = [f"{word}: {meaning}" for word, meaning in glossary.items()] + list(glossary.values())
    more = [text for text, _ in pairs for _ in range(REPEATS)]
    vectors = [target, np.repeat(meant, REPEATS, axis=0), space.project(teacher(sentences))]
    return [*texts, *more, *sentences], np.concatenate(vectors)


if __name__ == "__main__":
    main()
