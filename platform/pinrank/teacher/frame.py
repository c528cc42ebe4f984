"""What a judge reads around a pair: the guideline before the query, the question after the pin.

The guideline comes first because it is the same for all pairs, so that vLLM's prefix cache computes it once.
"""

from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import ModelError
from pinrank.levels import LEVELS
from pinrank.teacher.tokens import Template, template_of, token_ids

GUIDELINE = "guideline.md"
QUERY, PIN = "{query}", "{pin}"
PAIR = f"Query:\n{QUERY}\n\nPin:\n{PIN}"
QUESTION = f"Which level is this pin for this query? Answer with one digit from {LEVELS[0]} to {LEVELS[-1]}, no more."
CUE = "\n\nLevel:\n"
"""Ends the text for a model that knows no chats."""


class Frame(BaseModel):
    """The text around a pair, special tokens written out, and the token ids of the five answers.

    A judge keeps its frame for good: some chat templates write today's date, and its grades must not depend on it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: str
    between: str
    after: str
    levels: tuple[int, ...] = Field(min_length=len(LEVELS), max_length=len(LEVELS), description="ids of '1' to '5'")


def guideline() -> str:
    """The packaged guideline of the five levels, Markdown."""
    return (files("pinrank.teacher") / GUIDELINE).read_text(encoding="utf-8").strip()


def frame_of(tokenizer: Any) -> Frame:
    """The frame as a model's tokenizer wants it: its chat template where it has one, plain text otherwise.

    Raises ModelError when the template does not show the message as it is, or a level is no single token.
    """
    message = f"{guideline()}\n\n{PAIR}\n\n{QUESTION}"
    before, _, rest = _rendered(tokenizer, message).partition(QUERY)
    between, found, after = rest.partition(PIN)
    if not found or QUERY in rest or PIN in after:
        raise ModelError(
            f"{tokenizer.name_or_path}: its chat template does not write a user's message as it is, once. Choose an "
            "instruction-tuned model with a plain chat template."
        )
    return Frame(before=before, between=between, after=after, levels=level_tokens(tokenizer, after))


def frame_tokens(tokenizer: Any, frame: Frame) -> Template:
    """The frame as tokens."""
    before, between, after = token_ids(tokenizer, [frame.before, frame.between, frame.after])
    return Template(before, between, after, typed=False)


def level_tokens(tokenizer: Any, after: str) -> tuple[int, ...]:
    """Token ids of the answers "1" to "5" where they follow `after`.

    Raises ModelError when one of them is more than a token, changes the tokens before it, or is unknown.
    """
    end, *answered = token_ids(tokenizer, [after, *(f"{after}{level}" for level in LEVELS)])
    single = all(ids[:-1] == end for ids in answered)
    found = tuple(ids[-1] for ids in answered)
    if not single or len(set(found)) < len(LEVELS) or tokenizer.unk_token_id in found:
        shown = ", ".join(" ".join(tokenizer.convert_ids_to_tokens(ids[-2:])) for ids in answered)
        raise ModelError(
            f"{tokenizer.name_or_path}: a judge answers with one token, but this tokenizer has none for each of the "
            f"levels 1 to 5 (prompt and answer would end in {shown}). Choose another model."
        )
    return found


def _rendered(tokenizer: Any, message: str) -> str:
    if tokenizer.chat_template is None:
        opening = tokenizer.decode(template_of(tokenizer, "\n").before)
        return f"{opening}{message}{CUE}"
    # Models that think before they answer are told not to; the templates of others ignore it.
    chat = [{"role": "user", "content": message}]
    rendered: str = tokenizer.apply_chat_template(
        chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return rendered
