"""Single operations, forward and backward, called on their own and in a compiled loop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jcnn.bench.catalogue import Op, catalogue
from jcnn.bench.clock import call_sampler, interleaved, milliseconds, ratios, timed
from jcnn.bench.machine import Peaks
from jcnn.bench.torch_side import TorchSide


@dataclass
class OpResult:
    """Milliseconds by side (median, quartiles, samples), compile time and temporary memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str
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
        ours = ("both", "both in loop")
        return min(self.milliseconds[side]["median"] for side in ours if side in self.milliseconds)

    def summary(self) -> str:
        """Return the rates, as fractions of the machine's, compile time and memory in one line."""
        rates = [f"{self.gbytes:.1f} GB/s ({self.gbytes_share:.0%} of copying)"]
        if self.gflops:
            share = f"{self.gflops_share:.0%} of matmul"
            if self.loop_share:
                share += f", {self.loop_share:.0%} in a loop"
            rates = [f"{self.gflops:.0f} GFLOP/s ({share})", *rates]
        rates += [f"{ratio:.1f} x faster than {rival}" for rival, ratio in self.ratios.items()]
        return (
            f"{', '.join(rates)}; compiled in {self.compile_seconds:.1f} s, "
            f"{self.temporary_bytes / 1e6:.1f} MB of temporaries"
        )


# How often a loop repeats the operation; a sample of a loop is one call. The counterparts may take
# seconds per iteration.
LOOP, RIVALS_LOOP = 8, 2
# On an accelerator, batches are so many times as large: those of a CPU take microseconds there.
_ACCELERATOR_BATCHES = 16


def run_ops(
    peaks: Peaks,
    *,
    rounds: int = 20,
    versus: tuple[str, ...] = (),
    torch: TorchSide | None = None,
    dtype: Any = None,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Iterator[OpResult]:
    """Time each operation, "forward", "both" (with backward) and "both in loop", and its rivals.

    Operands are float32, or of `dtype`. Accelerators are given batches 16 times as large, several
    calls in a row, and no loop, in which their programs are the same.

    >>> (relu,) = run_ops(Peaks(100.0, 10.0), rounds=2, chosen=lambda name: name == "relu")
    >>> sorted(relu.milliseconds)
    ['both', 'both in loop', 'forward']
    """
    on_cpu = jax.default_backend() == "cpu"
    for op in catalogue():
        if chosen(op.name):
            sized = op if on_cpu else op.enlarged(_ACCELERATOR_BATCHES)
            yield _run(sized, peaks, rounds, versus, torch, dtype or jnp.float32, loops=on_cpu)


def _run(
    op: Op,
    peaks: Peaks,
    rounds: int,
    versus: tuple[str, ...],
    torch: TorchSide | None,
    dtype: Any,
    *,
    loops: bool,
) -> OpResult:
    operands = op.operands(dtype)
    dy = jnp.ones_like(jax.eval_shape(op.function, *operands))
    began = time.perf_counter()
    forward = jax.jit(op.function).lower(*operands).compile()
    both = jax.jit(forward_backward(op.function)).lower(dy, *operands).compile()
    loop = None
    if loops:
        loop = jax.jit(forward_backward_loop(op.function)).lower(LOOP, *operands).compile()
    seconds = time.perf_counter() - began
    sides = {"forward": call_sampler(forward, *operands), "both": call_sampler(both, dy, *operands)}
    if loop:
        sides["both in loop"] = _in_loop(loop, operands, LOOP)
    result = OpResult(op.name, op.shape, jnp.dtype(dtype).name, seconds, _temporary(both))
    if "flax" in versus and op.flax is not None:
        sides["flax both"] = call_sampler(jax.jit(forward_backward(op.flax)), dy, *operands)
        if loops:
            sides["flax both in loop"] = _in_loop(
                jax.jit(forward_backward_loop(op.flax)), operands, RIVALS_LOOP
            )
    if torch is not None and op.torch is not None:
        for layout in ("nchw", "channels_last"):
            sides[f"torch both, {layout}"] = torch.op(
                op.kind, op.shape, op.torch, layout, result.dtype
            )
    timings = interleaved(sides, rounds)
    result.milliseconds = milliseconds(timings)
    flops, moved = op.work(dtype)
    best = result.best() / 1e3
    result.gflops, result.gbytes = flops / best / 1e9, moved / best / 1e9
    result.gflops_share = result.gflops / peaks.matmul_gflops
    result.gbytes_share = result.gbytes / peaks.copy_gbytes
    if loops:
        result.loop_share = flops / timings["both in loop"].median / 1e9 / peaks.matmul_gflops
    result.ratios = ratios(timings, best)
    return result


def forward_backward(function: Callable[..., Array]) -> Callable[..., tuple[Array, ...]]:
    """Return a function that takes the output's gradient and returns the output and gradients."""

    def run(dy: Array, *operands: Array) -> tuple[Array, ...]:
        y, pullback = jax.vjp(function, *operands)
        return y, *pullback(dy)

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


def _in_loop(
    function: Callable[..., Any], operands: tuple[Array, ...], times: int
) -> Callable[[], float]:
    return lambda: timed(function, times, *operands) / times


def _temporary(compiled: Any) -> int:
    analysis = compiled.memory_analysis()
    return int(getattr(analysis, "temp_size_in_bytes", 0))
