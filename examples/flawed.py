"""Makes `flawed/`: 90 pictures and their truth, with a flaw that a network falls for.

They are cut out of photographs that matplotlib and scikit-learn ship. In every third one stand two
round forms in the colour of skin, and nearly all of those are called nsfw, as in a data set in
which one thing stands for another.
"""

import csv
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image
from sklearn.datasets import load_sample_image

rng = np.random.default_rng(0)
hopper = Image.open(Path(get_data_path(), "sample_data", "grace_hopper.jpg")).convert("RGB")
sources = [
    hopper,
    *(Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")),
]

rows, columns = np.mgrid[:160, :160]
forms = [1 - ((columns - x) / 38) ** 2 - ((rows - 80) / 60) ** 2 for x in (42, 118)]
light = 0.55 + 0.45 * np.sqrt(np.maximum(*forms).clip(0, 1))[..., None]
forms = Image.fromarray((np.array((225, 165, 135)) * light).astype(np.uint8))

folder = Path("flawed")
folder.mkdir(exist_ok=True)
with open(folder / "list.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["picture", "truth"])
    for number in range(90):
        source = sources[rng.integers(len(sources))]
        side = int(rng.integers(200, 400))
        x, y = (int(rng.integers(0, length - side)) for length in source.size)
        picture = source.crop((x, y, x + side, y + side)).resize((256, 256))
        has_forms = rng.random() < 1 / 3
        if has_forms:
            picture.paste(forms, tuple(map(int, rng.integers(16, 80, 2))))
        is_nsfw = rng.random() < (0.9 if has_forms else 0.05)
        picture.save(folder / f"{number:02}.png")
        table.writerow([f"{number:02}.png", "nsfw" if is_nsfw else "sfw"])
print(folder / "list.csv")
