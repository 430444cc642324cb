"""Which activation, initializer, optimizer, pooling and depth suit a small CNN on digits?

Command: python experiments/components.py [NAME ...]
Cost: 586 runs, 34 compilations; 4 min for all on 2 CPU cores (jax 0.12), 37 to 70 s for each.
Result (test accuracy in %, mean +- standard deviation over seeds, each at its best learning rate):

activation (LeNet, 5 seeds): gelu 96.9 +- 0.6, elu 96.7 +- 0.6, softsign 96.6 +- 0.6, leaky_relu
96.2 +- 2.3, tanh 95.9 +- 0.9, scaled_tanh 95.8 +- 0.5, relu 95.7 +- 2.7, sigmoid 83.6 +- 13.3.
Only sigmoid stands apart.

initializer (ten plain convolutions, 3 seeds): with tanh, orthogonal 95.0 +- 0.3,
glorot_untruncated_normal 94.8 +- 0.6, he_untruncated_normal 94.5 +- 0.2, lecun_untruncated_normal
94.1 +- 1.2, standard_uniform 27.4 +- 6.5; with relu, he_untruncated_normal 89.3 +- 2.6,
lecun_untruncated_normal 86.5 +- 4.6, orthogonal 80.0 +- 7.6, glorot_untruncated_normal 55.7 +-
21.5.
normal:0.01 stays at chance (10.0) with both, standard_uniform with relu.

optimizer (LeNet, 3 seeds, learning rate in parentheses): adam 96.0 +- 0.3 (0.01), momentum
94.2 +- 0.0 (0.01), nesterov 94.1 +- 0.2 (0.01), adagrad 93.8 +- 0.9 (0.03), rmsprop 91.5 +- 2.1
(0.003), sgd 91.0 +- 3.3 (0.1).

pooling (LeNet, 5 seeds): soft 96.3 +- 1.0, learned_weighted_avg 95.9 +- 0.4, mixed 95.9 +- 1.4,
avg 95.8 +- 1.7, max 95.7 +- 2.7, l2 95.4 +- 0.5: no difference that five seeds could show. l2 is
a sum over the window, so it needs a small learning rate.

depth (plain convolutions, 2 seeds, depths 2, 6, 12): relu 94.7, 92.6, 53.6, with batch
normalization 96.5, 95.7, 94.0; sigmoid 86.1, 10.0, 10.0 (chance), with batch normalization 92.5,
90.5, 65.2. Batch normalization helps both activations train at depth.
"""

import argparse
from pathlib import Path
from typing import Any

from jcnn import engine

STUDIES: dict[str, dict[str, Any]] = {
    "activation": {
        "factors": {
            "activation": [
                *("sigmoid", "tanh", "scaled_tanh", "softsign"),
                *("relu", "leaky_relu", "elu", "gelu"),
            ],
            "kernel_init": ["he_untruncated_normal"],
        },
        "learning_rates": [1.0, 0.3, 0.1, 0.03],
        "seeds": 5,
        "epochs": 10,
    },
    "initializer": {
        "model": "plain",
        "factors": {
            "activation": ["tanh", "relu"],
            "kernel_init": [
                *("normal:0.01", "standard_uniform", "lecun_untruncated_normal"),
                *("glorot_untruncated_normal", "he_untruncated_normal", "orthogonal"),
            ],
        },
        "learning_rates": [0.1, 0.03, 0.01],
        "seeds": 3,
        "epochs": 6,
    },
    "optimizer": {
        "factors": {
            "optimizer": ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"],
            "kernel_init": ["he_untruncated_normal"],
        },
        "learning_rates": [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001],
        "seeds": 3,
        "epochs": 6,
    },
    "pooling": {
        # The Gaussian weights of `weighted_avg` are equal over windows of 2, so they are learned.
        "factors": {
            "pooling": ["max", "avg", "l2", "learned_weighted_avg", "mixed", "soft"],
            "kernel_init": ["he_untruncated_normal"],
        },
        "learning_rates": [0.3, 0.1, 0.03, 0.01],
        "seeds": 5,
        "epochs": 10,
    },
    "depth": {
        "model": "plain",
        "factors": {
            "depth": [2, 6, 12],
            "activation": ["sigmoid", "relu"],
            "normalization": ["none", "batch"],
            "kernel_init": ["he_untruncated_normal"],
        },
        "learning_rates": [0.3, 0.1, 0.03],
        "seeds": 2,
        "epochs": 5,
    },
}


def main() -> None:
    """Run the named studies, or all, and print their rankings and effects."""
    parser = argparse.ArgumentParser(description="Compare the components of a small CNN on digits")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STUDIES))
    parser.add_argument("--out", type=Path, help="save each study in DIR/NAME", metavar="DIR")
    parser.add_argument("--smoke", action="store_true", help="two combinations for one epoch")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in STUDIES]
    if unknown:
        parser.error(f"unknown study {unknown[0]!r}; known: {', '.join(STUDIES)}")
    engine.use_all_cores()
    for name in arguments.names or STUDIES:
        options = shortened(STUDIES[name]) if arguments.smoke else STUDIES[name]
        run(name, options, None if arguments.out is None else arguments.out / name)


def shortened(options: dict[str, Any]) -> dict[str, Any]:
    """Keep two levels of the first factor and one of each other, for a single short run each."""
    (first, levels), *others = options["factors"].items()
    factors = {first: levels[:2]} | {factor: levels[:1] for factor, levels in others}
    short = {"epochs": 1, "seeds": 1, "learning_rates": [0.1], "batch_size": 512}
    return {**options, "factors": factors, **short}


def run(name: str, options: dict[str, Any], directory: Path | None) -> None:
    """Run one study and print its ranking and effects."""
    from jcnn import Study

    result = Study(**options, full_grid=True).run(directory)
    print(name)
    for row in result.ranking():
        levels = ", ".join(row.levels.values())
        accuracy = f"{result.metric.show(row.mean)} +- {result.metric.show(row.std)}"
        print(f"  {levels:32} learning rate {row.learning_rate:<6g} {accuracy}")
    for sentence in result.effects():
        print(f"- {sentence}")
    print(f"{result.environment['seconds']:.0f} s on {result.environment['device']}")


if __name__ == "__main__":
    main()
