"""BERT under vLLM that reads (query, pin) pairs with their token types; imported by vLLM alone."""

from typing import Any

import torch
from vllm.model_executor.models.bert import BertEmbeddingModel, _encode_token_type_ids


class PinrankBertPairModel(BertEmbeddingModel):
    """BertEmbeddingModel whose forward pass takes token_type_ids of the flattened batch, int32 [tokens]."""

    def forward(
        self,
        input_ids: torch.Tensor,
        positions: torch.Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if token_type_ids is not None:
            _encode_token_type_ids(input_ids, token_type_ids)
        hidden: torch.Tensor = super().forward(input_ids, positions, intermediate_tensors, inputs_embeds)
        return hidden
