"""Fine-tuning for a pooled head: an outfit beside its negatives, which share its step and are told from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.config import FinetuneSettings
from coordi.errors import TrainingError, require
from coordi.model.engines.peft import compute_dtype
from coordi.model.passes import Heard
from coordi.model.pooled import EPSILON, PooledHead, fit_line, sigmoid
from coordi.model.reading import AnswerReader, parts
from coordi.model.trainer import InOrder, Steps, padded, quiet_arguments, without_printing
from coordi.prompts.answers import YES
from coordi.prompts.rendering import ListRenderer
from coordi.prompts.templates import Instruction


@dataclass(frozen=True, slots=True)
class Groups:
    """Everything that is seen in training, in order.

    Attributes:
        prompts: By group its prompts as tokens, the positive first.
        steps: Optimizer steps; there are ``steps * batch_size`` groups.
    """

    prompts: list[list[tuple[int, ...]]]
    steps: int

    def fingerprint(self) -> str:
        """Hash of all groups."""
        return hashlib.sha256(repr(self.prompts).encode()).hexdigest()

    def tokens(self, groups: int) -> int:
        """Tokens of the first so many groups."""
        return sum(len(prompt) for group in self.prompts[:groups] for prompt in group)


def make_groups(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], renderer: ListRenderer, settings: FinetuneSettings
) -> Groups:
    """Draw epochs until there is enough for every step.

    Args:
        examples_for_epoch: Gives the shuffled examples of epoch 0, 1, ...; each positive is followed by its negatives.
        renderer: With the model's tokenizer.
        settings: Epochs, the limit on steps, the batch size.

    Raises:
        TrainingError: If an epoch holds no positive with a negative.
        PromptError: If an example can't be shortened enough.
    """
    groups = _groups(examples_for_epoch(0), renderer, 0)
    steps = max(1, round(settings.epochs * len(groups) / settings.batch_size))
    steps = min(steps, settings.max_steps or steps)
    epoch = 0
    while len(groups) < steps * settings.batch_size:
        epoch += 1
        groups += _groups(examples_for_epoch(epoch), renderer, epoch)
    return Groups(groups[: steps * settings.batch_size], steps)


def _groups(examples: Sequence[Instruction], renderer: ListRenderer, epoch: int) -> list[list[tuple[int, ...]]]:
    groups: list[list[tuple[int, ...]]] = []
    for example in examples:
        prompt = renderer.prompt(example)
        if example.answer == YES:
            groups.append([prompt])
        elif groups:
            groups[-1].append(prompt)
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        raise TrainingError(
            f"there is nothing to train on: epoch {epoch} of the training split gives 0 outfits with a negative; see: "
            "coordi data info"
        )
    return groups


class PooledQuestions:
    """Validation questions for a model with a pooled head; see ``Watch``."""

    def __init__(self, renderer: ListRenderer, valid: Sequence[Instruction]) -> None:
        self._heard_from = renderer.before
        self._prompts = [renderer.prompt(instruction) for instruction in valid]
        self._truth = np.array([instruction.answer == YES for instruction in valid])
        self._logits = np.zeros(0)

    def ask(self, network: Any) -> NDArray[np.float64]:
        """P(yes) of each question by the head as it is, shape ``(N,)``."""
        head = network.head_now()
        reader = AnswerReader(network.model, ())
        with _fast():
            states = reader.read(self._prompts, Heard(head.layer, self._heard_from), answer=False).states
        self._logits = head.logits(states)
        return sigmoid(self._logits)

    def save(self, network: Any, folder: Path) -> None:
        """Write the adapter and the head, with probabilities that fit the questions that were asked last."""
        network.model.save_pretrained(folder, save_embedding_layers=False)
        slope, offset = fit_line(self._logits, self._truth)
        network.head_now(slope, offset).save(folder)


def _fast() -> Any:
    """Matrix products in bfloat16 where the hardware has it, as a context."""
    torch = require("torch", "train")
    kind = compute_dtype()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, kind, enabled=kind is torch.bfloat16)


def pooled_network(model: Any, skip: int) -> Any:
    """A model, cut off after its last trained layer, with a new head on it as one ``torch.nn.Module``.

    Args:
        model: A causal language model with an adapter.
        skip: Tokens at the beginning of each prompt that don't count.
    """
    torch = require("torch", "train")

    class PooledNetwork(torch.nn.Module):  # type: ignore[misc,name-defined]
        """Logits ``(N,)`` of prompts, right-padded to ``(N, T)``."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            backbone, _ = parts(model)
            self.layer = len(backbone.layers)
            backbone.norm = torch.nn.Identity()  # the head reads what leaves the last layer itself
            size = int(backbone.config.hidden_size)
            device = next(backbone.parameters()).device
            self.norm = torch.nn.LayerNorm(size, eps=EPSILON, device=device)
            self.unit = torch.nn.Linear(size, 1, device=device)
            torch.nn.init.zeros_(self.unit.weight)  # before anything is learned, all outfits are alike
            torch.nn.init.zeros_(self.unit.bias)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            backbone, _ = parts(self.model)
            counted = attention_mask.clone()
            counted[:, :skip] = 0
            with _fast():
                states = backbone(
                    input_ids=input_ids, attention_mask=attention_mask, use_cache=False
                ).last_hidden_state  # (N, T, H)
            mean = (states.float() * counted[:, :, None]).sum(dim=1) / counted.sum(dim=1, keepdim=True)
            return self.unit(self.norm(mean))[:, 0]

        def head_now(self, slope: float = 1.0, offset: float = 0.0) -> PooledHead:
            """The head's numbers as they are."""
            gain, shift, weight, bias = (
                one.detach().float().cpu().numpy().copy()
                for one in (self.norm.weight, self.norm.bias, self.unit.weight[0], self.unit.bias)
            )
            return PooledHead(self.layer, gain, shift, weight, bias, slope, offset)

    return PooledNetwork()


def new_pooled_trainer(
    network: Any, groups: Groups, settings: FinetuneSettings, seed: int, steps: Steps, folder: Path
) -> Any:
    """A trainer that sees the groups once, in their order; call ``train`` on it."""
    transformers = require("transformers", "train")
    require("accelerate", "train")
    arguments = quiet_arguments(settings, groups.steps, seed, folder)
    trainer = _group_trainer(transformers.Trainer)(
        model=network,
        args=transformers.TrainingArguments(**arguments),
        train_dataset=[{"prompts": group} for group in groups.prompts],
        data_collator=_collate,
    )
    trainer.head_learning_rate = settings.head_learning_rate
    return without_printing(trainer, steps)


def _collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Prompts of all groups one after the other, padded to few different lengths, and how many each group has."""
    torch = require("torch", "train")
    prompts = [prompt for row in rows for prompt in row["prompts"]]
    return {**padded(prompts, _WIDTHS), "sizes": torch.tensor([len(row["prompts"]) for row in rows])}


_WIDTHS = 16


def _group_trainer(parent: Any) -> Any:
    """A subclass of transformers' ``Trainer``; made here because it is imported late."""

    class GroupTrainer(InOrder, parent):  # type: ignore[misc]
        """Tells outfits from their negatives, one by one and side by side."""

        head_learning_rate = 1e-3

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean over groups; see ``group_loss``."""
            logits = model(inputs["input_ids"], inputs["attention_mask"])
            loss = group_loss(logits, inputs["sizes"])
            self.count_loss(loss.item(), 1)
            return (loss, {}) if return_outputs else loss

        def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
            """The head learns at a rate of its own: it begins from nothing."""
            network = self.accelerator.unwrap_model(self.model)
            head = {id(one) for part in (network.norm, network.unit) for one in part.parameters()}
            trained = [one for one in network.parameters() if one.requires_grad]
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, network)
            decay = {"weight_decay": self.args.weight_decay}
            groups = [
                {"params": [one for one in trained if id(one) not in head], **decay},
                {"params": [one for one in trained if id(one) in head], **decay, "lr": self.head_learning_rate},
            ]
            self.optimizer = kind(groups, **options)
            return self.optimizer

    return GroupTrainer


def group_loss(logits: Any, sizes: Any) -> Any:
    """How far outfits aren't told from their negatives: a mean over groups, as a scalar tensor.

    Each group adds the cross-entropy of its answers, the positive weighing as much as all its negatives, and the mean
    of ``-log sigmoid(positive - negative)`` over its negatives.

    Args:
        logits: ``(N,)``, group after group, the positive first.
        sizes: Logits of each group, ``(G,)``.

    References:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, 2009 (the second part).
    """
    softplus = require("torch", "train").nn.functional.softplus
    losses = []
    for group in logits.split(sizes.tolist()):
        yes, no = group[0], group[1:]
        answers = (softplus(-yes) + softplus(no).mean()) / 2
        losses.append(answers + softplus(no - yes).mean())
    return sum(losses) / len(losses)
