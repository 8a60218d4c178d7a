"""Many pictures, each asked about once: the batched tagger by itself."""

from probe.scoring.album import Album, Scored
from probe.scoring.scoring import Scoring

__all__ = ["Album", "Scored", "Scoring"]
