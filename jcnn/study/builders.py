"""The models of a study's combinations: their arguments, their builders, and whether they fit."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn import engine, names, training
from jcnn.adapters import initialize, is_built
from jcnn.analysis.labels import label
from jcnn.data import Dataset
from jcnn.diagnosis import lsuv
from jcnn.errors import UsageError
from jcnn.study.factors import OUTPUTS, Combination, is_data_driven, model_arguments
from jcnn.study.limits import too_large
from jcnn.study.model_error import ModelError, described, reason
from jcnn.study.plan import Plan


class Builders:
    """The builders of a study's models for one data set and task."""

    def __init__(self, plan: Plan, dataset: Dataset, task: training.Task) -> None:
        self._model, self._task = plan.build_model, task
        self._input_shape, self._outputs = dataset.input_shape, _outputs(dataset, task)
        self._own_loss = plan.own_loss is not None
        self._checks_task = self._own_loss or bool(plan.own_metrics)
        self._call, self._output = plan.call_model, plan.select_output
        self._first_weights = plan.first_weights
        self._dtype = None if plan.dtype is None else names.lookup("dtype", plan.dtype)

    def builder(self, member: Combination) -> engine.Builder:
        """The builder of a combination's model, fitted to data if its initializer asks for it."""
        build = partial(self.build, member)
        return engine.Fitted(build, lsuv) if is_data_driven(self._model, member) else build

    def build(self, member: Combination, rngs: nnx.Rngs) -> nnx.Module:
        """Build a combination's model as a module of NNX. Raises TypeError if it is no network."""
        arguments = self._arguments(member, rngs)
        built: Any = self._model
        if isinstance(built, nnx.Module):
            model = nnx.clone(built)  # its random keys are not shared
        else:
            model = built if is_built(built) else built(**arguments)
        network = initialize(model, self._input_shape, rngs, call=self._call, output=self._output)
        if self._first_weights is None:
            return network
        started = self._first_weights(network)
        return network if started is None else started

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
        shape = getattr(outputs, "shape", None)
        if shape is None and not self._own_loss:
            raise ModelError(
                f"the model with {name} returns a {type(outputs).__name__}; expected one array of "
                "outputs: name them with output (--output), such as logits, or 0 for the first"
            )
        if self._checks_task:
            self._check_task(outputs, data, batch_size)
        if self._own_loss:
            return
        if shape != (batch_size, self._outputs):
            names_of_outputs = dict.fromkeys(("outputs", *OUTPUTS), 0)
            takes = model_arguments(self._model, member, names_of_outputs).keys() & names_of_outputs
            raise ModelError(
                f"the model with {name} maps inputs of shape {batch.shape} to "
                f"{shape}; expected {(batch_size, self._outputs)} for {self._task.name}: "
                + (
                    f"its last layer needs `{min(takes)}` units"
                    if takes
                    else "add the argument `outputs`"
                )
            )

    def _check_task(self, outputs: Any, data: training.Data, batch_size: int) -> None:
        """Raise UsageError if the loss or a metric of one's own does not fit outputs and targets.

        They are the same for all combinations.
        """
        shape = (batch_size, *data.targets.shape[1:])
        targets = jax.ShapeDtypeStruct(shape, data.targets.dtype)
        expected = (batch_size, self._outputs)
        if "accuracy" in self._task.metrics and getattr(outputs, "shape", None) != expected:
            raise UsageError(
                f"outputs of shape {getattr(outputs, 'shape', type(outputs).__name__)} have no "
                f"accuracy, which is for {expected}; set metric='loss', or give metrics"
            )
        functions = {"loss": self._task.loss, **self._task.metrics}
        for name, function in functions.items():
            metric = training.metrics.as_metric(function)
            try:
                number = jax.eval_shape(metric.of, outputs, targets)
                if number.shape != ():
                    raise ValueError(f"its number has shape {number.shape}; expected one number")
            except Exception as error:
                shapes = [getattr(each, "shape", each) for each in (outputs, targets)]
                raise UsageError(
                    f"{name} on outputs {shapes[0]} and targets {shapes[1]}: {described(error)}: "
                    f"{reason(error)}"
                ) from error

    def _arguments(self, member: Combination, rngs: nnx.Rngs | None = None) -> dict[str, Any]:
        """The model's arguments. Raises UsageError if it does not take one that the study sets."""
        context: dict[str, Any] = {
            "input_shape": self._input_shape,
            "outputs": self._outputs,
            "rngs": rngs,
            **dict.fromkeys(OUTPUTS, self._outputs),
            "key": None,
        }
        if self._dtype is not None:
            context["dtype"] = self._dtype
        arguments = model_arguments(self._model, member, context)
        if "key" in arguments and rngs is not None:
            arguments["key"] = rngs.params()
        if self._dtype is not None and "dtype" not in arguments:
            raise UsageError("the model does not take dtype; add the argument, or drop the setting")
        return arguments


def _outputs(dataset: Dataset, task: training.Task) -> int:
    if task.name == "classification":
        return dataset.num_classes or 0
    targets = dataset.train_targets
    if targets.ndim > 2 and targets.dtype == np.int32:  # dense labels: an output per class
        return int(targets.max()) + 1
    return 1 if targets.ndim == 1 else targets.shape[-1]
