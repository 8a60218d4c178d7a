"""Generated scores, and tables of them."""

from __future__ import annotations

import numpy as np
from scipy.special import expit


def drawn(n, seed=0, prevalence=0.3, apart=2.0, digits=3, services=1):
    """Truth and scores of pictures whose log-odds are normal and `apart` for the two kinds; few
    digits make ties. A service more adds noise of its own."""
    random = np.random.default_rng(seed)
    truth = random.random(n) < prevalence
    odds = random.normal(size=n) + apart * truth - apart / 2
    scores = [expit(odds + 0.7 * k * random.normal(size=n)) for k in range(services)]
    return truth, np.round(scores if services > 1 else scores[0], digits)


def table(truth, scores, names=("nsfw",), **columns):
    """A CSV, one row a picture."""
    scores = np.atleast_2d(scores)
    lines = [",".join(["picture", *names, "truth", *columns])]
    for n, yes in enumerate(truth):
        cells = [f"{n}.jpg", *(repr(float(one[n])) for one in scores), "nsfw" if yes else "sfw"]
        lines.append(",".join([*cells, *(str(column[n]) for column in columns.values())]))
    return "\n".join([*lines, ""])
