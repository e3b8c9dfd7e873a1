"""The first weights of BERT and GPT-2, whose embeddings also serve as the output layer and so must be small."""

from torch import nn


def start_small(model: nn.Module, std: float = 0.02) -> None:
    """Every matrix normal with this standard deviation, every bias of a linear layer 0.

    Source: Radford et al. (2018), Section 4.1; the code of Devlin et al. (2019).
    """
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
