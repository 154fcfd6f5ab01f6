"""Names what would complete an outfit, the paper's last step. No command uses it yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordi.model.engines import Loaded
from coordi.prompts import PromptRenderer, complement_instruction
from coordi.types import GarmentCategory


def name_complement(
    loaded: Loaded, context: Sequence[str], want: GarmentCategory, max_length: int, max_tokens: int = 16
) -> str:
    """What the model would add, such as ``"black ankle boots"``: the first line of its most likely answer, or nothing.
    ``max_length`` limits the tokens of the prompt and the name together.
    """
    import torch

    renderer = PromptRenderer(loaded.tokenizer, max_length - max_tokens)
    prompt = renderer.render(complement_instruction(context, want)).prompt_ids
    model: Any = loaded.model
    ids = torch.tensor([list(prompt)], device=next(model.parameters()).device)
    with torch.no_grad():
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=loaded.tokenizer.pad_token_id,
            eos_token_id=list(renderer.end_ids()),
        )[0, len(prompt) :]
    text = str(loaded.tokenizer.decode(written, skip_special_tokens=True)).strip()
    return text.splitlines()[0].strip() if text else ""
