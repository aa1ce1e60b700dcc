"""Parameters of many models, moved between places in one transfer for all."""

import dataclasses
from typing import Any

from xlogreg.arrays.place import Place, place_of
from xlogreg.model.model import Model

__all__ = ["move_models"]

NAMES = ("w", "b", "center", "centered_b")


def move_models(models: list[Model], place: Place, dtype: str) -> list[Model]:
    """Return models of one place and dtype with their parameters on another place, in ``dtype``."""
    if not models or place_of(models[0].w) == place:
        return models
    origin = place_of(models[0].w)
    given = [{name: getattr(model, name) for name in NAMES if getattr(model, name) is not None} for model in models]
    parts = tuple(part for own in given for part in own.values())
    shared = origin.small_blocks and place.small_blocks  # in one memory, where each array may stay what it is
    if shared:
        moved = iter([place.put(part, dtype) for part in parts])
    else:  # copies, or each model would hold the parameters of all
        with place.computing():
            moved = iter([place.xp.astype(part, part.dtype, copy=True) for part in place.bring(parts, dtype)])
    found: list[dict[str, Any]] = [{name: next(moved) for name in own} for own in given]
    return [dataclasses.replace(model, **own) for model, own in zip(models, found, strict=True)]
