"""Two rerank services of the usual kind on the same texts: a cross-encoder on MiniLM in vLLM, and in
sentence-transformers.

Its head is random: speed does not depend on what the weights are. Both read pairs cut at MAX_TOKENS.
"""

import contextlib
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.served.load import Load
from benchmarks.served.servers import Server, server
from benchmarks.served.shop import BACKBONE, Request
from pinrank.backbones import resolve

MAX_TOKENS = 128
THREADS = 2
VLLM_ENV = {
    "OMP_NUM_THREADS": str(THREADS),
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def write(folder: Path) -> Path:
    """MiniLM with a linear head of one output, as transformers saves it."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(resolve(BACKBONE), num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(resolve(BACKBONE)).save_pretrained(folder)
    return folder


def vllm(model: Path, port: int) -> contextlib.AbstractContextManager[Server]:
    """vLLM's own server, which answers POST /rerank. (The command `vllm` does not start from the package vllm-cpu.)"""
    command = [sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry", "--model", str(model)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--runner", "pooling", "--served-model-name", "m"]
    command += ["--enforce-eager"]
    command += ["--max-model-len", str(MAX_TOKENS), "--kv-cache-memory-bytes", str(2**28), "--dtype", "float32"]
    return server("vllm", command, f"http://127.0.0.1:{port}", ["/health"], VLLM_ENV)


def predicting(model: Path, requests: Sequence[Request]) -> Load:
    """CrossEncoder.predict in this process, without HTTP, a request after the other; the first is not counted."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.set_num_threads(THREADS)
    encoder = CrossEncoder(str(model), max_length=MAX_TOKENS, device="cpu")
    took = []
    for request in requests:
        begun = time.perf_counter()
        encoder.predict([(request.query, text) for text in request.texts], batch_size=32, show_progress_bar=False)
        took.append(time.perf_counter() - begun)
    median_s = statistics.median(took[1:])
    return Load(rps=1 / median_s, p50_ms=1000 * median_s, p99_ms=1000 * max(took[1:]), failed=0, client_share=0.0)
