"""Apply four remedies for vanishing gradients, each alone, to the same network.

Command: python docs/learn/remedies.py
Result: docs/learn/remedies.svg
"""

from pathlib import Path

import jcnn
from jcnn.report.style import BLUE, ORANGE, axes_of, figure, percent, save, title
from jcnn.study.first_combination import diagnose_first

# --8<-- [start:arms]
# Ten layers with tanh; the initial weights are too small for the gradient to reach the first layer.
NETWORK = {"depth": [10], "width": [8], "activation": ["tanh"], "kernel_init": ["normal:0.02"]}
REMEDIES = {
    "none": {},
    "activation: relu": {"activation": ["relu"]},
    "initialization: Xavier": {"kernel_init": ["glorot_normal"]},
    "normalization: batch": {"normalization": ["batch"]},
    "optimizer: Adam": {"optimizer": ["adam"]},
    "relu and He together": {"activation": ["relu"], "kernel_init": ["he_normal"]},
}
RATES = {"momentum": [0.3, 0.03, 0.01], "adam": [0.03, 0.01, 0.003]}
# --8<-- [end:arms]

ratios, accuracies = {}, {}
print(f"{'remedy':24} {'gradient ratio':>14}  test accuracy after 8 epochs, 2 seeds")
for name, change in REMEDIES.items():
    # --8<-- [start:study]
    factors = NETWORK | change
    optimizer = factors.get("optimizer", ["momentum"])[0]
    study = jcnn.Study(
        model="plain", factors=factors, learning_rates=RATES[optimizer], seeds=2, epochs=8
    )
    ratios[name] = diagnose_first(study).gradient_ratio
    (row,) = study.run().ranking()
    # --8<-- [end:study]
    accuracies[name] = row.values
    shown = ", ".join(f"{value:.1%}" for value in row.values)
    print(f"{name:24} {ratios[name]:14.2g}  {shown} (rate {row.learning_rate:g})")

fig = figure(2.6, width=6.4)
gradient, learning = axes_of(fig, 1, 2, sharey=True)[0]
places = range(len(REMEDIES))
gradient.plot(list(ratios.values()), places, "o", color=BLUE)
gradient.set(xscale="log", yticks=list(places), yticklabels=list(REMEDIES))
gradient.axvspan(0.1, 10, color=ORANGE, alpha=0.12, linewidth=0)
title(gradient, "gradient, first over last layer")
for place, values in zip(places, accuracies.values(), strict=True):
    learning.plot(values, [place] * len(values), "o", color=BLUE)
learning.set(xlim=(0, 1.02))
percent(learning.xaxis)
title(learning, "test accuracy, each seed")
gradient.invert_yaxis()
save(fig, Path(__file__).with_suffix(".svg"))
