"""A linear probe as people write it in PyTorch: Adam on minibatches."""

from typing import Any

from benchmarks.competitors.torch import entries


def adam(layer: Any, loss: Any, m: int, epochs: int = 10, rate: float = 1e-3, batch: int = 256) -> int:
    import torch

    optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
    for _ in range(epochs):
        for part in torch.randperm(m, device=layer.weight.device).split(batch):
            optimizer.zero_grad()
            loss(part).backward()
            optimizer.step()
    return epochs


COMPETITORS = entries("Adam", adam, ({}, {"epochs": 50, "rate": 1e-2}, {"epochs": 200, "rate": 1e-2}))
