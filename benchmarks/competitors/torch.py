"""A linear probe as people write it in PyTorch: L-BFGS on all samples."""

from functools import partial
from typing import Any

from benchmarks.contest import Answer, Competitor
from benchmarks.problems import Problem


def prepare(problem: Problem, device: str) -> tuple[Any, Any, int, float]:
    import torch

    y = torch.as_tensor(problem.y, device=device)
    return torch.as_tensor(problem.X, device=device), y, problem.K, problem.l2


def probe(data: tuple[Any, Any, int, float], run: Any, **options: Any) -> Answer:
    import torch

    X, y, K, l2 = data
    torch.manual_seed(0)
    layer = torch.nn.Linear(X.shape[1], K if K > 2 else 1, dtype=X.dtype, device=X.device)
    criterion = torch.nn.functional.cross_entropy if K > 2 else torch.nn.functional.binary_cross_entropy_with_logits
    y = y if K > 2 else y[:, None].to(X.dtype)

    def loss(part: Any) -> Any:
        return criterion(layer(X[part]), y[part]) + 0.5 * l2 * (layer.weight**2).sum()

    steps = run(layer, loss, len(y), **options)
    return Answer(layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy(), steps)


def lbfgs(layer: Any, loss: Any, m: int, max_iter: int = 100, tol: float = 1e-7) -> int:
    import torch

    tolerances = {"tolerance_grad": tol, "tolerance_change": 1e-3 * tol}
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=max_iter, line_search_fn="strong_wolfe", **tolerances)

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(slice(None))
        value.backward()
        return value

    optimizer.step(closure)
    return int(next(iter(optimizer.state.values()))["n_iter"])


def entries(name: str, run: Any, settings: tuple[dict[str, Any], ...]) -> list[Competitor]:
    """On the CPU, and on CUDA; the answer on the host waits for it."""
    options = (partial(probe, run=run), settings)
    cpu = Competitor(f"PyTorch {name}", "torch", ("torch",), partial(prepare, device="cpu"), *options)
    here = {"name": f"{cpu.name}, cuda", "prepare": partial(prepare, device="cuda"), "few": True}
    return [cpu, cpu._replace(backend="torch", device="cuda", **here)]


COMPETITORS = entries("L-BFGS", lbfgs, ({}, {"max_iter": 1_000, "tol": 1e-9}))
