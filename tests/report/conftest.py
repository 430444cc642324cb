"""One small study with everything on, and results of any size without training."""

import numpy as np
import pytest

from jcnn import engine
from jcnn.study import Result, RunRecord, Study, inspect_model


@pytest.fixture(scope="session")
def study():
    return Study(
        factors={
            "activation": ["tanh", "relu"],
            "normalization": ["none", "batch"],
            "features": [(8,)],
        },
        learning_rates=[0.1, 0.03],
        seeds=2,
        epochs=2,
        diagnose=10,
    )


@pytest.fixture(scope="session")
def result(study):
    return study.run()


@pytest.fixture(scope="session")
def inspection(study, result):
    return inspect_model(study, result)


@pytest.fixture(scope="session")
def made():
    """A result of drawn numbers with these levels of factors, rates, seeds and epochs."""

    def make(factors, *, rates=(0.1, 0.01), seeds=5, epochs=15, gain=0.02, **keywords):
        names = list(factors)
        combinations = [
            dict(zip(names, levels, strict=True))
            for levels in np.array(np.meshgrid(*factors.values(), indexing="ij"))
            .reshape(len(names), -1)
            .T.tolist()
        ]
        rng = np.random.default_rng(0)
        records = []
        for i in range(len(combinations)):
            for rate in rates:
                for seed in range(seeds):
                    end = min(0.5 + gain * i + 0.005 * rng.normal() + rate / 10, 0.99)
                    curve = (end * (1 - 0.7 ** np.arange(1, epochs + 1))).tolist()
                    curves = {
                        f"{part}_{metric}": curve
                        for part in ("train", "validation")
                        for metric in ("accuracy", "loss")
                    }
                    outcome = engine.Outcome(curves, {"accuracy": end, "loss": 1 - end}, steps=100)
                    records.append(RunRecord(i, rate, seed, outcome))
        study = {"data": "digits", "model": "lenet", "epochs": epochs}
        return Result(study, "accuracy", True, combinations, records, test_examples=360, **keywords)

    return make
