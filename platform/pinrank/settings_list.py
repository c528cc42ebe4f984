"""Every setting of a job or an application, one a line, as the reference of the docs lists them."""

import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python


@dataclass(frozen=True)
class Setting:
    """A setting by its dotted name: what it may be, what it is if nothing is said (None: it must be said), and why."""

    name: str
    kind: str
    default: str | None
    said: str


def settings_of(model: type[BaseModel], above: str = "") -> Iterator[Setting]:
    """The settings of a model, those of the models in it under their dotted names."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None:
            yield from settings_of(inner, f"{above}{name}.")
        else:
            yield Setting(f"{above}{name}", kind_of(field.annotation), default_of(field), field.description or "")


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (Union, types.UnionType):
        found = [model_in(each) for each in typing.get_args(annotation)]
        return next((each for each in found if each is not None), None)
    return None


def kind_of(annotation: Any) -> str:
    """A type as a person reads it: `number`, `list of text`, `vllm or transformers`."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return kind_of(inside[0])
    if origin is Literal:
        return " or ".join(map(str, inside))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind_of(each) for each in inside))
    if origin is tuple and inside and inside[-1] is not Ellipsis:
        return f"[{', '.join(map(kind_of, inside))}]"
    if origin in (list, tuple):
        return f"list of {kind_of(inside[0])}"
    if origin is dict:
        return f"{kind_of(inside[1])} by {kind_of(inside[0])}"
    names = {str: "text", int: "whole number", float: "number", bool: "yes or no", Path: "path", type(None): "null"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def default_of(field: FieldInfo) -> str | None:
    """A field's default as JSON; None where there is none."""
    value = field.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else json.dumps(to_jsonable_python(value), ensure_ascii=False)


def as_markdown(model: type[BaseModel]) -> str:
    """A table of a model's settings."""
    lines = ["| setting | is | default | |", "|---|---|---|---|"]
    for each in settings_of(model):
        default = "must be given" if each.default is None else f"`{each.default}`"
        lines.append(f"| `{each.name}` | {each.kind} | {default} | {each.said} |".replace("||", "| |"))
    return "\n".join(lines) + "\n"
