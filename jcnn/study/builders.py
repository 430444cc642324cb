"""The models of a study's combinations: their arguments, their builders, and whether they fit."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn import engine, names, training
from jcnn.analysis.labels import label
from jcnn.data import Dataset
from jcnn.diagnosis import lsuv
from jcnn.errors import UsageError
from jcnn.study.factors import Combination, is_data_driven, model_arguments
from jcnn.study.limits import too_large
from jcnn.study.model_error import ModelError, described, reason
from jcnn.study.plan import Plan


class Builders:
    """The builders of a study's models for one data set and task."""

    def __init__(self, plan: Plan, dataset: Dataset, task: training.Task) -> None:
        self._model, self._task = plan.build_model, task
        self._input_shape, self._outputs = dataset.input_shape, _outputs(dataset, task)
        self._dtype = None if plan.dtype is None else names.lookup("dtype", plan.dtype)

    def builder(self, member: Combination) -> engine.Builder:
        """The builder of a combination's model, fitted to data if its initializer asks for it."""
        build = partial(self.build, member)
        return engine.Fitted(build, lsuv) if is_data_driven(self._model, member) else build

    def build(self, member: Combination, rngs: nnx.Rngs) -> nnx.Module:
        """Build a combination's model. Raises TypeError if it is no nnx.Module."""
        model = self._model(**self._arguments(member, rngs))
        if not isinstance(model, nnx.Module):
            raise TypeError(f"it returned a {type(model).__name__}; expected an nnx.Module")
        return model

    def check(self, member: Combination, batch_size: int, data: training.Data) -> None:
        """Build a combination's model abstractly and apply it to a batch.

        Raises ModelError if that fails, or if its outputs do not fit the task. Raises UsageError if
        the model does not take an argument that the study sets, which concerns the whole study.
        """
        self._arguments(member)
        build = self.builder(member)
        few = engine.sampled_examples([build], data)
        batch = jax.ShapeDtypeStruct((batch_size, *self._input_shape), jnp.float32)
        name = label(member.names()) or "no factors"
        excess: list[str | None] = []

        def outputs_of(seed: Any, x: Any) -> Any:
            model = engine.first_model(build, seed, few)
            excess.append(too_large(model))
            return model(x)

        try:
            outputs = jax.eval_shape(outputs_of, jnp.uint32(0), batch)
        except (Exception, SystemExit) as error:
            raise ModelError(
                f"the model raised {described(error)} with {name} on inputs of shape "
                f"{batch.shape}: {reason(error)}"
            ) from error
        if excess[0] is not None:
            raise ModelError(f"the model with {name} is too large: {excess[0]}")
        shape = getattr(outputs, "shape", type(outputs).__name__)
        if shape != (batch_size, self._outputs):
            takes = "outputs" in model_arguments(self._model, member, {"outputs": 0})
            raise ModelError(
                f"the model with {name} maps inputs of shape {batch.shape} to "
                f"{shape}; expected {(batch_size, self._outputs)} for {self._task.name}: "
                + (
                    "its last layer needs `outputs` units"
                    if takes
                    else "add the argument `outputs`"
                )
            )

    def _arguments(self, member: Combination, rngs: nnx.Rngs | None = None) -> dict[str, Any]:
        """The model's arguments. Raises UsageError if it does not take one that the study sets."""
        context: dict[str, Any] = {
            "input_shape": self._input_shape,
            "outputs": self._outputs,
            "rngs": rngs,
        }
        if self._dtype is not None:
            context["dtype"] = self._dtype
        arguments = model_arguments(self._model, member, context)
        if self._dtype is not None and "dtype" not in arguments:
            raise UsageError("the model does not take dtype; add the argument, or drop the setting")
        return arguments


def _outputs(dataset: Dataset, task: training.Task) -> int:
    if task.name == "classification":
        return dataset.num_classes or 0
    return 1 if dataset.train_targets.ndim == 1 else dataset.train_targets.shape[1]
