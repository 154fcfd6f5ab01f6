"""Step 3: project the cached image features into the space of texts, trained on label prompts and titles."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from coordi.encoders.evaluation import TEMPLATES, is_holdout, label_words
from efficientnet_lite import HEAD_CHANNELS
from teach_texts import VOCABULARY
from text_side import TokenTable
from texts import MATERIALS, PATTERNS, WEAK_TEMPLATES, prompt, weak_labels
from withheld import FOLDS, kept_from_training

# What a wrong label costs, by attribute; colour and type are what descriptions are read for.
WEIGHTS = {
    "articleType": 1.0, "masterCategory": 0.4, "subCategory": 0.5, "gender": 0.5, "baseColour": 0.8, "season": 0.1,
    "usage": 0.3, "category": 0.7, "colour": 0.5, "pattern": 0.3, "material": 0.2,
}  # fmt: skip
VALIDATION_PERCENT = 10
NAMES_SHARE = 0.3
IMAGENET = Path("training/imagenet.yaml")
# The vocabulary's categories are asked of other shops' photos, where dresses aren't as rare as here.
BALANCED = "category"


class Projection(nn.Module):
    """Standardised features to unit vectors in the space of texts, beside what the backbone knows by name.

    The backbone was trained to name a thousand kinds of things. Its guess among those that are worn or carried, as a
    mean of their names' vectors, is added, so that a kind without a photo here isn't without anything.

    References:
        Norouzi et al., Zero-Shot Learning by Convex Combination of Semantic Embeddings, 2014.
    """

    def __init__(self, mean: Tensor, deviation: Tensor, names: Tensor, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("names", names)  # (K, D)
        self.first = nn.Linear(len(mean), hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.second = nn.Linear(hidden, names.shape[1])
        self.classes = nn.Linear(HEAD_CHANNELS, len(names)).requires_grad_(False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, F)`` to ``(N, D)``."""
        x = ((features - self.mean) / self.deviation).clamp(-6, 6)
        x = F.relu(self.norm(self.first(self.dropout(x))))
        own = F.normalize(self.second(self.dropout(x)), dim=1)
        shares = torch.softmax(self.classes(features[:, :HEAD_CHANNELS]), dim=1)
        return F.normalize(own + NAMES_SHARE * (shares @ self.names), dim=1)


def first_projection(sample: Tensor, backbone: Path, table: TokenTable, options: argparse.Namespace) -> Projection:
    """Random but for the features' spread and the backbone's classes."""
    classes = {int(place): name for place, name in yaml.safe_load(IMAGENET.read_text())["classes"].items()}
    with torch.no_grad():
        names = table.texts([f"a photo of {name}" for name in classes.values()])
    spread = (sample.mean(0), sample.std(0) + 1e-3)
    model = Projection(*spread, names.clone(), options.hidden, options.dropout)
    saved = torch.load(backbone, weights_only=True, map_location="cpu")
    model.classes.weight.data = saved["_fc.weight"][list(classes)].float()
    model.classes.bias.data = saved["_fc.bias"][list(classes)].float()
    return model


@dataclass
class Task:
    """One attribute: phrases per label and each photo's label, -1 where it has none."""

    name: str
    phrases: list[list[str]]
    labels: Tensor
    balance: Tensor | None = None


def tasks_of(rows: pd.DataFrame, training: np.ndarray) -> list[Task]:
    """The hand-made attributes, the vocabulary's category and colour, and weak pattern and material."""
    tasks = []
    for name in TEMPLATES:
        values = rows[name].astype(object)
        known = sorted(values[training].dropna().unique())
        index = {value: place for place, value in enumerate(known)}
        labels = torch.tensor([index.get(value, -1) for value in values])
        tasks.append(Task(name, [[prompt(name, value)] for value in known], labels))
    attributes = yaml.safe_load(VOCABULARY.read_text())["attributes"]
    for name, column in (("category", "articleType"), ("colour", "baseColour")):
        entries = [{"text": e} if isinstance(e, str) else e for e in attributes[name]["labels"]]
        phrases = [[entry["text"], *entry.get("synonyms", [])] for entry in entries]
        index = {phrase: place for place, words in enumerate(phrases) for phrase in words}
        found = np.array([index.get(label_words(str(value)), -1) for value in rows[column]])
        kept = sorted(set(found[training].tolist()) - {-1})
        position = {old: new for new, old in enumerate(kept)}
        template = attributes[name]["template"]
        sentences = [[template.replace("{}", phrase) for phrase in phrases[old]] for old in kept]
        tasks.append(Task(name, sentences, torch.tensor([position.get(old, -1) for old in found])))
    for name, words in (("pattern", PATTERNS), ("material", MATERIALS)):
        found_words = weak_labels(rows["productDisplayName"].tolist(), words)
        known = sorted(set(np.array(found_words)[training]) - {""})
        labels = torch.tensor([known.index(word) if word in known else -1 for word in found_words])
        tasks.append(Task(name, [[WEAK_TEMPLATES[name].format(word)] for word in known], labels))
    for task in tasks:
        if task.name == BALANCED:
            counts = torch.bincount(task.labels[training & (task.labels >= 0).numpy()], minlength=len(task.phrases))
            task.balance = (counts.float().mean() / counts).sqrt()
    return tasks


class Texts:
    """Tokens of all prompts and titles, prepared once; vectors are made anew as the table learns."""

    def __init__(self, tasks: list[Task], table: TokenTable) -> None:
        self.table = table
        self.tokens = [table.tokens([phrase for label in task.phrases for phrase in label]) for task in tasks]
        self.owner = [
            torch.tensor([place for place, label in enumerate(task.phrases) for _ in label]) for task in tasks
        ]

    def vectors(self, place: int) -> Tensor:
        """Unit vectors ``(L, D)`` of a task's labels: the mean over each label's phrases."""
        rows = self.table(*self.tokens[place])
        owner = self.owner[place]
        total = torch.zeros(int(owner.max()) + 1, rows.shape[1]).index_add(0, owner, rows)
        return F.normalize(total, dim=1)


def is_for_choices(photo_id: int) -> bool:
    """Whether a photo is in the tenth, apart from the held-out ones, that settings and thresholds are chosen on."""
    return not is_holdout(photo_id) and photo_id * 2654435761 % 2**32 // 7 % 100 < VALIDATION_PERCENT


def weighted_f1(truth: np.ndarray, found: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, found, average="weighted", zero_division=0))


@torch.inference_mode()
def measure(model: Projection, features: Tensor, rows: np.ndarray, tasks: list[Task], texts: Texts) -> dict[str, float]:
    model.eval()
    vectors = model(features[rows].float())
    result = {}
    for place, task in enumerate(tasks):
        labels = task.labels[rows]
        kept = labels >= 0
        if kept.sum() >= 20:
            guess = (vectors @ texts.vectors(place).T).argmax(1)
            result[task.name] = round(weighted_f1(labels[kept].numpy(), guess[kept].numpy()), 4)
    model.train()
    return result


def train(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = np.random.default_rng([options.seed, 4])
    ids = json.loads((options.cache / "ids.json").read_text())
    rows = pd.read_csv(options.data / "styles.csv").drop_duplicates("id").set_index("id").loc[ids].reset_index()
    held_out = np.array([is_holdout(i) for i in ids])
    valid = np.array([is_for_choices(photo_id) for photo_id in ids])
    training = ~held_out & ~valid & ~kept_from_training(rows, options.fold)
    views = [torch.from_numpy(np.load(options.cache / f"view{view}.npy")) for view in options.views]
    saved = load_file(options.cache / f"texts{options.fold}.safetensors")
    tokenizer = Tokenizer.from_file(str(options.teacher / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tasks = tasks_of(rows, training)
    anchor_texts = json.loads((options.cache / f"texts{options.fold}.json").read_text())
    titles = rows["productDisplayName"].astype(str).tolist()
    classes = yaml.safe_load(IMAGENET.read_text())["classes"].values()
    said = [*anchor_texts, *titles, *(f"a photo of {name}" for name in classes)]
    said += [phrase for task in tasks for label in task.phrases for phrase in label]
    # The other tokens' vectors stay as they are, and small tables train much faster.
    used = np.unique([i for e in tokenizer.encode_batch(said, add_special_tokens=False) for i in e.ids])
    table = TokenTable(saved["table"], tokenizer, used)
    texts = Texts(tasks, table)
    anchors = table.texts(anchor_texts).detach()
    anchor_tokens, title_tokens = table.ids(anchor_texts), table.ids(titles)
    sample = views[0][np.flatnonzero(training)].float()
    model = first_projection(sample, options.backbone, table, options)
    if options.text_rate == 0:
        table.requires_grad_(False)
    learned = [weights for weights in model.parameters() if weights.requires_grad]
    scale = nn.Parameter(torch.tensor(np.log(20.0), dtype=torch.float32))
    optimizer = torch.optim.AdamW(
        [{"params": learned, "weight_decay": options.decay}, {"params": [scale], "weight_decay": 0.0},
         {"params": table.parameters(), "lr": options.text_rate, "weight_decay": 0.0}], lr=options.rate,
    )  # fmt: skip
    chosen = np.flatnonzero(training)
    steps = options.epochs * (len(chosen) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [options.rate, options.rate, options.text_rate], total_steps=steps + 1, pct_start=0.15
    )
    # Half of the photos as they are: other light and other backgrounds cost colours something.
    shares = np.array([len(views) - 1 or 1] + [1] * (len(views) - 1), dtype=float)
    shares /= shares.sum()
    started = time.monotonic()
    for epoch in range(options.epochs):
        order = generator.permutation(chosen)
        losses = []
        for start in range(0, len(order) - options.batch + 1, options.batch):
            picked = order[start : start + options.batch]
            which = generator.choice(len(views), size=len(picked), p=shares)
            features = torch.stack([views[v][i] for v, i in zip(which, picked, strict=True)]).float()
            vectors = model(features)
            factor = scale.exp().clamp(max=100)
            loss = torch.zeros(())
            for place, task in enumerate(tasks):
                labels = task.labels[picked]
                kept = labels >= 0
                if kept.any():
                    logits = factor * vectors[kept] @ texts.vectors(place).T
                    each = F.cross_entropy(logits, labels[kept], task.balance, label_smoothing=options.smoothing)
                    loss = loss + WEIGHTS[task.name] * each * float(kept.float().mean())
            loss = loss + options.titles * title_loss(vectors, table, [title_tokens[i] for i in picked], factor)
            if options.text_rate:
                some = generator.integers(len(anchor_texts), size=512)
                flat, offsets = flattened([anchor_tokens[i] for i in some])
                loss = loss + options.anchor * (1 - (table(flat, offsets) * anchors[some]).sum(1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if epoch % 5 == 4 or epoch == options.epochs - 1:
            found = measure(model, views[0], np.flatnonzero(valid), tasks, texts)
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, scale {float(scale.detach().exp()):.1f}, "
                  f"{time.monotonic() - started:.0f} s, valid {found}", flush=True)  # fmt: skip
    with torch.inference_mode():
        drift = float((table.texts(anchor_texts) * anchors).sum(1).mean())
    print(json.dumps({"anchor": drift}))
    whole = saved["table"].clone()
    whole[used] = table.bag.weight.detach()
    torch.save(
        {"projection": model.state_dict(), "table": whole, "scale": float(scale.detach().exp())},
        options.cache / f"projection{options.fold}.pt",
    )


def title_loss(vectors: Tensor, table: TokenTable, titles: list[list[int]], factor: Tensor) -> Tensor:
    """Symmetric cross-entropy of a batch's photos against its titles (Radford et al., 2021)."""
    words = table(*flattened(titles))
    logits = factor * vectors @ words.T
    target = torch.arange(len(titles))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def flattened(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids in one row and where each text begins."""
    offsets = np.cumsum([0, *(len(row) for row in rows)])[:-1]
    return torch.tensor([token for row in rows for token in row]), torch.tensor(offsets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--views", type=int, nargs="+", default=[0, 3, 4])
    parser.add_argument("--fold", default="", choices=["", *FOLDS], help="withhold these kinds too, to choose by")
    for name, value in (("epochs", 12), ("batch", 256), ("hidden", 384), ("seed", 17), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    defaults = {
        "rate": 1e-3, "text-rate": 3e-4, "decay": 0.05, "dropout": 0.3, "smoothing": 0.02, "titles": 0.1, "anchor": 3.0,
    }  # fmt: skip
    for name, fraction in defaults.items():
        parser.add_argument(f"--{name}", type=float, default=fraction)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
