"""What every engine that grades has in common: its settings, its one method, and how vLLM is started."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.teacher.card import TeacherCard
from pinrank.teacher.tokens import Prompt

Logits = NDArray[np.float32]


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


def batches_by_length(prompts: Sequence[Prompt], batch_size: int) -> Iterator[list[int]]:
    """Row numbers of the batches of a forward pass: prompts of like length together, each once."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row].token_ids))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def configure_vllm() -> None:
    """Say in the environment that vLLM runs inside this process, and quietly; to be called before it is imported."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")


def start_vllm(model: str, max_model_len: int, settings: EngineSettings, options: Mapping[str, Any]) -> Any:
    """A vllm.LLM in this process on a model's folder; `options` are LLM's own."""
    configure_vllm()
    import torch
    from vllm import LLM

    has_gpu = torch.cuda.is_available()
    return LLM(
        model=model,
        dtype=settings.dtype,
        max_model_len=max_model_len,
        max_num_seqs=settings.batch_size,
        enforce_eager=not has_gpu,
        disable_log_stats=True,
        **({} if has_gpu else {"kv_cache_memory_bytes": settings.kv_cache_bytes}),
        **options,
    )
