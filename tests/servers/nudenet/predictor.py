"""NudeNet as a fastDeploy recipe: encoded pictures in, boxes with class and score out."""

from nudenet import NudeDetector

detector = NudeDetector()


def predictor(pictures, batch_size=1):
    return detector.detect_batch(pictures, batch_size=max(batch_size, 1))
