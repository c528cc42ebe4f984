"""What every engine that grades has in common: its settings, its one method, and how vLLM is started."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.backbones import refuse_pickled
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
    in_flight: int = Field(
        2, ge=1, description="calls whose batches vLLM mixes on a GPU; on a CPU it is one, or bytes would differ"
    )
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share one model in vllm; workers.engine_gpus has them")
    own_process: bool = Field(
        False, description="vllm's scheduler in a process of its own, which takes longer to start"
    )


class EngineDead(Exception):
    """The process in which an engine ran has ended, and with it the engine; only another one can grade."""


class Engine(Protocol):
    """What grades prompts; several threads may call it."""

    card: TeacherCard

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        """Raw logits_NL, float32, in the order of the prompts."""
        ...


def batches_by_length(prompts: Sequence[Prompt], batch_size: int) -> Iterator[list[int]]:
    """Row numbers of the batches of a forward pass: prompts of like length together, each once."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row].token_ids))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def configure_vllm(own_process: bool = False) -> None:
    """Say in the environment where vLLM runs, and that it is quiet; to be called before it is imported."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", str(int(own_process)))
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")


def start_vllm(model: str, max_model_len: int, settings: EngineSettings, options: Mapping[str, Any]) -> Any:
    """A vllm.LLM in this process on a model's folder; `options` are LLM's own."""
    configure_vllm(settings.own_process)
    refuse_pickled(model)
    import torch
    from vllm import LLM

    has_gpu = torch.cuda.is_available()
    return LLM(
        model=model,
        dtype=settings.dtype,
        load_format="safetensors",
        max_model_len=max_model_len,
        max_num_seqs=settings.batch_size,
        tensor_parallel_size=settings.tensor_parallel,
        enforce_eager=not has_gpu,
        disable_log_stats=True,
        **({} if has_gpu else {"kv_cache_memory_bytes": settings.kv_cache_bytes}),
        **options,
    )
