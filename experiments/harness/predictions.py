"""Predictions of a study's trained networks on inputs outside the study."""

import numpy as np

from jcnn.study import Row, Study, train_seeds
from jcnn.training import network_outputs


def predict_classes(study: Study, row: Row, inputs: np.ndarray) -> np.ndarray:
    """Train a combination at its learning rate and return its predicted classes, `(seeds, n)`."""
    prepared = study.prepare()
    models = train_seeds(study, row.combination, row.learning_rate, prepared=prepared)
    outputs = [network_outputs(model, inputs, prepared.data) for model in models]
    return np.stack(outputs).argmax(axis=-1)
