"""Grading pairs with a teacher: one interface, two engines for either kind.

vLLM is the engine for millions of pairs; transformers is the reference that it must agree with. The engines of a judge
are in pinrank.teacher.judge_engines, those of a trained teacher here.
"""

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from pinrank.errors import ModelError, ParityError
from pinrank.levels import NUM_LEVELS, probabilities
from pinrank.teacher.card import read_card
from pinrank.teacher.engine import Engine, EngineSettings, Logits, batches_by_length, configure_vllm, start_vllm
from pinrank.teacher.families import Pooling, family_of, uses_token_types
from pinrank.teacher.judge import open_judge_tokenizer
from pinrank.teacher.judge_engines import JudgeEngine, TransformersJudge
from pinrank.teacher.stepper import Stepper
from pinrank.teacher.tokens import PairTokenizer, Prompt, padded

__all__ = [
    "Engine",
    "EngineSettings",
    "Logits",
    "TransformersEngine",
    "VllmEngine",
    "grade_pairs",
    "largest_difference",
    "open_engine",
    "open_tokenizer",
]

log = logging.getLogger(__name__)

VLLM_POOLING: dict[Pooling, str] = {"first": "CLS", "last": "LAST", "mean": "MEAN"}


class TransformersEngine:
    """The reference: plain transformers, batches sorted by length."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        import torch

        from pinrank.teacher.export import open_teacher

        self.card = read_card(folder)
        self.settings = settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = open_teacher(folder).to(self.device, getattr(torch, settings.dtype))
        self.pad_id = PairTokenizer.open(folder, self.card.text).pad_id
        self.uses_types = uses_token_types(self.model.backbone.config)
        self.one_at_a_time = threading.Lock()

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        with self.one_at_a_time:
            return self._grade(prompts)

    def _grade(self, prompts: Sequence[Prompt]) -> Logits:
        import torch

        logits_NL = np.empty((len(prompts), NUM_LEVELS), dtype=np.float32)
        for rows in batches_by_length(prompts, self.settings.batch_size):
            batch = padded([prompts[row] for row in rows], self.pad_id, self.uses_types)
            with torch.inference_mode():
                graded = self.model(**{name: value.to(self.device) for name, value in batch.items()})
            logits_NL[rows] = graded.float().cpu().numpy()
        return logits_NL


class VllmEngine:
    """vLLM in this process, with the head evaluated inside the engine."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        configure_vllm(settings.own_process)
        import torch
        from vllm.config import PoolerConfig

        from pinrank.teacher.vllm_models import register

        register()
        self.card = read_card(folder)
        if self.card.pooling is None:
            raise ModelError(f"{folder}: a judge, which pools nothing. Open it with pinrank.teacher.score.open_engine.")
        self.uses_types = uses_token_types(_config(folder))
        pooler = PoolerConfig(seq_pooling_type=VLLM_POOLING[self.card.pooling], use_activation=False)
        options = {
            "runner": "pooling",
            "convert": "embed",
            "hf_overrides": _overrides(_config(folder)),
            "pooler_config": pooler,
        }
        open_model = partial(start_vllm, folder, self.card.text.max_tokens, settings, options)
        self.stepper = Stepper(open_model, settings.in_flight if torch.cuda.is_available() else 1)

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        from vllm import TokensPrompt

        if not prompts:
            return np.empty((0, NUM_LEVELS), dtype=np.float32)
        graded = self.stepper.run(
            [(TokensPrompt(prompt_token_ids=prompt.token_ids), self.params(prompt)) for prompt in prompts]
        )
        logits_NL = np.stack([output.outputs.data.float().numpy() for output in graded])
        if logits_NL.shape[1:] != (NUM_LEVELS,):
            raise ParityError(
                f"vLLM returned vectors of {logits_NL.shape[1:]} where {NUM_LEVELS} logits are due: it did not load "
                "the teacher's head. Use --engine.name transformers, and check the vllm version."
            )
        return logits_NL

    def params(self, prompt: Prompt) -> Any:
        """What vLLM is told of a prompt beside its tokens."""
        from vllm import PoolingParams

        types = {"compressed_token_type_ids": prompt.second_start} if self.uses_types else None
        return PoolingParams(task="embed", extra_kwargs=types)


def open_engine(folder: str, settings: EngineSettings) -> Engine:
    """Open a teacher with the engine asked for, or with transformers where vLLM lacks the backbone's family.

    Raises ModelError when the folder holds no teacher.
    """
    if read_card(folder).kind == "judge":
        return JudgeEngine(folder, settings) if settings.name == "vllm" else TransformersJudge(folder, settings)
    if settings.name == "vllm" and not (family := family_of(_config(folder).model_type)).in_vllm:
        log.info("%s: vLLM has no %s, so transformers grades", folder, family.name)
        return TransformersEngine(folder, settings)
    return VllmEngine(folder, settings) if settings.name == "vllm" else TransformersEngine(folder, settings)


def open_tokenizer(folder: str) -> PairTokenizer:
    """What makes prompts for a teacher's engine; ModelError when the folder holds no teacher."""
    card = read_card(folder)
    return open_judge_tokenizer(card) if card.kind == "judge" else PairTokenizer.open(folder, card.text)


def grade_pairs(folder: str, pairs: Sequence[tuple[str, str]], settings: EngineSettings) -> Logits:
    """Tokenise (query, pin text) pairs and grade them in one call: logits_NL, float32, in the order given."""
    return open_engine(folder, settings).grade(open_tokenizer(folder).prompts(pairs))


def largest_difference(logits_NL: Logits, reference_NL: Logits) -> float:
    """The largest difference of a probability between two gradings of the same pairs."""
    return float(np.abs(probabilities(logits_NL) - probabilities(reference_NL)).max())


def _overrides(config: Any) -> dict[str, Any]:
    """What vLLM must be told of a backbone that its Hugging Face config does not say."""
    from pinrank.teacher.vllm_models import ARCHITECTURE

    if uses_token_types(config):
        return {"architectures": [ARCHITECTURE]}
    if family_of(config.model_type).name == "roberta":
        return {"position_embedding_type": "absolute"}  # vLLM asks for it; transformers 5 no longer writes it
    return {}


def _config(folder: str) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder)
