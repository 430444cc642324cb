"""Learning-rate schedules: shapes that multiply a run's peak learning rate."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jcnn import names
from jcnn.errors import UsageError

Schedule = Callable[[Any], Any]

# Each name's shape over this many steps.
_NAMED: dict[str, Callable[[int], Schedule]] = {
    "constant": lambda steps: optax.constant_schedule(1.0),
    "cosine": lambda steps: optax.cosine_decay_schedule(1.0, steps),
    "linear": lambda steps: optax.linear_schedule(1.0, 0.0, steps),
}


def learning_rate_schedule(
    shape: str | Callable[..., Any], peak: Any, *, total_steps: int, warmup_steps: int = 0
) -> Schedule:
    """Return the learning rate as a function of the step: `peak` times a shape.

    After `warmup_steps` of linear growth the shape is 1 ("constant"), or falls from 1 to 0 at
    `total_steps` as half a cosine ("cosine") or a line ("linear"). `peak` may be traced.

    `shape` may also be an Optax schedule, `step -> multiplier`, or a function that returns one,
    such as `optax.cosine_decay_schedule`. The function's arguments without a default are filled by
    name: `value`, `init_value` and `peak_value` with 1 (`init_value` with 0 if there is a
    `peak_value`), `end_value` with 0, and `decay_steps`, `transition_steps` and `total_steps` with
    the number of steps after the warm-up; a single argument of another name also is that number. If
    `warmup_steps` is among them, the function warms up itself: it is given `warmup_steps`, and the
    number of all steps. Fix further arguments with `functools.partial`.

    Raises UsageError if the name is unknown, the warm-up too long, or the function not a schedule.

    >>> float(learning_rate_schedule("linear", 0.5, total_steps=10)(5))
    0.25
    >>> float(learning_rate_schedule(optax.linear_schedule, 0.5, total_steps=10)(5))
    0.25
    """
    if not 0 <= warmup_steps < max(total_steps, 1):
        raise UsageError(
            f"warmup_steps={warmup_steps}; expected 0 to {total_steps - 1}, fewer than the "
            f"{total_steps} steps of the run"
        )
    if isinstance(shape, str):
        if shape not in _NAMED:
            raise UsageError(f"schedule={shape!r}; expected one of {', '.join(_NAMED)}")
        multiplier = _NAMED[shape](max(total_steps - warmup_steps, 1))
    else:
        multiplier, warms_up = _from_callable(shape, total_steps, warmup_steps)
        warmup_steps = 0 if warms_up else warmup_steps
    if warmup_steps:
        warmup = optax.linear_schedule(1.0 / warmup_steps, 1.0, max(warmup_steps - 1, 1))
        multiplier = optax.join_schedules([warmup, multiplier], [warmup_steps])

    def rate(step: Any) -> Array:
        return jnp.asarray(peak, jnp.float32) * jnp.asarray(multiplier(step), jnp.float32)

    return rate


def _from_callable(
    shape: Callable[..., Any], total_steps: int, warmup_steps: int
) -> tuple[Schedule, bool]:
    """Return the schedule that `shape` is or returns, and whether it warms up itself."""
    try:
        positional, keywords = _arguments(shape, total_steps, warmup_steps)
        result = shape(*positional, **keywords)
        schedule = result if callable(result) else shape
        value = jax.eval_shape(schedule, jax.ShapeDtypeStruct((), jnp.int32))
        if getattr(value, "shape", None) != ():
            kind = getattr(value, "shape", type(value).__name__)
            raise TypeError(f"its multiplier is {kind}, not a scalar")
    except Exception as error:
        raise UsageError(
            f"{names.name_of('schedule', shape)} is not a schedule: "
            f"{' '.join(str(error).split())[:200]}; expected step -> multiplier in terms of "
            "jax.numpy, or a function that returns one, such as optax.cosine_decay_schedule"
        ) from error
    return schedule, "warmup_steps" in keywords


def _arguments(
    shape: Callable[..., Any], total_steps: int, warmup_steps: int
) -> tuple[tuple[int, ...], dict[str, Any]]:
    parameters = inspect.signature(shape).parameters
    required = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    steps = total_steps if "warmup_steps" in required else max(total_steps - warmup_steps, 1)
    values = {
        "value": 1.0,
        "init_value": 0.0 if "peak_value" in parameters else 1.0,
        "peak_value": 1.0,
        "end_value": 0.0,
        "warmup_steps": warmup_steps,
        "decay_steps": steps,
        "transition_steps": steps,
        "total_steps": steps,
    }
    unknown = [name for name in required if name not in values]
    if not unknown:
        return (), {name: values[name] for name in required}
    if len(required) == 1:
        return (steps,), {}
    raise TypeError(f"no value for {' and '.join(unknown)}, to be fixed with functools.partial")
