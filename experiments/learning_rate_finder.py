"""Does `jcnn find-lr` find the learning rate that a sweep would choose?

Command: python experiments/learning_rate_finder.py
Cost: 15 studies of 26 runs and 15 x 34 short runs; more than 15 minutes on 2 CPU cores (jax
0.12), half of it for the ResNets.
Result (found over the sweep's best; SGD, momentum, Adam): mlp 0.56, 3.16, 1.78; lenet 1.00, 0.32,
1.00; plain 1.00, 1.78, 1.78; vgg 0.18, 0.56, 1.00; resnet 1.00, 0.32 (Adam was not reached): within
a factor of three in 10 of 14. The sweep's best is itself uncertain if several learning rates do
equally well: mlp with momentum had 0.0178 here, and 0.178 in a sweep that also had higher rates.
"""

import argparse
import json
from pathlib import Path

from jcnn import engine

MODELS = ("mlp", "lenet", "plain", "vgg", "resnet")
OPTIMIZERS = ("sgd", "momentum", "adam")
# Four per decade; Adam's are smaller.
LEARNING_RATES = {
    name: [float(f"{10 ** (k / 4):.3g}") for k in range(low, low + 13)]
    for name, low in (("sgd", -10), ("momentum", -12), ("adam", -16))
}


def main() -> None:
    """Sweep and search for every model and optimizer, and print both learning rates."""
    parser = argparse.ArgumentParser(description="Compare the learning-rate finder with sweeps")
    parser.add_argument("--out", default="runs/learning-rates", help="save the sweeps here")
    parser.add_argument("--smoke", action="store_true", help="one sweep of two learning rates")
    arguments = parser.parse_args()
    engine.use_all_cores()
    from jcnn import Study
    from jcnn.study.first_combination import find_rate_first

    out = Path(arguments.out)
    rows = []
    for model in MODELS[:1] if arguments.smoke else MODELS:
        for optimizer in OPTIMIZERS[:1] if arguments.smoke else OPTIMIZERS:
            factors = {"optimizer": [optimizer], "kernel_init": ["he_untruncated_normal"]}
            keywords = {"model": model, "factors": factors}
            if arguments.smoke:
                study = Study(**keywords, learning_rates=[0.1, 0.3], seeds=1, epochs=1)
            else:
                study = Study(**keywords, learning_rates=LEARNING_RATES[optimizer], seeds=2)
            result = study.run(out / f"{model}-{optimizer}")
            (best,) = result.ranking()
            rate = find_rate_first(study).rate
            rows.append(
                {"model": model, "optimizer": optimizer, "sweep": best.learning_rate, "found": rate}
            )
            print(
                f"{model:8} {optimizer:10} sweep {best.learning_rate:<9g} found {rate:<9.3g} "
                f"ratio {rate / best.learning_rate:5.2f}  test {result.metric.show(best.mean)}",
                flush=True,
            )
    near = sum(1 / 3 <= row["found"] / row["sweep"] <= 3 for row in rows)
    print(f"within a factor of three: {near} of {len(rows)}")
    (out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
