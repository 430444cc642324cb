"""Which optimizer suits a LeNet on digits, each at its own best learning rate?

Command: python experiments/optimizers.py
Cost: 126 runs of 6 epochs, 6 compilations; 37 s on 2 CPU cores (jax 0.12).
Result (test accuracy, mean +- deviation over 3 seeds, chosen rate): adam 96.0 +- 0.3 (0.01),
momentum 94.2 +- 0.0 (0.01), nesterov 94.1 +- 0.2 (0.01), adagrad 93.8 +- 0.9 (0.03), rmsprop
91.5 +- 2.1 (0.003), sgd 91.0 +- 3.3 (0.1).
"""

from common import run

if __name__ == "__main__":
    run(
        "Optimizers: LeNet on digits, relu",
        factors={
            "optimizer": ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"],
            "kernel_init": ["he_untruncated_normal"],
        },
        learning_rates=[1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001],
        seeds=3,
        epochs=6,
    )
