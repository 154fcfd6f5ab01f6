"""The texts that the text side learns from, and the prompts of the labels; titles come from training rows alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import yaml

from coordi.encoders.evaluation import TEMPLATES, label_words

PATTERNS = {
    "striped": r"strip", "checked": r"check|plaid", "printed": r"print", "floral": r"floral|flower",
    "solid": r"\bsolid\b|\bplain\b", "graphic": r"graphic|\bteez?\b", "polka dot": r"polka|\bdots?\b",
    "camouflage": r"camo", "embroidered": r"embroider", "animal print": r"leopard|zebra|snake",
}  # fmt: skip
MATERIALS = {
    "leather": r"leather|\blth\b", "denim": r"denim|jeans?\b", "cotton": r"cotton", "silk": r"\bsilk",
    "suede": r"suede", "canvas": r"canvas", "wool": r"wool", "linen": r"linen", "satin": r"satin",
    "knit": r"knit|sweater|cardigan", "metal": r"steel|metal", "mesh": r"\bmesh", "nylon": r"nylon",
    "fleece": r"fleece", "lace": r"\blace\b", "corduroy": r"corduroy|\bcord\b",
}  # fmt: skip
WEAK_TEMPLATES = {"pattern": "a photo of a {} garment", "material": "a photo of something made of {}"}


def prompt(attribute: str, label: str) -> str:
    """A label in its attribute's sentence."""
    return {**TEMPLATES, **WEAK_TEMPLATES}[attribute].format(label_words(label))


def plural(word: str) -> str:
    """A word for several, by the rules of English that the glossary needs."""
    if word.endswith("s"):
        return word
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("ch", "sh", "x")) else "s")


def explained(glossary: dict[str, str]) -> list[tuple[str, str]]:
    """Each word as labels have it, alone and in a prompt, beside the same with its meaning."""
    pairs = []
    for word, meaning in glossary.items():
        for form in sorted({word, plural(word)}):
            pairs.append((form, f"{form}: {meaning}"))
            pairs.append((f"a photo of {form}", f"a photo of {form}, {meaning}"))
    return pairs


def weak_labels(titles: Sequence[str], words: dict[str, str]) -> list[str]:
    """The one label whose words a title holds; empty where there is none, or more than one."""
    found = []
    for title in titles:
        hits = [label for label, pattern in words.items() if re.search(pattern, title.lower())]
        found.append(hits[0] if len(hits) == 1 else "")
    return found


def corpus(rows: pd.DataFrame, vocabulary: str, generator: np.random.Generator) -> list[str]:
    """Titles, prompts, and phrases put together from the words of fashion; sorted, without repeats."""
    texts = set(rows["productDisplayName"].astype(str))
    for attribute, template in TEMPLATES.items():
        for label in rows[attribute].dropna().unique():
            texts |= {template.format(label_words(label)), label_words(label), f"a photo of a {label_words(label)}"}
    attributes = yaml.safe_load(vocabulary)["attributes"]
    words: dict[str, list[str]] = {}
    for name, attribute in attributes.items():
        for entry in attribute["labels"]:
            phrases = [entry] if isinstance(entry, str) else [entry["text"], *entry.get("synonyms", [])]
            words.setdefault(name, []).extend(phrases)
            texts |= {attribute["template"].format(phrase) for phrase in phrases} | set(phrases)
    texts |= {f"a photo of a {word} garment" for word in PATTERNS}
    texts |= {f"a photo of something made of {word}" for word in MATERIALS}
    for _ in range(25_000):
        chosen = {name: str(generator.choice(values)) for name, values in words.items()}
        form = generator.choice([
            "{colour} {category}", "a photo of a {colour} {pattern} {category}", "{material} {category}",
            "{style} {category} for {occasion}", "women's {colour} {material} {category}", "{pattern} {category}",
            "men's {style} {colour} {category}", "a {colour} {category} with a {pattern} pattern",
        ])  # fmt: skip
        texts.add(str(form).format(**chosen))
    return sorted(texts)
