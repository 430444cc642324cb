"""Is the rate that `jcnn find-lr` names the one that a sweep would choose?

Command: python experiments/learning_rates.py
Cost: 15 studies of 26 runs and 15 x 34 short trainings; more than 15 minutes on 2 CPU cores (jax
0.12), of which ResNets are half.
Result (found over the sweep's best; SGD, momentum, Adam): mlp 0.56, 3.16, 1.78; lenet 1.00, 0.32,
1.00; plain 1.00, 1.78, 1.78; vgg 0.18, 0.56, 1.00; resnet 1.00, 0.32 (Adam was not reached): within
a factor of three in 10 of 14. The sweep's best is itself uncertain where several rates do equally:
mlp with momentum had 0.0178 here and 0.178 in a sweep with higher rates besides.
"""

import argparse
import json
from pathlib import Path

from jcnn import engine

MODELS = ("mlp", "lenet", "plain", "vgg", "resnet")
OPTIMIZERS = ("sgd", "momentum", "adam")
# Four a power of ten; Adam's are smaller.
RATES = {
    name: [float(f"{10 ** (k / 4):.3g}") for k in range(low, low + 13)]
    for name, low in (("sgd", -10), ("momentum", -12), ("adam", -16))
}


def main() -> None:
    """Sweep and find for every model and optimizer, and print one beside the other."""
    parser = argparse.ArgumentParser(description="The learning-rate finder against sweeps")
    parser.add_argument("--out", default="runs/learning-rates", help="keeps the sweeps")
    parser.add_argument("--smoke", action="store_true", help="one sweep of two rates")
    chosen = parser.parse_args()
    engine.use_all_cores()
    from jcnn import Study
    from jcnn.study.first_combination import find_rate_first

    out = Path(chosen.out)
    found = []
    for model in MODELS[:1] if chosen.smoke else MODELS:
        for optimizer in OPTIMIZERS[:1] if chosen.smoke else OPTIMIZERS:
            factors = {"optimizer": [optimizer], "kernel_init": ["he_untruncated_normal"]}
            keywords = {"model": model, "factors": factors}
            if chosen.smoke:
                study = Study(**keywords, learning_rates=[0.1, 0.3], seeds=1, epochs=1)
            else:
                study = Study(**keywords, learning_rates=RATES[optimizer], seeds=2)
            result = study.run(out / f"{model}-{optimizer}")
            (row,) = result.ranking()
            rate = find_rate_first(study).rate
            ratio = rate / row.learning_rate
            found.append(
                {"model": model, "optimizer": optimizer, "sweep": row.learning_rate, "found": rate}
            )
            print(
                f"{model:8} {optimizer:10} sweep {row.learning_rate:<9g} found {rate:<9.3g} "
                f"ratio {ratio:5.2f}  test {result.metric.show(row.mean)}",
                flush=True,
            )
    near = sum(1 / 3 <= one["found"] / one["sweep"] <= 3 for one in found)
    print(f"within a factor of three: {near} of {len(found)}")
    (out / "results.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
