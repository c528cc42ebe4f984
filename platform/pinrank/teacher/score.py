"""Grading pairs with a trained teacher: one interface, two engines.

vLLM is the engine for millions of pairs; transformers is the reference that it must agree with.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import ParityError
from pinrank.levels import NUM_LEVELS, probabilities
from pinrank.teacher.export import TeacherCard, open_teacher, read_card
from pinrank.teacher.families import Pooling, family_of
from pinrank.teacher.model import uses_token_types
from pinrank.teacher.tokens import PairTokenizer, Prompt, padded

log = logging.getLogger(__name__)

Logits = NDArray[np.float32]
VLLM_POOLING: dict[Pooling, str] = {"first": "CLS", "last": "LAST", "mean": "MEAN"}


class EngineSettings(BaseModel):
    """Which engine grades, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["vllm", "transformers"] = Field(
        "vllm", description="for millions of pairs; a family that vLLM lacks is graded by transformers all the same"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 is twice as fast and shifts probabilities by about a hundredth"
    )
    batch_size: int = Field(64, ge=1, description="pairs in one forward pass (transformers) or in flight (vllm)")
    kv_cache_bytes: int = Field(2**28, ge=2**20, description="what vLLM sets aside on a CPU")


class Engine(Protocol):
    """What grades prompts."""

    card: TeacherCard

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        """Raw logits_NL, float32, in the order of the prompts."""
        ...


class TransformersEngine:
    """The reference: plain transformers, batches sorted by length."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        import torch

        self.card = read_card(folder)
        self.settings = settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = open_teacher(folder).to(self.device, getattr(torch, settings.dtype))
        self.pad_id = PairTokenizer.open(folder, self.card.text).pad_id
        self.uses_types = uses_token_types(self.model.backbone.config)

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        import torch

        logits_NL = np.empty((len(prompts), NUM_LEVELS), dtype=np.float32)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index].token_ids))
        for start in range(0, len(order), self.settings.batch_size):
            rows = order[start : start + self.settings.batch_size]
            batch = padded([prompts[row] for row in rows], self.pad_id, self.uses_types)
            with torch.inference_mode():
                graded = self.model(**{name: value.to(self.device) for name, value in batch.items()})
            logits_NL[rows] = graded.float().cpu().numpy()
        return logits_NL


class VllmEngine:
    """vLLM in this process, with the head evaluated inside the engine."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        from vllm import LLM
        from vllm.config import PoolerConfig

        from pinrank.teacher.vllm_models import register

        register()
        self.card = read_card(folder)
        self.uses_types = uses_token_types(_config(folder))
        self.model: Any = LLM(
            model=folder,
            runner="pooling",
            convert="embed",
            dtype=settings.dtype,
            max_model_len=self.card.text.max_tokens,
            max_num_seqs=settings.batch_size,
            enforce_eager=not _has_gpu(),
            hf_overrides=_overrides(_config(folder)),
            pooler_config=PoolerConfig(seq_pooling_type=VLLM_POOLING[self.card.pooling], use_activation=False),
            disable_log_stats=True,
            **({} if _has_gpu() else {"kv_cache_memory_bytes": settings.kv_cache_bytes}),
        )

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        from vllm import PoolingParams, TokensPrompt

        if not prompts:
            return np.empty((0, NUM_LEVELS), dtype=np.float32)
        params = [
            PoolingParams(extra_kwargs={"compressed_token_type_ids": prompt.second_start} if self.uses_types else None)
            for prompt in prompts
        ]
        tokens = [TokensPrompt(prompt_token_ids=prompt.token_ids) for prompt in prompts]
        graded = self.model.embed(tokens, pooling_params=params, use_tqdm=False)
        logits_NL = np.asarray([output.outputs.embedding for output in graded], dtype=np.float32)
        if logits_NL.shape[1:] != (NUM_LEVELS,):
            raise ParityError(
                f"vLLM returned vectors of {logits_NL.shape[1:]} where {NUM_LEVELS} logits are due: it did not load "
                "the teacher's head. Use --engine.name transformers, and check the vllm version."
            )
        return logits_NL


def open_engine(folder: str, settings: EngineSettings) -> Engine:
    """Open a teacher with the engine asked for, or with transformers where vLLM lacks the backbone's family.

    Raises ModelError when the folder holds no teacher.
    """
    read_card(folder)
    if settings.name == "vllm" and not (family := family_of(_config(folder).model_type)).in_vllm:
        log.info("%s: vLLM has no %s, so transformers grades", folder, family.name)
        return TransformersEngine(folder, settings)
    return VllmEngine(folder, settings) if settings.name == "vllm" else TransformersEngine(folder, settings)


def grade_pairs(folder: str, pairs: Sequence[tuple[str, str]], settings: EngineSettings) -> Logits:
    """Tokenise (query, pin text) pairs and grade them in one call: logits_NL, float32, in the order given."""
    engine = open_engine(folder, settings)
    return engine.grade(PairTokenizer.open(folder, engine.card.text).prompts(pairs))


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


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
