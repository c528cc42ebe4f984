"""The OpenAPI says what the student that answers can be told: its features by name, and the limits of the settings."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pinrank.student.declaration import Categorical, Numeric
from pinrank.student.features import FeatureSpec
from serve_apps.rerank.features import LARGEST, LARGEST_NUMBER
from serve_apps.rerank.settings import RerankSettings

Schema = dict[str, Any]

RANKINGS = ("RerankRequest", "JinaRequest", "RankRequest")


def described(base: Mapping[str, Any], spec: FeatureSpec, widths: Sequence[int], settings: RerankSettings) -> Schema:
    """The app's OpenAPI with a student's features, the widths of its vectors and the limits of a request filled in."""
    whole: Schema = deepcopy(dict(base))
    schemas = whole["components"]["schemas"]
    of_query = orderly(query_features(spec), "of the query; null or absent is missing")
    for name in RANKINGS:
        fields = schemas[name]["properties"]
        fields["query"]["maxLength"] = settings.max_query_chars
        fields["query_features"] = of_query
    schemas["RankRequest"]["properties"]["pin_ids"]["maxItems"] = settings.max_documents
    said = f"at most {settings.max_documents}, of them {settings.max_texts} by text alone"
    for name in ("RerankRequest", "JinaRequest"):
        schemas[name]["properties"]["documents"]["description"] = said
    embeddings = schemas["EmbeddingsRequest"]["properties"]
    embeddings["dimensions"]["anyOf"] = [{"type": "integer", "enum": sorted(widths)}, {"type": "null"}]
    one, several = embeddings["input"]["oneOf"]
    several["maxItems"] = settings.max_texts
    one["description"] = f"as a query at most {settings.max_query_chars} characters"
    of_pair = {name: number(each) for name, each in spec.declared.pair.numeric.items()}
    schemas["Document"]["properties"]["pair_features"] = orderly(of_pair, "of the query with this document")
    columns = {name: {"type": "array", "items": each} for name, each in of_pair.items()}
    said = "of the query with each pin: lists as long as pin_ids"
    schemas["RankRequest"]["properties"]["pair_features"] = orderly(columns, said)
    return whole


def orderly(features: Mapping[str, Schema], description: str) -> Schema:
    """An object with these fields and no others, or null."""
    known = {"type": "object", "properties": dict(features), "additionalProperties": False}
    return {"anyOf": [known, {"type": "null"}], "description": description}


def query_features(spec: FeatureSpec) -> dict[str, Schema]:
    """What each feature of a query may be."""
    columns = spec.declared.query
    return {
        **{name: number(each) for name, each in columns.numeric.items()},
        **{name: words(each) for name, each in columns.categorical.items()},
        **{name: vector(spec.spaces[name].dim) for name in spec.declared.externals("query")},
    }


def number(declared: Numeric) -> Schema:
    """A number or null."""
    least = 0 if declared.log1p else -LARGEST_NUMBER
    return {"anyOf": [{"type": "number", "minimum": least, "maximum": LARGEST_NUMBER}, {"type": "null"}]}


def words(declared: Categorical) -> Schema:
    """A text, a list of texts, or null."""
    several: Schema = {"type": "array", "items": {"type": "string"}}
    if declared.max_values == 1:
        several["maxItems"] = 1
    return {"anyOf": [{"type": "string"}, several, {"type": "null"}]}


def vector(dim: int) -> Schema:
    """So many numbers, or null."""
    numbers = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
    return {"anyOf": [{"type": "array", "items": numbers, "minItems": dim, "maxItems": dim}, {"type": "null"}]}
