"""A first map: which part of a harmless photograph makes a real network say "nsfw"?

Run: python examples/first_map.py
"""

from pathlib import Path

import numpy as np

from probe import Prober

PICTURE = Path(__file__).with_name("retina.jpg")


def main() -> None:
    result = Prober("local").probe(PICTURE, budget=64)
    heat = result.heatmap()
    y, x = np.unravel_index(np.nanargmax(heat.values), heat.values.shape)
    print(f"{heat.label} {heat.reference:.3f} with {heat.calls} calls, {heat.answers} answers")
    print(f"most evidence at x={x}, y={y}: {heat.values[y, x]:.2f}")
    print(f"typical standard error of a pixel: {np.nanmedian(heat.stderr):.2f}")
    print(f"while that pixel is covered the mean score is {heat.mean_score[y, x]:.2f}")
    heat.overlay().save("retina-overlay.png")
    print("retina-overlay.png")


if __name__ == "__main__":
    main()
