"""A judge: a generative model that grades by a written guideline, and has learnt no judgment.

    card.json      kind judge: the model's name, the whole frame with the guideline in it, text settings
    guideline.md   the guideline alone, for people

The model stays where it is; the version names its content, so that one that was changed makes another judge.
"""

import hashlib
from pathlib import Path
from typing import Any

from pinrank.backbones import PACKAGED, refuse_foreign_code, resolve
from pinrank.durable import replace_folder, staging_of
from pinrank.errors import ModelError
from pinrank.model_card import CARD
from pinrank.teacher.card import TeacherCard
from pinrank.teacher.families import DECODER, FAMILIES
from pinrank.teacher.frame import GUIDELINE, Frame, frame_of, frame_tokens, guideline
from pinrank.teacher.settings import TeacherSettings
from pinrank.teacher.tokens import PairTokenizer
from pinrank.text import TextSettings

DECIDES_GRADES = (".json", ".safetensors", ".model", ".txt", ".jinja")
"""Suffixes of the files of a model's folder that its answers depend on."""


def publish_judge(settings: TeacherSettings, name: str, folder: str) -> TeacherCard:
    """Write a judge's folder in one rename; of the settings, only the backbone and the text matter.

    Raises ModelError when the pin shall come first, or the backbone cannot generate, has no single token for a level,
    or a context that is too short for the guideline and a pair.
    """
    from transformers import AutoConfig, AutoTokenizer

    if settings.text.first != "query":
        raise ModelError(
            "a judge reads the query first, as its guideline says. Leave --teacher.text.first at query; the guideline "
            "before it is cached all the same."
        )
    refuse_foreign_code(settings.backbone, settings.allow_auto_map)
    model = resolve(settings.backbone)
    config = AutoConfig.from_pretrained(model)
    _refuse_without_generation(settings.backbone, config)
    frame = frame_of(AutoTokenizer.from_pretrained(model))
    _refuse_short_context(settings.backbone, config, pair_tokenizer(model, frame, settings.text))
    card = TeacherCard(
        version=f"{name}@{_content_hash(Path(model), frame, settings.text)}",
        kind="judge",
        backbone=_lasting_name(settings.backbone, model),
        text=settings.text,
        frame=frame,
        metrics={},
        lineage={"guideline": hashlib.sha256(guideline().encode()).hexdigest()},
    )
    staging = staging_of(Path(folder))
    (staging / GUIDELINE).write_text(f"{guideline()}\n", encoding="utf-8")
    (staging / CARD).write_text(card.model_dump_json(indent=2), encoding="utf-8")
    replace_folder(staging, Path(folder))
    return card


def open_judge_tokenizer(card: TeacherCard) -> PairTokenizer:
    """The tokenizer of a judge's prompts."""
    assert card.frame is not None  # every judge has one
    return pair_tokenizer(resolve(card.backbone), card.frame, card.text)


def pair_tokenizer(model: str, frame: Frame, text: TextSettings) -> PairTokenizer:
    """Pairs as a model reads them inside a frame; text.max_tokens is for query and pin, the frame comes on top."""
    from transformers import AutoTokenizer

    framed = frame_tokens(AutoTokenizer.from_pretrained(model), frame)
    # A query or pin that spells a special token must not end the message: it stays text.
    literal = AutoTokenizer.from_pretrained(model, split_special_tokens=True)
    whole = text.model_copy(update={"max_tokens": len(framed) + text.max_tokens})
    return PairTokenizer(literal, whole, framed)


def context_length(tokenizer: PairTokenizer) -> int:
    """Tokens of the longest prompt and its answer."""
    return tokenizer.text.max_tokens + 1


def _refuse_without_generation(name: str, config: Any) -> None:
    family = FAMILIES.get(config.model_type)
    architectures = config.architectures or []
    if family not in (None, DECODER) or not any(found.endswith("ForCausalLM") for found in architectures):
        held = ", ".join(architectures) or config.model_type
        raise ModelError(
            f"{name}: holds {held}, but a judge writes its answer: it needs a decoder with its generation head "
            "(...ForCausalLM). Choose one with --teacher.backbone, best an instruction-tuned one."
        )


def _refuse_short_context(name: str, config: Any, tokenizer: PairTokenizer) -> None:
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    needed = context_length(tokenizer)
    if context is not None and context < needed:
        framed = len(tokenizer.template)
        raise ModelError(
            f"{name}: its context of {context} tokens is too short: guideline and question take {framed}, a pair up to "
            f"{needed - framed - 1} and the answer one, together {needed}. Choose a model with a longer context, or "
            "lower --teacher.text.max_tokens."
        )


def _lasting_name(name: str, model: str) -> str:
    """A name that opens the same model from any working directory, and after its repository has moved on."""
    if Path(name).is_dir():
        return model
    return name if name in PACKAGED or "@" in name else f"{name}@{Path(model).name}"


def _content_hash(model: Path, frame: Frame, text: TextSettings) -> str:
    """8 hex digits over all that decides a grade: the model's files, wherever they lie, the frame and the text."""
    digest = hashlib.sha256(f"{frame.model_dump_json()}{text.model_dump_json()}".encode())
    for path in sorted(model.iterdir()):
        if path.suffix in DECIDES_GRADES:
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]
