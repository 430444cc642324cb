"""What the networks of a study say of inputs that the study did not show them."""

import numpy as np

from jcnn.study import Row, Study, train_seeds
from jcnn.training import predict


def predictions(study: Study, row: Row, inputs: np.ndarray) -> np.ndarray:
    """Classes `(seeds, n)` that a combination's networks, trained at its rate, give `inputs`."""
    prepared = study.prepare()
    models = train_seeds(study, row.combination, row.learning_rate, prepared=prepared)
    outputs = [predict(model, inputs, prepared.data) for model in models]
    return np.stack(outputs).argmax(axis=-1)
