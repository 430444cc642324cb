"""Single operations, forward and backward, called on their own and in a compiled loop."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import activations, convolution, normalization, pooling
from jcnn.bench.clock import interleaved, milliseconds, ratios, repeats, timed
from jcnn.bench.machine import Peaks
from jcnn.bench.torch_side import TorchSide

IMAGES = (128, 28, 28, 32)


@dataclass(frozen=True)
class Op:
    """An operation on `(x, kernel)` (convolutions) or `x`, and its counterparts.

    `torch` are the options of the same operation in PyTorch, which is selected by `kind`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    function: Callable[..., Array]
    flax: Callable[..., Array] | None = None
    torch: Mapping[str, Any] | None = None
    kernel: tuple[int, ...] | None = None

    def operands(self) -> tuple[Array, ...]:
        """Return random operands."""
        keys = jax.random.split(jax.random.key(0), 2)
        x = jax.random.normal(keys[0], self.shape)
        if self.kernel is None:
            return (x,)
        fan_in = math.prod(self.kernel[:-1])
        return x, jax.random.normal(keys[1], self.kernel) * fan_in**-0.5

    def work(self) -> tuple[float, float]:
        """Return the FLOPs and least bytes moved, forward and backward: of x, y, dy and dx."""
        y = jax.eval_shape(self.function, *self.operands())
        inputs = math.prod(self.shape)
        flops = 0.0
        if self.kernel is not None:
            flops = 3.0 * 2 * math.prod(self.kernel[:-1]) * math.prod(y.shape)
        return flops, 4.0 * 2 * (inputs + math.prod(y.shape))


def _flax_pool(pool: Callable[..., Array], window: int, strides: int) -> Callable[..., Array]:
    return lambda x: pool(x, (window,) * 2, strides=(strides,) * 2)


def _pools() -> Iterator[Op]:
    for window, strides in ((2, 2), (3, 2)):
        options = {"window": window, "strides": strides}
        for kind in ("max", "avg", "l2", "weighted_avg"):
            function = getattr(pooling, f"{kind}_pool")
            flax = {"max": nnx.max_pool, "avg": nnx.avg_pool}.get(kind)
            yield Op(
                f"{kind}_pool {window}x{window}/{strides}",
                f"{kind}_pool",
                IMAGES,
                partial(function, window_shape=(window,) * 2, strides=strides),
                None if flax is None else _flax_pool(flax, window, strides),
                options,
            )
        yield Op(
            f"stochastic_pool {window}x{window}/{strides}",
            "stochastic",
            IMAGES,
            partial(_stochastic_pool, window_shape=(window,) * 2, strides=strides),
        )
    for kind in ("mixed", "soft", "gem"):
        function = getattr(pooling, f"{kind}_pool")
        yield Op(f"{kind}_pool 2x2/2", kind, IMAGES, partial(function, window_shape=(2, 2)))
    for kind, window in (("max", 5), ("max", 13), ("avg", 7)):
        function = getattr(pooling, f"{kind}_pool")
        yield Op(
            f"{kind}_pool {window}x{window}/1",
            f"{kind}_pool",
            (16, *IMAGES[1:]),
            partial(function, window_shape=(window,) * 2, strides=1),
            _flax_pool({"max": nnx.max_pool, "avg": nnx.avg_pool}[kind], window, 1),
            {"window": window, "strides": 1},
        )


def _stochastic_pool(x: Array, window_shape: tuple[int, int], strides: int) -> Array:
    # The key depends on x, so that a loop must draw again.
    seed = jax.lax.bitcast_convert_type(x[(0,) * x.ndim], jnp.uint32)
    return pooling.stochastic_pool(x, window_shape, strides, key=jax.random.key(seed))


def _flax_conv(x: Array, kernel: Array, strides: int, feature_group_count: int) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (strides,) * 2,
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=feature_group_count,
    )


def _convs() -> Iterator[Op]:
    for size, inputs, outputs in ((28, 1, 32), (14, 32, 64), (16, 64, 128), (32, 16, 16)):
        yield _conv(size, inputs, outputs)
    yield _conv(32, 16, 32, strides=2)
    yield _conv(16, 64, 128, window=1)
    yield _conv(28, 32, 32, groups=32)


def _conv(
    size: int, inputs: int, outputs: int, *, window: int = 3, strides: int = 1, groups: int = 1
) -> Op:
    kind = "depthwise" if groups > 1 else "conv"
    options: dict[str, Any] = {"strides": strides, "feature_group_count": groups}
    return Op(
        f"{kind} {window}x{window}{f'/{strides}' if strides > 1 else ''} "
        f"{inputs}->{outputs} {size}x{size}",
        "conv",
        (128, size, size, inputs),
        partial(convolution.conv, **options),
        partial(_flax_conv, **options),
        {"out": outputs, "window": window, "stride": strides, "groups": groups},
        (window, window, inputs // groups, outputs),
    )


def _elementwise() -> Iterator[Op]:
    for kind in ("relu", "tanh", "sigmoid", "gelu"):
        yield Op(kind, kind, IMAGES, getattr(activations, kind), torch={})
    yield Op("batch_norm", "batch_norm", IMAGES, normalization.batch_norm, torch={})
    yield Op("layer_norm", "layer_norm", IMAGES, normalization.layer_norm, torch={})
    group_norm = partial(normalization.group_norm, num_groups=8)
    yield Op("group_norm", "group_norm", IMAGES, group_norm, torch={"groups": 8})


def catalogue() -> list[Op]:
    """Return every operation to be timed."""
    return [*_pools(), *_convs(), *_elementwise()]


@dataclass
class OpResult:
    """Milliseconds by side (median, quartiles, samples), compile time and temporary memory."""

    name: str
    compile_seconds: float
    temporary_bytes: int
    milliseconds: dict[str, dict[str, float]] = field(default_factory=dict)
    gflops: float = 0.0
    gflops_share: float = 0.0
    gbytes: float = 0.0
    gbytes_share: float = 0.0
    loop_share: float = 0.0
    ratios: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)

    def best(self) -> float:
        """Return jcnn's milliseconds, forward and backward, alone or in a loop."""
        return min(self.milliseconds[side]["median"] for side in ("both", "both in loop"))

    def summary(self) -> str:
        """Return the rates, as fractions of the machine's, compile time and memory in one line."""
        rates = [f"{self.gbytes:.1f} GB/s ({self.gbytes_share:.0%} of copying)"]
        if self.gflops:
            share = f"{self.gflops_share:.0%} of matmul, {self.loop_share:.0%} in a loop"
            rates = [f"{self.gflops:.0f} GFLOP/s ({share})", *rates]
        rates += [f"{ratio:.1f} x faster than {rival}" for rival, ratio in self.ratios.items()]
        return (
            f"{', '.join(rates)}; compiled in {self.compile_seconds:.1f} s, "
            f"{self.temporary_bytes / 1e6:.1f} MB of temporaries"
        )


# How often a loop repeats the operation; a sample of a loop is one call. The counterparts may take
# seconds per iteration.
LOOP, RIVALS_LOOP = 8, 2


def run_ops(
    peaks: Peaks,
    *,
    rounds: int = 20,
    versus: tuple[str, ...] = (),
    torch: TorchSide | None = None,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Iterator[OpResult]:
    """Time each operation, "forward", "both" (with backward) and "both in loop", and its rivals.

    >>> (relu,) = run_ops(Peaks(100.0, 10.0), rounds=2, chosen=lambda name: name == "relu")
    >>> sorted(relu.milliseconds)
    ['both', 'both in loop', 'forward']
    """
    for op in catalogue():
        if chosen(op.name):
            yield _run(op, peaks, rounds, versus, torch)


def _run(
    op: Op, peaks: Peaks, rounds: int, versus: tuple[str, ...], torch: TorchSide | None
) -> OpResult:
    operands = op.operands()
    began = time.perf_counter()
    forward = jax.jit(op.function).lower(*operands).compile()
    both = jax.jit(forward_backward(op.function)).lower(*operands).compile()
    loop = jax.jit(forward_backward_loop(op.function)).lower(LOOP, *operands).compile()
    result = OpResult(op.name, time.perf_counter() - began, _temporary(both))
    sides = {
        "forward": _alone(forward, operands),
        "both": _alone(both, operands),
        "both in loop": _in_loop(loop, operands, LOOP),
    }
    if "flax" in versus and op.flax is not None:
        sides["flax both"] = _alone(jax.jit(forward_backward(op.flax)), operands)
        sides["flax both in loop"] = _in_loop(
            jax.jit(forward_backward_loop(op.flax)), operands, RIVALS_LOOP
        )
    if torch is not None and op.torch is not None:
        for layout in ("nchw", "channels_last"):
            sides[f"torch both, {layout}"] = torch.op(op.kind, op.shape, op.torch, layout)
    timings = interleaved(sides, rounds)
    result.milliseconds = milliseconds(timings)
    flops, moved = op.work()
    best = min(timings["both"].median, timings["both in loop"].median)
    result.gflops, result.gbytes = flops / best / 1e9, moved / best / 1e9
    result.gflops_share = result.gflops / peaks.matmul_gflops
    result.gbytes_share = result.gbytes / peaks.copy_gbytes
    result.loop_share = flops / timings["both in loop"].median / 1e9 / peaks.matmul_gflops
    result.ratios = ratios(timings, best)
    return result


def forward_backward(function: Callable[..., Array]) -> Callable[..., tuple[Array, ...]]:
    """Return a function that returns the gradients, with the output as the incoming gradient."""

    def run(*operands: Array) -> tuple[Array, ...]:
        y, pullback = jax.vjp(function, *operands)
        return pullback(y)

    return run


def forward_backward_loop(function: Callable[..., Array]) -> Callable[..., Any]:
    """Repeat forward and backward, each on the gradients of the iteration before.

    So the compiler can neither skip an iteration nor move a part of one out of the loop. A small
    matrix product in each iteration makes the loop one as in training: without any, XLA:CPU
    compiles a whole loop as one function, which runs on one thread and is several times slower.
    """

    def run(times: Any, *operands: Array) -> Any:
        def step(_: Any, carry: tuple[Array, tuple[Array, ...]]) -> Any:
            matrix, operands = carry
            y, pullback = jax.vjp(function, *operands)
            dx, *others = pullback(y)
            # A kernel changes a little, so that its gradient is needed.
            kernels = zip(operands[1:], others, strict=True)
            changed = (k + 1e-6 * jnp.tanh(dk) for k, dk in kernels)
            return jnp.tanh(matrix @ matrix), (dx, *changed)

        return jax.lax.fori_loop(0, times, step, (jnp.eye(16), operands))

    return run


def _alone(function: Callable[..., Any], operands: tuple[Array, ...]) -> Callable[[], float]:
    times = repeats(lambda: timed(function, *operands))

    def sample() -> float:
        return sum(timed(function, *operands) for _ in range(times)) / times

    return sample


def _in_loop(
    function: Callable[..., Any], operands: tuple[Array, ...], times: int
) -> Callable[[], float]:
    return lambda: timed(function, times, *operands) / times


def _temporary(compiled: Any) -> int:
    analysis = compiled.memory_analysis()
    return int(getattr(analysis, "temp_size_in_bytes", 0))
