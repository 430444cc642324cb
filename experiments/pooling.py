"""Which pooling suits a LeNet on digits?

Over windows of 2 the Gaussian weights of `weighted_avg` are equal, so here its weights are learned.

Command: python experiments/pooling.py
Cost: 120 runs of 10 epochs, 6 compilations; 40 s on 2 CPU cores (jax 0.12).
Result (test accuracy, mean +- deviation over 5 seeds, each at its own rate): soft 96.3 +- 1.0,
learned_weighted_avg 95.9 +- 0.4, mixed 95.9 +- 1.4, avg 95.8 +- 1.7, max 95.7 +- 2.7,
l2 95.4 +- 0.5: no difference that five seeds could show. L2 sums, so it wants a small rate.
"""

from common import run

if __name__ == "__main__":
    run(
        "Pooling: LeNet on digits, momentum SGD",
        factors={
            "pooling": ["max", "avg", "l2", "learned_weighted_avg", "mixed", "soft"],
            "kernel_init": ["he_untruncated_normal"],
        },
        learning_rates=[0.3, 0.1, 0.03, 0.01],
        seeds=5,
        epochs=10,
    )
