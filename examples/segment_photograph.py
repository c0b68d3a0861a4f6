"""Segment a photograph by colour: a mixture of its pixels, each drawn in its component's colour.

    python examples/segment_photograph.py [PHOTOGRAPH] [COMPONENTS]

By default the photograph of a Chinese temple that ships with scikit-learn. Writes
`segments.png` to the working folder.
"""

import sys
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import fastgmm

photograph = plt.imread(sys.argv[1]) if len(sys.argv) > 1 else load_sample_image("china.jpg")
n_components = int(sys.argv[2]) if len(sys.argv) > 2 else 6
pixels = photograph[..., :3].reshape(-1, 3) / (255.0 if photograph.dtype == np.uint8 else 1.0)

begin = time.perf_counter()
mixture = fastgmm.fit(pixels, n_components, random_state=0, reg_covar=1e-5)
labels = mixture.predict(pixels)
seconds = time.perf_counter() - begin
print(f"{len(pixels)} pixels, {mixture.n_iter} iterations, {seconds:.2f} seconds")

segments = mixture.means[labels].clip(0, 1).reshape(*photograph.shape[:2], 3)
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, image, title in (
    (axes[0], photograph, "photograph"),
    (axes[1], segments, f"{n_components} components"),
):
    ax.imshow(image)
    ax.set_title(title)
    ax.set_axis_off()
figure.savefig("segments.png", dpi=120)
print("wrote segments.png")
