"""An optimizer that asks for points and is told their values."""

import optuna

from jcnn import engine
from jcnn.study import Study
from tests.small import blobs


def test_batches_of_trials_find_good_points_and_compile_once():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    compiled = []
    for _ in range(3):
        trials = [search.ask() for _ in range(5)]
        points = [
            {
                "kernel_init": trial.suggest_categorical("kernel_init", ["he_normal", "zeros"]),
                "hidden": (4,),
                "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1.0, log=True),
            }
            for trial in trials
        ]
        before = engine.compilations()
        result = Study(
            points=points, seeds=1, epochs=2, batch_size=16, model="mlp",
            data=blobs(80, features=4, distance=2),
        ).run()  # fmt: skip
        since = engine.compilations().since(before)
        compiled.append(since.compiled + since.loaded)
        for trial, row in zip(trials, result.by_point(), strict=True):
            search.tell(trial, row.mean)
    assert compiled[0] > 0
    assert sum(compiled[1:]) <= 1  # a batch may be the first with another number of kinds
    assert search.best_value > 0.8
    assert search.best_params["kernel_init"] == "he_normal"
