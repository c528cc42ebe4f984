"""Two engines that let a judge answer: vLLM, and transformers, the reference that it must agree with.

Only the log-probabilities of the five level tokens are read, over the whole vocabulary: their softmax is the grade,
and what they lack to a sum of one is what the model would rather have written.

Letters: N prompts, T tokens, V words of the vocabulary, L = 5 levels.
"""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from pinrank.backbones import refuse_pickled, resolve
from pinrank.errors import ModelError, ParityError
from pinrank.levels import LEVELS, NUM_LEVELS
from pinrank.teacher.card import read_card
from pinrank.teacher.engine import EngineSettings, Logits, batches_by_length, configure_vllm, start_vllm
from pinrank.teacher.frame import Frame
from pinrank.teacher.judge import context_length, open_judge_tokenizer
from pinrank.teacher.stepper import Stepper
from pinrank.teacher.tokens import Prompt, padded

log = logging.getLogger(__name__)

LEAST_SHARE = 0.5
"""Of the model's probability, on the five levels together; below it, its answers mean little."""


class JudgeEngine:
    """vLLM in this process. The guideline is computed once a call and read from the prefix cache by all its pairs; on
    a GPU, where calls are mixed, once for all."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        configure_vllm(settings.own_process)
        import torch

        self.folder = folder
        self.card = read_card(folder)
        self.levels = _frame(folder, self.card.frame).levels
        model, context = resolve(self.card.backbone), context_length(open_judge_tokenizer(self.card))
        options = {"runner": "generate", "enable_prefix_caching": True}
        has_gpu = torch.cuda.is_available()
        # vLLM compiles the ranks of log-probabilities even in eager mode, which on a CPU takes 20 s and a C++ compiler.
        stepping = partial(torch.compiler.set_stance, "default" if has_gpu else "force_eager")
        open_model = partial(start_vllm, model, context, settings, options)
        self.stepper = Stepper(open_model, settings.in_flight if has_gpu else 1, stepping)

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        from vllm import TokensPrompt

        if not prompts:
            return np.empty((0, NUM_LEVELS), dtype=np.float32)
        answer = self.answer()
        answered = self.stepper.run([(TokensPrompt(prompt_token_ids=prompt.token_ids), answer) for prompt in prompts])
        found = [{token: known.logprob for token, known in one.outputs[0].logprobs[0].items()} for one in answered]
        logits_NL = np.asarray([level_logprobs(logprobs, self.levels) for logprobs in found], dtype=np.float32)
        warn_if_evasive(logits_NL, self.folder)
        return logits_NL

    def answer(self) -> Any:
        """What vLLM is told of every prompt beside its tokens: one token, and what each level would have had."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        # Asked for by id: among the likeliest tokens, a level that the model finds unlikely would be missing.
        return SamplingParams(
            temperature=0,
            max_tokens=1,
            logprobs=NUM_LEVELS,
            logprob_token_ids=list(self.levels),
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


class TransformersJudge:
    """The reference: plain transformers, batches sorted by length."""

    def __init__(self, folder: str, settings: EngineSettings) -> None:
        import torch

        self.folder = folder
        self.card = read_card(folder)
        self.levels = list(_frame(folder, self.card.frame).levels)
        self.settings = settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = _open_model(self.card.backbone, getattr(torch, settings.dtype)).to(self.device)
        self.pad_id = open_judge_tokenizer(self.card).pad_id
        self.one_at_a_time = threading.Lock()

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        with self.one_at_a_time:
            return self._grade(prompts)

    def _grade(self, prompts: Sequence[Prompt]) -> Logits:
        import torch

        logits_NL = np.empty((len(prompts), NUM_LEVELS), dtype=np.float32)
        for rows in batches_by_length(prompts, self.settings.batch_size):
            batch = _left_padded([prompts[row] for row in rows], self.pad_id)
            with torch.inference_mode():
                last = self.model(**{name: value.to(self.device) for name, value in batch.items()}, logits_to_keep=1)
            logprobs_NV = last.logits[:, -1].float().log_softmax(dim=-1)
            logits_NL[rows] = logprobs_NV[:, self.levels].cpu().numpy()
        warn_if_evasive(logits_NL, self.folder)
        return logits_NL


def level_logprobs(logprobs: Mapping[int, float], levels: Sequence[int]) -> list[float]:
    """The five of an answer's log-probabilities by token id; ParityError when the engine left one out."""
    found = [logprobs.get(token, -math.inf) for token in levels]
    lacking = [str(level) for level, logprob in zip(LEVELS, found, strict=True) if not math.isfinite(logprob)]
    if lacking:
        raise ParityError(
            f"vLLM returned no log-probability for level {', '.join(lacking)}, and a missing one is not a zero. Use "
            "--engine.name transformers, and check the vllm version."
        )
    return found


def warn_if_evasive(logits_NL: Logits, folder: str) -> None:
    """Say so in the log when the model would mostly answer something else than a level."""
    if len(logits_NL) and (share := float(np.exp(logits_NL).sum(axis=1).mean())) < LEAST_SHARE:
        log.warning(
            "%s: the five levels hold %.1f%% of the probability of the model's answer, so it would rather write "
            "something else and its grades mean little. Choose an instruction-tuned model.",
            folder,
            100 * share,
        )


def _frame(folder: str, frame: Frame | None) -> Frame:
    if frame is None:
        raise ModelError(f"{folder}: a trained teacher, no judge. Open it with pinrank.teacher.score.open_engine.")
    return frame


def _open_model(backbone: str, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    folder = resolve(backbone)
    refuse_pickled(folder)
    model, loading = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"])[:3])
        raise ModelError(f"{backbone}: the folder lacks weights of the model ({missing}, ...). Download it again.")
    return model.eval()


def _left_padded(prompts: Sequence[Prompt], pad_id: int) -> dict[str, Any]:
    """Prompts as int64 tensors [N, T] that all end in the last column: input_ids, attention_mask, position_ids."""
    import torch

    right = padded(prompts, pad_id, uses_types=False)
    empty_N = (right["attention_mask"] == 0).sum(dim=1).tolist()
    left = {
        name: torch.stack([row.roll(empty) for row, empty in zip(rows_NT, empty_N, strict=True)])
        for name, rows_NT in right.items()
    }
    return left | {"position_ids": (left["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)}
