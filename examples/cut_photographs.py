"""Cuts the two photographs that ship with scikit-learn into a folder of pictures, one subfolder for each photograph.

    python examples/cut_photographs.py pictures
    xlogreg images fit pictures -o pictures.model

The patches lie side by side on a grid: no pixel is in two of them, so none is in a training and in a test picture,
however the pictures are divided. (Neighbours look alike all the same: the test says how well patches of these two
photographs are told apart, not flowers from temples.)
"""

import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images

SIZE = 48  # pixels a side: 104 patches of each photograph
NAMES = ("temple", "flower")  # in scikit-learn's order


def main(folder: Path) -> None:
    for name, photograph in zip(NAMES, load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        height, width, _ = photograph.shape
        corners = [(y, x) for y in range(0, height - SIZE + 1, SIZE) for x in range(0, width - SIZE + 1, SIZE)]
        for y, x in corners:
            Image.fromarray(photograph[y : y + SIZE, x : x + SIZE]).save(folder / name / f"{y:03}-{x:03}.png")
        print(f"{folder / name}: {len(corners)} pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "pictures"))
