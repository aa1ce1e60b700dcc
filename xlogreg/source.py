"""What an objective needs of its samples.

A `Source` gives one operation to everything above it: `sum`, one pass over the samples. What the blocks are and where
they live is its own affair: `xlogreg.data` has those of an array, `xlogreg.folds` those of models that leave some out.
"""

from collections.abc import Callable
from typing import Any, Protocol

from xlogreg.backends import Array, Place

__all__ = ["Source"]


class Source(Protocol):
    """The training samples, as far as an objective needs them."""

    @property
    def n_x(self) -> int: ...
    @property
    def m(self) -> int: ...
    @property
    def place(self) -> Place: ...
    @property
    def dtype(self) -> str: ...
    @property
    def total_weight(self) -> float | Array: ...
    def keep(self, models: Array) -> "Source": ...
    def uncentered(self) -> "Source": ...
    def shares(self) -> Array: ...
    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """ONE pass: function(block, *arguments) of every block, added in a fixed tree.

        Array arguments travel to the samples and the sums travel back to where the first of them
        lives (without one, to the host). A block has the computing dtype, the sums the widest of its place.
        """
        ...
