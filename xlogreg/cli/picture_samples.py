"""Pictures with what a model sees of them: their pixels, or features of a network that a file holds."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xlogreg.images.files import Skipped
from xlogreg.images.pictures import Pictures
from xlogreg.inputs.files import expect_file
from xlogreg.model.model import Model, load

__all__ = ["SIZE", "WHITE", "PictureSamples", "load_picture_model", "named", "read_features", "samples_of"]

SIZE = 64  # pixels a side, where nothing says another number
WHITE = 255  # the value of white: pixels are divided by it, and features by their standard deviations


@dataclass(frozen=True)
class PictureSamples:
    """Pictures, and their features (m, n) where a model sees those instead of the pixels."""

    pictures: Pictures
    features: np.ndarray | None

    @property
    def X(self) -> np.ndarray:
        """The samples as columns."""
        return self.pictures.X if self.features is None else self.features.T

    @property
    def Y(self) -> np.ndarray:
        return self.pictures.Y

    @property
    def standardize(self) -> bool | float:
        """How `fit` is to scale the samples."""
        return WHITE if self.features is None else True

    def take(self, chosen: np.ndarray) -> "PictureSamples":
        """Copy some of the samples, chosen by number."""
        return PictureSamples(self.pictures.take(chosen), None if self.features is None else self.features[chosen])


def read_features(path: Path, files: Sequence[Path], skipped: Sequence[Skipped]) -> np.ndarray:
    """Read the features of pictures (m, n) from a .npy file, which has a row for each of the files, in their order.

    Parameters
    ----------
    path : Path
    files : sequence of Path (m,)
    skipped : sequence of Skipped
        The files that have no row, for an error.
    """
    expect_file(path)
    try:
        features = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError(f"{path} is no .npy file of numbers") from None
    if not isinstance(features, np.ndarray) or features.ndim != 2 or features.dtype.kind not in "fiu":
        held = f"{features.dtype} {features.shape}" if isinstance(features, np.ndarray) else "several arrays"
        raise ValueError(f"{path} must hold numbers (m, n), a row of features for each picture; it holds {held}")
    if len(features) != len(files):
        but = f" ({len(skipped)} skipped; the first: {skipped[0]})" if skipped else ""
        raise ValueError(
            f"{path} holds features of {len(features)} pictures, but there are {len(files)}{but}: "
            "it must have a row for each file that `xlogreg images list` prints, in that order"
        )
    wrong = np.argwhere(~np.isfinite(features))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(f"{path} holds {features[row, column]} in row {row}, column {column}, counted from 0")
    return features


def samples_of(found: Pictures, path: Path | None) -> PictureSamples:
    """Return the pictures with their features, if a file of those is given."""
    return PictureSamples(found, None if path is None else read_features(path, found.files, found.skipped))


def named(model: Model) -> Model:
    """Name the features of a network by their numbers: by its names such a model is known from a model of pixels."""
    return dataclasses.replace(model, feature_names=tuple(map(str, range(model.w.shape[0]))))


def load_picture_model(path: Path, features: Path | None) -> tuple[Model, int]:
    """Load a model of pixels, or of features if they are given; return it with the size of pictures to read."""
    model = load(path)
    n_x = model.w.shape[0]
    if features is not None:
        if model.feature_names is None and model.standardize == WHITE:
            raise ValueError(f"{path} is a model of pixels: it has no use for --features")
        return dataclasses.replace(model, samples="columns"), SIZE
    if model.feature_names is not None:
        raise ValueError(f"{path} is a model of {n_x} features, not of pixels: --features FILE.npy gives those")
    size = math.isqrt(n_x // 3)
    if n_x != 3 * size**2:
        raise ValueError(f"{path} is no model of pictures: it has {n_x} features, not size x size x 3 bytes")
    return dataclasses.replace(model, samples="columns"), size
