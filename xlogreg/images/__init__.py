"""Pictures as columns of numbers (notes 1.1, 2.9): flatten, unflatten, and load from folders or the course's files.

>>> import numpy as np, xlogreg
>>> from xlogreg import images
>>> pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
>>> X = images.flatten(pictures)
>>> X.shape
(192, 20)
>>> model = xlogreg.fit(X, pictures[:, 0, 0, 0] > 127, l2=1e-2, standardize=255)
>>> images.unflatten(model.w, (8, 8, 3)).shape
(1, 8, 8, 3)
"""

from xlogreg.images.files import Skipped
from xlogreg.images.pictures import Pictures, flatten, load_folder, load_h5, unflatten

__all__ = ["Pictures", "Skipped", "flatten", "load_folder", "load_h5", "unflatten"]
