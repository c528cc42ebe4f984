"""vLLM models of pinrank's own.

vLLM's BERT for embeddings takes no token types, so that a pair's second half would read as its first and the
logits would shift without a word. This one hands them on, as vLLM's own BERT classifier does.
"""

ARCHITECTURE = "PinrankBertPairModel"


def register() -> None:
    """Make the model known to vLLM; called here and, as a plugin, in every process that vLLM starts."""
    from vllm import ModelRegistry

    ModelRegistry.register_model(ARCHITECTURE, "pinrank.teacher.vllm_bert:PinrankBertPairModel")
