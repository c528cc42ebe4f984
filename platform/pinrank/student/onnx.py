"""The query tower as ONNX: what encodes queries without torch, in float32 or with weights of eight bits.

int8 is dynamic quantisation: weights are rounded once, activations at every call, products are summed in integers.

Letters: N texts, T tokens, D vector.
"""

import copy
import importlib
import importlib.util
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pinrank.errors import ModelError, SettingsError
from pinrank.parquet import one_line
from pinrank.precision import Precision
from pinrank.student.encoder import by_length, padded_arrays, text_template, tokenise
from pinrank.student.tower_folder import open_tokenizer

if TYPE_CHECKING:
    from pinrank.student.encoder import TextEncoder

Format = Literal["fp32", "int8"]

FOLDER = "onnx"
"""Where in a bundle the files lie."""

PREFERRED: tuple[Format, ...] = ("int8", "fp32")
"""The forms, the fastest first."""

_INPUTS = ("input_ids", "attention_mask")
_OUTPUT = "vectors"
_INSTALL = "Install it with: uv pip install -e '.[onnx]'"


class OnnxFigures(BaseModel):
    """What became of a format, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    published: bool
    reason: str
    ndcg_at_10: float | None = Field(None, description="on dev, queries encoded by ONNX")
    loss: float | None = Field(None, description="nDCG@10 on dev with torch less that with ONNX")
    largest_difference: float | None = Field(None, description="of a number in a dev query's vector")
    num_bytes: int | None = None


def file_of(bundle: Path, form: Format) -> Path:
    """Where a bundle holds its query tower in this format."""
    return bundle / FOLDER / f"query-{form}.onnx"


def chosen_form(bundle: Path, wanted: Literal["auto", "torch"] | Format) -> Format | None:
    """Which form of its query tower a bundle is served with; None is torch.

    auto: int8 before fp32, as far as the bundle holds them and onnxruntime is there. A bundle holds only forms that dev
    accepted. Raises ModelError when it does not hold the one that is wanted.
    """
    if wanted == "torch":
        return None
    if wanted != "auto":
        if not file_of(bundle, wanted).exists():
            raise ModelError(
                f"{bundle}: holds no query tower as {wanted} ONNX: train_student was not asked for it, or dev refused "
                "it, as its card then says. Set query_tower: auto."
            )
        return wanted
    held = [form for form in PREFERRED if file_of(bundle, form).exists()]
    return held[0] if held and importlib.util.find_spec("onnxruntime") else None


class OnnxEncoder:
    """A query tower under onnxruntime, with the methods of pinrank.student.encoder.TextEncoder."""

    def __init__(self, path: Path, tokenizer: Any, num_threads: int = 0) -> None:
        """num_threads: of one call; 0 takes all cores. ModelError when the file holds no such model."""
        runtime = _imported("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as cause:  # onnxruntime raises errors of its own C++ module, without a common class
            raise ModelError(f"{path}: no ONNX model ({one_line(cause)}). Train the student again.") from cause
        self.tokenizer = tokenizer
        self.template = text_template(tokenizer)
        self.vector_dim = int(self.session.get_outputs()[0].shape[-1])

    @classmethod
    def open(cls, path: Path, tokenizer_folder: Path, num_threads: int = 0) -> "OnnxEncoder":
        """A file with the tokenizer of the tower that it was made from."""
        return cls(path, open_tokenizer(tokenizer_folder), num_threads)

    def encode(self, texts: Sequence[str], max_tokens: int, precision: Precision = "float32") -> NDArray[np.float32]:
        """vectors_ND of length 1, float32, in the order given; the file decides the arithmetic, not `precision`."""
        return self.encode_ids(self.tokens(texts, max_tokens), precision)

    def tokens(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """The token ids that `encode` reads of each text."""
        return tokenise(self.tokenizer, self.template, texts, max_tokens)

    def encode_ids(self, token_ids: Sequence[Sequence[int]], precision: Precision = "float32") -> NDArray[np.float32]:
        """As `encode`, of texts that are tokenised."""
        vectors_ND = np.zeros((len(token_ids), self.vector_dim), dtype=np.float32)
        for places in by_length(token_ids):
            arrays = padded_arrays([token_ids[place] for place in places], self.tokenizer.pad_token_id or 0)
            vectors_ND[places] = self.session.run([_OUTPUT], dict(zip(_INPUTS, arrays, strict=True)))[0]
        return vectors_ND


def write(encoder: "TextEncoder", path: Path) -> None:
    """Write a tower as float32 ONNX, any number of texts and tokens. Raises ModelError when it cannot be traced."""
    import torch

    for package in ("onnx", "onnxruntime", "onnxscript"):
        _imported(package)
    token_ids = tokenise(encoder.tokenizer, encoder.template, ["a text", "another, longer one"], 16)
    arrays = padded_arrays(token_ids, encoder.tokenizer.pad_token_id or 0)
    texts, tokens = torch.export.Dim("texts", max=4096), torch.export.Dim("tokens", max=4096)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _quiet():
            program = torch.onnx.export(
                copy.deepcopy(encoder.tower).to("cpu"),  # the encoder goes on with its own, on its device
                tuple(torch.from_numpy(array) for array in arrays),
                dynamo=True,
                input_names=list(_INPUTS),
                output_names=[_OUTPUT],
                dynamic_shapes=({0: texts, 1: tokens}, {0: texts, 1: tokens}),
                verbose=False,
            )
        assert program is not None
        program.save(str(path), external_data=False)
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError) as cause:
        raise ModelError(f"{path.name}: this tower has no ONNX form ({one_line(cause)[:300]})") from cause


def quantise(fp32: Path, int8: Path) -> None:
    """Write a float32 model with weights of eight bits, a scale for each column of a matrix.

    With one scale for a whole matrix the demo's query vectors had a cosine of 0.971 with those of torch, so 0.994.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        quantize_dynamic(fp32, int8, weight_type=QuantType.QInt8, per_channel=True)


def keep(bundle: Path, formats: Sequence[Format]) -> None:
    """Remove the ONNX files of a bundle, but those of some formats."""
    if not formats:
        shutil.rmtree(bundle / FOLDER, ignore_errors=True)
        return
    for path in (bundle / FOLDER).iterdir():
        if path not in [file_of(bundle, form) for form in formats]:
            path.unlink()


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as cause:
        raise SettingsError(
            f"an ONNX query tower needs the package {package}. {_INSTALL}, or do without: set onnx: [] to train, "
            "query_tower: torch to serve."
        ) from cause


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says of operators that this tower does not have."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "")]
    before = [each.level for each in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for each in loggers:
                each.setLevel(logging.ERROR)
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)
