"""The two heads in training: how examples become tokens, the loss of a batch, and the validation scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.config import FinetuneSettings, PromptForm
from coordi.errors import ModelError, TrainingError, require
from coordi.model.engines import PAD_MULTIPLE, compute_dtype
from coordi.model.prefix_cache import PoolSpec, PromptRunner, apply_logit_scaling, backbone_and_head
from coordi.model.scoring import EPSILON, PooledHead, fit_platt_line
from coordi.prompts import NO, YES, Instruction, ListRenderer, PromptRenderer, answer_tokens

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # PyTorch's label for a position without loss
# A word and the end of the turn. Such an answer is read from the word's position and never written out, and the end,
# learned within a few steps, would be half of the loss from then on.
_WORD_AND_END = 2


class Example(NamedTuple):
    """A prompt and its answer of ``answer_length`` tokens; or, with 0, prompts of an outfit and of its negatives."""

    texts: tuple[tuple[int, ...], ...]
    answer_length: int = 0

    @property
    def tokens(self) -> int:
        """Number of tokens of all texts."""
        return sum(map(len, self.texts))


class TrainingData(NamedTuple):
    """All ``steps * batch_size`` examples of a training, in order."""

    examples: Sequence[Example]
    steps: int
    batch_size: int

    def step(self, number: int) -> Sequence[Example]:
        """Examples of a step, counted from 1."""
        return self.examples[(number - 1) * self.batch_size : number * self.batch_size]


class Head(ABC):
    """What a head adds to a language model in training."""

    unit: str  # name of an example, in the plural, for messages
    renderer: PromptRenderer

    @abstractmethod
    def group(self, instructions: Sequence[Instruction]) -> list[tuple[Instruction, ...]]:
        """Group the instructions of an epoch into examples; raises a ``TrainingError`` if they teach nothing."""

    @abstractmethod
    def encode(self, group: tuple[Instruction, ...]) -> Example:
        """Tokens of an example."""

    def prompt(self, instruction: Instruction) -> tuple[int, ...]:
        """Tokens of a question."""
        return self.renderer.render(instruction).prompt_ids

    @abstractmethod
    def network(self, model: Any) -> nn.Module:
        """A module around the model; called with ``batch``, it returns the sum of the examples' losses, a scalar."""

    @abstractmethod
    def batch(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Arguments of the network for some examples."""

    @abstractmethod
    def logits(self, network: Any, prompts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Log odds of yes of validation questions, shape ``(N,)``; raises a ``ModelError`` if one isn't finite."""

    def save(self, network: Any, folder: Path, logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> None:
        """Write the adapter, and what belongs to the head, given logits and truth of all validation questions."""
        network.model.save_pretrained(folder, save_embedding_layers=False)

    def restore(self, network: Any, folder: Path) -> None:
        """Load the weights of another training's adapter; a ``ModelError`` if they are of other layers or shapes."""
        from safetensors.torch import load_file  # imports torch

        weights = load_file(folder / "adapter_model.safetensors")
        names = {name.replace(".default.", ".") for name, _ in network.model.named_parameters() if "lora_" in name}
        if set(weights) != names:
            raise ModelError(
                f"the adapter '{folder}' has {len(weights)} matrices, this training {len(names)} in other places; set "
                "finetune.first_layer, last_layer and target_modules as in its settings.json"
            )
        require("peft", "train").set_peft_model_state_dict(network.model, weights)


def draw_training_data(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], head: Head, settings: FinetuneSettings
) -> TrainingData:
    """Draw epochs until there are enough examples for every step. Those of a step are sorted by length, so that
    micro-batches hold little padding; pooled groups aren't. Raises a ``TrainingError`` if they teach nothing.
    """
    groups: list[tuple[Instruction, ...]] = []
    size, steps, epoch = settings.batch_size, 0, 0
    while not steps or len(groups) < steps * size:
        drawn = head.group(examples_for_epoch(epoch))
        if not drawn:
            raise TrainingError(f"epoch {epoch} of the training split gives 0 {head.unit}; see: coordi data info")
        groups += drawn
        if not steps:
            steps = max(1, round(settings.epochs * len(drawn) / size))
            steps = min(steps, settings.max_steps or steps)
        epoch += 1
    examples = [head.encode(group) for group in groups[: steps * size]]
    for start in range(0, len(examples), size):
        step = slice(start, start + size)
        examples[step] = sorted(examples[step], key=lambda example: example.tokens if example.answer_length else 0)
    return TrainingData(examples, steps, size)


def _pad(texts: Sequence[Sequence[int]], value: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, padded on the right, and the attention mask, both ``(N, T)``; T is a multiple of 16."""
    import torch

    rows = [torch.tensor(text) for text in texts]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    ids = torch.nn.functional.pad(ids, (0, -ids.shape[1] % PAD_MULTIPLE), value=value)
    lengths = torch.tensor([len(text) for text in texts])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    return ids, mask


class AnswerHead(Head):
    """The model's own next-token head: cross-entropy on the answer's tokens, as in the paper. Every example weighs as
    much, however long its answer: a name of fifteen tokens would drown a yes.
    """

    unit = "examples"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int, form: PromptForm = "auto") -> None:
        self.renderer = PromptRenderer(tokenizer, max_length, form)
        self._answers = answer_tokens(self.renderer)

    def group(self, instructions: Sequence[Instruction]) -> list[tuple[Instruction, ...]]:
        """See ``Head.group``; every instruction is an example."""
        answers = {instruction.answer for instruction in instructions}
        if len(instructions) > 1 and len(answers) == 1 and answers <= {YES, NO}:
            raise TrainingError(
                f"all {len(instructions)} training examples have the answer '{answers.pop()}', so there is nothing to "
                "learn; see: coordi data info"
            )
        return [(instruction,) for instruction in instructions]

    def encode(self, group: tuple[Instruction, ...]) -> Example:
        """See ``Head.encode``."""
        (instruction,) = group
        rendered = self.renderer.render(instruction)
        answer = rendered.answer_ids
        if not answer:
            raise TrainingError(
                f"a training example has no answer: '{instruction.question}' about {len(instruction.items)} items"
            )
        answer = answer[:1] if len(answer) == _WORD_AND_END else answer
        return Example(((*rendered.prompt_ids, *answer),), len(answer))

    def network(self, model: Any) -> nn.Module:
        """See ``Head.network``."""
        import torch

        class AnswerNetwork(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(
                self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
            ) -> torch.Tensor:
                backbone, head = backbone_and_head(self.model)
                output = backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
                targets = labels[:, 1:]  # (B, T - 1)
                learned = targets != IGNORED
                states = output.last_hidden_state[:, :-1][learned]  # (answer tokens, H)
                logits = apply_logit_scaling(self.model, head(states).float())  # (answer tokens, V)
                losses = torch.nn.functional.cross_entropy(logits, targets[learned], reduction="none")
                lengths = learned.sum(dim=1, keepdim=True).expand_as(learned)[learned]
                return (losses / lengths).sum()

        return AnswerNetwork()

    def batch(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """See ``Head.batch``."""
        ids, mask = _pad([example.texts[0] for example in examples])
        labels, _ = _pad(
            [(*[IGNORED] * (row.tokens - row.answer_length), *row.texts[0][-row.answer_length :]) for row in examples],
            IGNORED,
        )
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    def logits(self, network: Any, prompts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """See ``Head.logits``."""
        yes, no = PromptRunner(network.model, self._answers).logits(prompts).T
        return np.asarray(yes - no)


class GroupHead(Head):
    """A linear head on the mean hidden state of an outfit's items, trained on groups of an outfit and its negatives."""

    unit = "outfits with a negative"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.renderer = ListRenderer(tokenizer, max_length)

    def group(self, instructions: Sequence[Instruction]) -> list[tuple[Instruction, ...]]:
        """See ``Head.group``; every outfit is followed by its negatives, and one without any is left out."""
        groups: list[tuple[Instruction, ...]] = []
        for instruction in instructions:
            if instruction.answer == YES:
                groups.append((instruction,))
            elif groups:
                groups[-1] += (instruction,)
        return [group for group in groups if len(group) > 1]

    def encode(self, group: tuple[Instruction, ...]) -> Example:
        """See ``Head.encode``."""
        return Example(tuple(map(self.prompt, group)))

    def network(self, model: Any) -> nn.Module:
        """See ``Head.network``."""
        import torch

        class PooledNetwork(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model
                backbone, _ = backbone_and_head(model)
                self.layer = len(backbone.layers)
                backbone.norm = torch.nn.Identity()  # the head reads the output of the last layer itself
                size, device = int(backbone.config.hidden_size), next(backbone.parameters()).device
                self.norm = torch.nn.LayerNorm(size, eps=EPSILON, device=device)
                self.unit = torch.nn.Linear(size, 1, device=device)
                torch.nn.init.zeros_(self.unit.weight)  # all outfits are alike before anything is learned
                torch.nn.init.zeros_(self.unit.bias)

            def forward(
                self, input_ids: torch.Tensor, attention_mask: torch.Tensor, sizes: torch.Tensor
            ) -> torch.Tensor:
                backbone, _ = backbone_and_head(self.model)
                counted = attention_mask.clone()
                counted[:, : ListRenderer.before] = 0
                with _fast_autocast():
                    output = backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
                states = output.last_hidden_state  # (N, T, H)
                mean = (states.float() * counted[:, :, None]).sum(dim=1) / counted.sum(dim=1, keepdim=True)
                return group_losses(self.unit(self.norm(mean))[:, 0], sizes.tolist()).sum()

            def pooled_head(self, slope: float = 1.0, offset: float = 0.0) -> PooledHead:
                weights = (self.norm.weight, self.norm.bias, self.unit.weight[0], self.unit.bias)
                gain, shift, weight, bias = (value.detach().float().cpu().numpy().copy() for value in weights)
                return PooledHead(self.layer, gain, shift, weight, bias, slope, offset)

            def load_head(self, head: PooledHead) -> None:
                with torch.no_grad():
                    self.norm.weight.copy_(torch.from_numpy(head.gain))
                    self.norm.bias.copy_(torch.from_numpy(head.shift))
                    self.unit.weight[0].copy_(torch.from_numpy(head.weight))
                    self.unit.bias.copy_(torch.from_numpy(head.bias))

        return PooledNetwork()

    def batch(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """See ``Head.batch``."""
        import torch

        ids, mask = _pad([text for example in examples for text in example.texts])
        sizes = torch.tensor([len(example.texts) for example in examples])
        return {"input_ids": ids, "attention_mask": mask, "sizes": sizes}

    def logits(self, network: Any, prompts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """See ``Head.logits``."""
        head = network.pooled_head()
        pool = PoolSpec(head.layer, ListRenderer.before)
        with _fast_autocast():
            states = PromptRunner(network.model, ()).read(prompts, pool).states
        return np.asarray(head.logits(states))

    def save(self, network: Any, folder: Path, logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> None:
        """See ``Head.save``; the head's probabilities are calibrated on the validation questions."""
        super().save(network, folder, logits, truth)
        network.pooled_head(*fit_platt_line(logits, truth)).save(folder)

    def restore(self, network: Any, folder: Path) -> None:
        """See ``Head.restore``; the head goes on too."""
        super().restore(network, folder)
        network.load_head(PooledHead.load(folder))


def _fast_autocast() -> torch.autocast:
    import torch

    dtype = compute_dtype()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, dtype, enabled=dtype is not torch.float32)


def group_losses(logits: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Losses ``(G,)`` of groups, whose logits ``(N,)`` are group after group, the outfit first: the cross-entropy of
    the answers, the outfit weighing as much as all its negatives, plus the mean of ``-log sigmoid(outfit - negative)``
    (Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, 2009).
    """
    import torch
    from torch.nn.functional import softplus

    losses = []
    for group in torch.split(logits, list(sizes)):
        yes, no = group[0], group[1:]
        answers = (softplus(-yes) + softplus(no).mean()) / 2
        losses.append(answers + softplus(no - yes).mean())
    return torch.stack(losses)
