"""A study's data, loaded and split, and its task."""

from typing import Any, NamedTuple

from jcnn import data as datasets
from jcnn import engine, names, training
from jcnn.errors import UsageError
from jcnn.study.plan import Plan


class Prepared(NamedTuple):
    """A study's data, whole and split, and its task."""

    dataset: datasets.Dataset
    task: training.Task
    data: training.Data


def prepare(plan: Plan, *, with_validation: bool = False) -> Prepared:
    """Load and split the data. Raises ValueError if it does not fit the task.

    With `with_validation`, the validation examples are training examples.
    """
    dataset = _load(plan)
    task = _task(plan, dataset)
    fraction = 0.0 if with_validation else plan.validation_fraction
    return Prepared(dataset, task, engine.prepare(dataset, fraction))


def _load(plan: Plan) -> datasets.Dataset:
    if plan.resize is not None and not plan.named_data:
        raise UsageError("resize is for folders and archives of images; resize the arrays first")
    if isinstance(plan.data, datasets.Dataset):
        return plan.data
    if plan.named_data:
        return datasets.load(plan.data, data_dir=plan.data_dir, resize=plan.resize)
    parts = plan.data
    is_source = not isinstance(parts, tuple) and datasets.is_source(parts)
    if is_source or not isinstance(parts, (tuple, list)):
        plan.data = datasets.from_source(parts)  # an iterator can be read only once
        return plan.data
    if isinstance(parts, tuple) and len(parts) in (2, 3) and all(map(datasets.is_source, parts)):
        names = ("source", "test") if len(parts) == 2 else ("source", "validation", "test")
        plan.data = datasets.from_source(**dict(zip(names, parts, strict=True)))
        return plan.data
    if len(parts) in (2, 4):
        test = dict(zip(("test_inputs", "test_targets"), parts[2:], strict=False))
        return datasets.from_arrays(parts[0], parts[1], **test)
    raise UsageError(
        f"data is a {type(parts).__name__} of {len(parts)}; expected a name, a path, (inputs, "
        "targets), (inputs, targets, test_inputs, test_targets), (train, validation, test) with "
        "a pair or a data set each, or a data set (see jcnn.data.from_source)"
    )


def _task(plan: Plan, dataset: datasets.Dataset) -> training.Task:
    name = plan.task or dataset.task
    fitting = [dataset.task, *(["binary"] if dataset.num_classes == 2 else [])]
    if name not in fitting:
        kind = "numbers" if dataset.num_classes is None else f"{dataset.num_classes} classes"
        raise UsageError(
            f"task={name!r} does not fit data set {dataset.name!r}, whose targets are {kind}; "
            f"expected {' or '.join(fitting)}"
        )
    if plan.label_smoothing and name != "classification":
        raise UsageError(f"label_smoothing applies to classification, and the task is {name}")
    if plan.label_smoothing and plan.own_loss is not None:
        raise UsageError("label_smoothing belongs to the built-in loss; drop it, or loss")
    if dataset.train_targets.ndim > 2 and plan.own_loss is None:
        raise UsageError(
            f"targets of shape {dataset.train_targets.shape} need a loss of your own (loss, "
            "--loss) that returns one value per example"
        )
    if name == "binary":
        task = training.binary()
    elif name == "regression":
        task = training.regression()
    else:
        task = training.classification(label_smoothing=plan.label_smoothing)
    if plan.own_loss is None and not plan.own_metrics and plan.metric is None:
        return task
    metrics = {name: _metric(value, dataset) for name, value in plan.own_metrics.items()}
    return training.with_own(task, plan.own_loss, metrics, plan.metric)


def _metric(value: Any, dataset: datasets.Dataset) -> Any:
    """A metric that a study names: of jcnn's own, for the number of classes."""
    if not isinstance(value, str):
        return value
    found = names.lookup("metrics", value)
    if not names.is_own("metrics", value):
        return found
    if dataset.num_classes is None:
        raise UsageError(f"the metric {value} is for classes, and the targets are numbers")
    return found(dataset.num_classes)
