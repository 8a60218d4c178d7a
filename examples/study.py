"""The two experiments of the study, cell by cell (opens as a notebook in most editors).

A convolutional network was asked about windows of a picture, each by itself, and about the
picture with black boxes in it. Both maps come from the scores alone.
"""

# %% The picture and the network
from pathlib import Path

from matplotlib.figure import Figure

from probe import Prober

picture = Path(__file__).with_name("retina.jpg")
prober = Prober("local", fill="black")

# %% Experiment 1: every window by itself; map = mean nsfw score of the windows over a pixel
windows = prober.probe(picture, method="windows", sizes=[0.25], stride=0.5)
print(f"windows: {len(windows.answers)} answers, {windows.calls} calls")

# %% Experiment 2: black boxes; map = mean sfw score while a pixel is covered
boxes = prober.probe(picture, method="grid", size=0.25, stride=0.125)
strongest = boxes.describe(boxes.strongest)
print(f"boxes: {len(boxes.answers)} answers, {boxes.calls} calls")
print(f"nsfw {boxes.reference['nsfw']:.3f}, down to {strongest['score']:.3f} at {strongest['box']}")

# %% Both maps side by side, as the study showed them
figure = Figure(figsize=(12, 5.5), layout="constrained")
left, right = figure.subplots(1, 2)
for axes, heat, title in (
    (left, windows.heatmap("nsfw"), "windows by themselves: mean nsfw"),
    (right, boxes.heatmap("sfw"), "black boxes: mean sfw while covered"),
):
    drawn = axes.imshow(heat.mean_score, cmap="viridis", vmin=0, vmax=1)
    axes.set_title(title)
    figure.colorbar(drawn, ax=axes)
figure.savefig("study.png")
print("study.png")
