"""Step 3: project the cached image features into the space of texts, trained on labels of both shops and on titles.

The text side stays as the package ships it: labels and titles are vectors of ``tokens.safetensors``, not changed here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.evaluation import TEMPLATES, label_words
from coordi.encoders.labels import KINDS, NO_GARMENT, SUBJECT, Vocabulary, label_vectors, load_vocabulary
from coordi.style.lexicon import default_lexicon
from efficientnet_lite import HEAD_CHANNELS
from image_features import COLOURS, Colours
from shops import MANGO, PRODUCTS, MadePhoto, ShopPhoto, has_views, made_photos, shop_photos, words

WORDS = "words"
DRAWS = 24
# What a wrong label costs, by attribute of the vocabulary and by column of the products.
WEIGHTS = {
    "category": 1.2, WORDS: 0.6, "colour": 1.1, "pattern": 0.3, "material": 0.3, "occasion": 0.3, "formality": 0.4,
    "subject": 1.0, "articleType": 0.8, "masterCategory": 0.3, "subCategory": 0.4, "gender": 0.4, "baseColour": 0.6,
    "season": 0.1, "usage": 0.3,
}  # fmt: skip
PRINTED = ("category", "colour", "subject", "formality", "occasion", "material", "articleType")
NAMES_SHARE = 0.3
TEMPERATURES = np.geomspace(0.2, 2.0, 93)
IMAGENET = Path(__file__).with_name("imagenet.yaml")
# Of the backbone's other classes: every tenth of the 398 animals, and most of the rest (furniture, vehicles, food).
OTHER_CLASSES = [*range(0, 398, 10), *range(398, 985)]
MOST_OTHERS = 420
SHOPS = {"both": (PRODUCTS, MANGO), "products": (PRODUCTS,), "mango": (MANGO,)}


class Projection(nn.Module):
    """Standardised features to unit vectors in the space of texts, beside what the backbone knows by name.

    The backbone was trained to name a thousand kinds of things. Its guess among those that are worn or carried, as a
    mean of their names' vectors, is added; the other classes all stand for a photo of no garment.

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


def first_projection(
    sample: Tensor, backbone: Path, encoder: EdgeEncoder, vocabulary: Vocabulary, options: argparse.Namespace
) -> Projection:
    """Random but for the features' spread and the backbone's classes."""
    classes = {int(place): name for place, name in yaml.safe_load(IMAGENET.read_text())["classes"].items()}
    names = encoder.encode_texts([f"a photo of {name}" for name in classes.values()])
    free = [place for place in OTHER_CLASSES if place not in classes]
    others = [free[i] for i in np.linspace(0, len(free) - 1, MOST_OTHERS).astype(int)]
    subject = attribute_vectors(vocabulary, SUBJECT, encoder)
    nothing = subject[[entry.text for entry in vocabulary.attributes[SUBJECT].labels].index(NO_GARMENT)]
    names = np.concatenate([names, np.repeat(nothing[None], len(others), axis=0)])
    model = Projection(sample.mean(0), sample.std(0) + 1e-3, torch.from_numpy(names), options.hidden, options.dropout)
    saved = torch.load(backbone, weights_only=True, map_location="cpu")
    model.classes.weight.data = saved["_fc.weight"][[*classes, *others]].float()
    model.classes.bias.data = saved["_fc.bias"][[*classes, *others]].float()
    return model


def attribute_vectors(vocabulary: Vocabulary, name: str, encoder: EdgeEncoder) -> NDArray[np.float32]:
    """Unit vectors ``(L, D)`` of an attribute's labels, as descriptions compare with them."""
    attribute = vocabulary.attributes[name]
    return label_vectors(encoder, attribute.template, [entry.phrases for entry in attribute.labels])


def word_vectors(vocabulary: Vocabulary, encoder: EdgeEncoder) -> NDArray[np.float32]:
    """Sets of vectors of the garment types, ``(R, L, D)``, each by one word that the vocabulary or the lexicon has for
    it, so that a word of a user's own is near photos of what it means.
    """
    attribute, lexicon, generator = vocabulary.attributes[KINDS], default_lexicon(), np.random.default_rng(5)
    words = []
    for entry in attribute.labels:
        kind = lexicon.find(entry.text)
        words.append([*entry.phrases, *(kind.words[:10] if kind is not None else ())])
    forms = (attribute.template, attribute.template.replace("of {}", "of a {}"))
    drawn = [[str(generator.choice(forms)).format(generator.choice(row)) for row in words] for _ in range(DRAWS)]
    return np.stack([encoder.encode_texts(texts) for texts in drawn])


@dataclass
class Task:
    """One attribute or column.

    Attributes:
        vectors: Of its labels, ``(L, D)``; or several sets of them, ``(R, L, D)``, of which each step takes one.
        right: Whether a label is right for a photo, ``(N, L)``; a row without one isn't trained on.
        balance: A factor per photo, ``(N,)``: rare labels count for more.
    """

    name: str
    labels: Sequence[str]
    vectors: Tensor
    right: Tensor
    balance: Tensor

    def loss(self, vectors: Tensor, rows: NDArray[np.integer], scale: Tensor, smoothing: float) -> Tensor:
        """Mean of minus the log of the right labels' share, over all photos of the batch."""
        right = self.right[rows]
        known = right.any(dim=1)
        if not known.any():
            return torch.zeros(())
        labels = self.vectors if self.vectors.dim() == 2 else self.vectors[int(torch.randint(len(self.vectors), ()))]
        logs = F.log_softmax(scale * vectors[known] @ labels.T, dim=1)
        share = torch.logsumexp(logs.masked_fill(~right[known], -torch.inf), dim=1)
        each = -(1 - smoothing) * share - smoothing * logs.mean(dim=1)
        return (each * self.balance[rows][known]).sum() / len(rows)


@dataclass
class Material:
    """Photos with their labels and parts, made photos last, and every task over them."""

    shops: Sequence[ShopPhoto]
    made: Sequence[MadePhoto]
    tasks: Sequence[Task]

    def rows(self, part: str, shops: Sequence[str]) -> NDArray[np.integer]:
        """Rows of a part: of the shops named, and of made photos."""
        kept = [photo.part == part and photo.shop in shops for photo in self.shops]
        return np.flatnonzero([*kept, *(photo.part == part for photo in self.made)])


def material(data: Path, cache: Path, encoder: EdgeEncoder, vocabulary: Vocabulary, shops: Sequence[str]) -> Material:
    """Everything to train on or measure with; labels are balanced over the training part of ``shops``."""
    photos, made = shop_photos(data), made_photos(cache / "made")
    labels = [photo.labels for photo in photos] + [{"subject": (photo.subject,)} for photo in made]
    training = np.array([p.part == "train" and p.shop in shops for p in photos] + [p.part == "train" for p in made])
    tasks = []
    for name, attribute in vocabulary.attributes.items():
        if name in WEIGHTS:
            known = [entry.text for entry in attribute.labels]
            right = matrix([row.get(name, ()) for row in labels], known)
            vectors = torch.from_numpy(attribute_vectors(vocabulary, name, encoder))
            tasks.append(Task(name, known, vectors, right, balanced(right, training, name)))
    kinds = tasks[[task.name for task in tasks].index(KINDS)]
    tasks.append(
        Task(WORDS, kinds.labels, torch.from_numpy(word_vectors(vocabulary, encoder)), kinds.right, kinds.balance)
    )
    for name, template in TEMPLATES.items():
        columns = [photo.columns.get(name) if photo.shop == PRODUCTS else None for photo in photos]
        known = sorted({value for value, kept in zip(columns, training, strict=False) if value and kept})
        if known:
            right = matrix([(value,) if value else () for value in columns] + [()] * len(made), known)
            vectors = torch.from_numpy(label_vectors(encoder, template, [[label_words(value)] for value in known]))
            tasks.append(Task(name, known, vectors, right, torch.ones(len(right))))
    return Material(photos, made, tasks)


def matrix(labels: Sequence[Sequence[str]], known: Sequence[str]) -> Tensor:
    """Whether each label is right for each row, ``(N, L)``."""
    place = {label: column for column, label in enumerate(known)}
    right = torch.zeros(len(labels), len(known), dtype=torch.bool)
    for row, names in enumerate(labels):
        for name in names:
            if name in place:
                right[row, place[name]] = True
    return right


def balanced(right: Tensor, training: NDArray[np.bool_], name: str) -> Tensor:
    """Factors that grow as a label's photos become few, by the square root; of subject and kind alone."""
    if name not in ("category", SUBJECT):
        return torch.ones(len(right))
    single = right & (right.sum(dim=1, keepdim=True) == 1)
    counts = single[torch.from_numpy(training)].sum(dim=0).float().clamp(min=1)
    factors = (counts.mean() / counts).sqrt().clamp(max=4)
    return torch.where(right.any(dim=1), (right * factors).sum(1) / right.sum(1).clamp(min=1), 1.0)


def learn_palette(small: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float32]:
    """Colour centres ``(96, 3)`` in the backbone's units: k-means over pixels unlike their photo's border, a third of
    them dark, because navy and black lie close together; plus white, grey and black.
    """
    from scipy.cluster.vq import kmeans2

    edges = np.concatenate([small[:, :, 0], small[:, :, -1], small[:, :, :, 0], small[:, :, :, -1]], axis=2)
    border = np.median(edges, axis=2)[:, :, None, None]
    unlike = np.abs(small - border).max(axis=1) > 12  # (N, 28, 28)
    pixels = small.transpose(0, 2, 3, 1)[unlike].astype(np.float32)
    dark = pixels[pixels.max(axis=1) < 90]
    centres = []
    for part, count in ((pixels, COLOURS - 35), (dark, 32)):
        chosen = part[generator.choice(len(part), size=40_000)]
        centres.append(kmeans2((chosen - 127) / 128, count, minit="++", rng=generator)[0])
    anchors = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]], dtype=np.float32)
    return np.concatenate([*centres, anchors]).astype(np.float32)


@torch.inference_mode()
def features_of(cache: Path, name: str, colours: Colours) -> Tensor:
    """Maps and colours of a view, ``(N, F)`` in half precision; colours are worked out once for a palette."""
    known = cache / f"{name}-colours.npz"
    palette = np.append(colours.palette.numpy().ravel(), np.float32(colours.sharpness))
    if known.exists() and np.array_equal(np.load(known)["palette"], palette):
        shares = torch.from_numpy(np.load(known)["shares"])
    else:
        small = torch.from_numpy(np.load(cache / f"{name}-small.npy"))
        parts = [colours((small[i : i + 256].float() - 127) / 128).half() for i in range(0, len(small), 256)]
        shares = torch.cat(parts)
        np.savez(known, palette=palette, shares=shares.numpy())
    return torch.cat([torch.from_numpy(np.load(cache / f"{name}-maps.npy")), shares], dim=1)


def palette_of(options: argparse.Namespace, photos: Sequence[ShopPhoto]) -> NDArray[np.float32]:
    """The palette of the training photos of both shops, learned once."""
    path = options.cache / "palette.npy"
    if not path.exists():
        training = np.flatnonzero([photo.part == "train" for photo in photos])
        small = np.load(options.cache / "view0-small.npy")[training]
        np.save(path, learn_palette(small, np.random.default_rng([options.seed, 1])))
    return np.asarray(np.load(path))


class Views:
    """Features of each view by photo; views other than 0 have a ninth of the training part alone."""

    def __init__(self, cache: Path, names: Sequence[int], photos: Sequence[ShopPhoto], colours: Colours) -> None:
        self.whole = torch.cat([features_of(cache, "view0", colours), features_of(cache, "made", colours)])
        self.others = [features_of(cache, f"view{view}", colours) for view in names if view != 0]
        changed = np.array([has_views(photo) for photo in photos])
        self.place = np.where(changed, np.cumsum(changed) - 1, -1)
        self.place = np.concatenate([self.place, np.full(len(self.whole) - len(photos), -1)])

    def draw(self, rows: NDArray[np.integer], plain: float, generator: np.random.Generator) -> Tensor:
        """A view of each photo at random: itself with the probability ``plain``, the others equally."""
        features = self.whole[rows].float()
        if self.others:
            which = generator.integers(len(self.others), size=len(rows))
            changed = (generator.random(len(rows)) >= plain) & (self.place[rows] >= 0)
            for view, other in enumerate(self.others):
                these = np.flatnonzero(changed & (which == view))
                features[these] = other[self.place[rows[these]]].float()
        return features


def of_colours(task: Task, right: Tensor, guess: Tensor) -> dict[str, float]:
    """Shares of right families (navy being blue), of navy called navy, and of navy called black."""
    owner = {colour: name.replace("navy", "blue") for name, these in words()["families"].items() for colour in these}
    kin = torch.tensor([[owner[a] == owner[b] for b in task.labels] for a in task.labels]).float()
    wide = (right.float() @ kin > 0).gather(1, guess[:, None]).float().mean()
    navy, black = task.labels.index("navy blue"), task.labels.index("black")
    said = guess[right[:, navy] & (right.sum(dim=1) == 1)]
    shares = {"family": wide, "navy": (said == navy).float().mean(), "navy as black": (said == black).float().mean()}
    return {name: round(float(share), 3) for name, share in shares.items()}


@torch.inference_mode()
def measure(model: Projection, views: Views, data: Material, rows: dict[str, NDArray[np.integer]]) -> dict[str, float]:
    """Share of photos whose first label is right, by attribute and shop; of colours, whose family is right, too."""
    model.eval()
    result = {}
    for name, part in rows.items():
        vectors = model(views.whole[part].float())
        for task in data.tasks:
            right = task.right[part]
            known = right.any(dim=1) & ~right.all(dim=1)
            if task.name in PRINTED and known.sum() >= 20:
                guess = (vectors[known] @ task.vectors.T).argmax(dim=1)
                result[f"{name} {task.name}"] = round(float(right[known].gather(1, guess[:, None]).float().mean()), 3)
                if task.name == "colour":
                    result |= {f"{name} {row}": share for row, share in of_colours(task, right[known], guess).items()}
    model.train()
    return result


@torch.inference_mode()
def column_temperatures(
    model: Projection, views: Views, data: Material, rows: NDArray[np.integer], scale: float
) -> dict[str, float]:
    """Of the products' columns, the temperature of the least log-loss."""
    vectors, result = model.eval()(views.whole[rows].float()), {}
    for task in data.tasks:
        right = task.right[rows]
        known = right.any(dim=1)
        if task.name in TEMPLATES and known.any():
            logits = scale * vectors[known] @ task.vectors.T
            truth = right[known].float().argmax(dim=1)
            losses = [float(F.cross_entropy(logits / temperature, truth)) for temperature in TEMPERATURES]
            result[task.name] = round(float(TEMPERATURES[int(np.argmin(losses))]), 3)
    return result


def train(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = np.random.default_rng([options.seed, 4])
    encoder, vocabulary = EdgeEncoder.bundled(), load_vocabulary("fashion")
    data = material(options.data, options.cache, encoder, vocabulary, SHOPS[options.shops])
    chosen = data.rows("train", SHOPS[options.shops])
    colours = Colours(palette_of(options, data.shops), options.sharpness)
    views = Views(options.cache, options.views, data.shops, colours)
    checks = {shop: data.rows("choices", [shop]) for shop in (PRODUCTS, MANGO)}
    titles = torch.from_numpy(encoder.encode_texts([photo.title for photo in data.shops]))
    has_title = np.array([bool(photo.title) for photo in data.shops] + [False] * len(data.made))
    model = first_projection(views.whole[chosen].float(), options.backbone, encoder, vocabulary, options)
    learned = [weights for weights in model.parameters() if weights.requires_grad]
    scale = nn.Parameter(torch.tensor(np.log(20.0), dtype=torch.float32))
    optimizer = torch.optim.AdamW(
        [{"params": learned, "weight_decay": options.decay}, {"params": [scale], "weight_decay": 0.0}], lr=options.rate
    )
    steps = options.epochs * (len(chosen) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=steps + 1, pct_start=0.15)
    started = time.monotonic()
    for epoch in range(options.epochs):
        order, losses = generator.permutation(chosen), []
        for start in range(0, len(order) - options.batch + 1, options.batch):
            picked = order[start : start + options.batch]
            vectors = model(views.draw(picked, options.plain, generator))
            factor = scale.exp().clamp(max=100)
            loss = torch.zeros(())
            for task in data.tasks:
                loss = loss + WEIGHTS[task.name] * task.loss(vectors, picked, factor, options.smoothing)
            said = np.flatnonzero(has_title[picked])
            if len(said):
                loss = loss + options.titles * title_loss(vectors[said], titles[picked[said]], factor)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if epoch % 6 == 5 or epoch == options.epochs - 1:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, scale {float(scale.detach().exp()):.1f}, "
                  f"{time.monotonic() - started:.0f} s, choices {json.dumps(measure(model, views, data, checks))}",
                  flush=True)  # fmt: skip
    final = float(scale.detach().exp())
    state = {
        "projection": model.state_dict(), "colours": colours.state_dict(), "sharpness": options.sharpness,
        "scale": final, "temperatures": column_temperatures(model, views, data, checks[PRODUCTS], final),
    }  # fmt: skip
    torch.save(state, options.cache / f"{options.name or options.shops}.pt")


def title_loss(vectors: Tensor, titles: Tensor, factor: Tensor) -> Tensor:
    """Symmetric cross-entropy of a batch's photos against its titles (Radford et al., 2021)."""
    logits = factor * vectors @ titles.T
    target = torch.arange(len(titles))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--shops", default="both", choices=list(SHOPS), help="whose photos are trained on")
    parser.add_argument("--name", help="of the file in the cache; default: the shops")
    parser.add_argument("--views", type=int, nargs="+", default=[0, 5])
    for name, value in (("epochs", 14), ("batch", 256), ("hidden", 384), ("seed", 17), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    defaults = {
        "rate": 1e-3, "decay": 0.05, "dropout": 0.3, "smoothing": 0.02, "titles": 0.1, "plain": 0.5, "sharpness": 100.0,
    }  # fmt: skip
    for name, fraction in defaults.items():
        parser.add_argument(f"--{name}", type=float, default=fraction)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
