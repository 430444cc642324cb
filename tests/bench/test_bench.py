"""The benchmark: every side does the same work, samples are interleaved, errors are one line."""

import json
import sys
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import engine, training
from jcnn.bench import clock, ops, processes, steps, sweep
from jcnn.bench.catalogue import catalogue
from jcnn.bench.engine_side import LEARNING_RATE, EngineTraining
from jcnn.bench.flax_side import FlaxTraining
from jcnn.bench.machine import Peaks, hardware, measure_peaks
from jcnn.bench.torch_side import TorchSide, torch_ways
from jcnn.bench.workloads import CONV_NETS, WORKLOADS, ConvNet
from jcnn.cli import main
from tests.slow import short_first


@pytest.fixture(autouse=True)
def standard_promotion():
    """Optax's Adam and Flax's average pooling multiply floats by int32."""
    with jax.numpy_dtype_promotion("standard"):
        yield


SMALL = ConvNet("small", 8, 1, 256, 2, features=(4,), hidden=(8,))
RESNET = replace(WORKLOADS[-1], size=8, enlarged=1, batch_size=64, examples=240)


def test_sides_take_turns_and_the_warm_up_does_not_count(monkeypatch):
    monkeypatch.setattr(clock, "_SETTLE", 0)
    calls = []

    def side(name, seconds):
        def sample():
            calls.append(name)
            return 100.0 if calls.count(name) == 1 else seconds

        return sample

    timings = clock.interleaved({"a": side("a", 1.0), "b": side("b", 2.0)}, 3)
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert timings["a"] == clock.Timing(1.0, 1.0, 1.0, 3)
    assert timings["b"].median == 2.0


def test_a_slow_side_takes_part_in_every_fifth_round(monkeypatch):
    monkeypatch.setattr(clock, "_SETTLE", 0)
    monkeypatch.setattr(clock, "_SLOW", 0.01)
    timings = clock.interleaved({"a": lambda: 1.0, "b": lambda: time.sleep(0.02) or 2.0}, 11)
    assert (timings["a"].n, timings["b"].n) == (11, 3)


def test_peaks_and_hardware_are_plausible():
    peaks = measure_peaks(rounds=1)
    assert 0.1 < peaks.matmul_gflops < 1e7
    assert 0.1 < peaks.copy_gbytes < 1e5
    assert {"processor", "cores", "devices", "jax"} <= set(hardware())


@pytest.mark.parametrize("op", [op for op in catalogue() if op.flax], ids=lambda op: op.name)
def test_flax_does_the_same_work(op):
    small = replace(op, shape=(2, 15, 15, op.shape[-1]))
    operands = small.operands()
    dy = jnp.cos(small.function(*operands))
    ours, theirs = (
        jax.jit(ops.forward_backward(f))(dy, *operands) for f in (small.function, small.flax)
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA:CPU alone does so")
def test_a_loop_is_not_compiled_as_one_function():
    relu = next(op for op in catalogue() if op.name == "relu")
    loop = jax.jit(ops.forward_backward_loop(relu.function)).lower(2, *relu.operands()).compile()
    assert "xla_cpu_small_call" not in loop.as_text()


@pytest.mark.parametrize("op", short_first(catalogue()), ids=lambda op: op.name)
def test_every_operation_runs_in_a_loop_that_depends_on_itself(op):
    small = replace(op, shape=(2, 14, 14, op.shape[-1]))
    operands = small.operands()
    _, out = jax.jit(ops.forward_backward_loop(small.function))(2, *operands)
    assert all(jnp.isfinite(leaf).all() for leaf in out)
    assert all(bool((leaf != first).any()) for leaf, first in zip(out, operands, strict=True))


def test_the_flops_of_a_convolution():
    conv = next(op for op in catalogue() if op.name == "conv 3x3 64->128 16x16")
    assert conv.work()[0] == 3 * 2 * 128 * 16 * 16 * 9 * 64 * 128


def test_the_flops_of_a_step():
    digits = CONV_NETS[0]
    first = 2 * 2 * 8 * 8 * 9 * 1 * 16
    rest = 3 * 2 * (4 * 4 * 9 * 16 * 32 + 128 * 64 + 64 * 10)
    assert digits.flops() == 64 * (first + rest)


@pytest.mark.parametrize("workload", short_first([SMALL, RESNET]), ids=["small", "resnet"])
def test_losses_agree_with_flax_and_pytorch(workload, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "WORKLOADS", [workload])
    (result,) = steps.run_steps(Peaks(100.0, 10.0), rounds=1, versus=("flax",))
    assert set(result.losses) == {"jcnn", "jcnn, flax layers", "flax", "flax, accelerated"}
    for loss in result.losses.values():
        assert loss == pytest.approx(result.losses["flax"], rel=1e-4)
    assert result.ratios["flax"] > 0
    assert "agree" in result.summary()
    pytest.importorskip("torch")
    ours = EngineTraining(workload, 1)
    data = ours.compiled.data
    inputs = np.asarray(training.normalize(jnp.asarray(data.inputs), data))
    batches = engine.epoch_batches(0, 0, len(inputs), workload.batch_size)
    weights = ours.first_weights()
    model = workload.plain_model(weights)
    flax = FlaxTraining(model, inputs, data.targets, batches, LEARNING_RATE)
    arrays = {f"weights/{name}": array for name, array in weights.items()}
    path = tmp_path / "work.npz"
    np.savez(path, inputs=inputs, targets=data.targets, batches=batches, **arrays)
    with TorchSide(sys.executable) as torch:
        for name, way in torch_ways(torch, path, LEARNING_RATE).items():
            if "eager" in name:
                losses = way.losses(len(batches))
                np.testing.assert_allclose(losses, flax.losses(), rtol=1e-3)
                assert way.sample(2) > 0
        half = torch_ways(torch, path, LEARNING_RATE, "bfloat16")["torch, nchw, eager, one process"]
        losses = half.losses(len(batches))
        np.testing.assert_allclose(losses, flax.losses(), rtol=0.05)
        assert (np.array(losses) != flax.losses()).any()
        for op in catalogue():
            if op.torch is not None:
                shape = (2, 14, 14, op.shape[-1])
                for dtype in ("float32", "bfloat16"):
                    assert torch.op(op.kind, shape, op.torch, "channels_last", dtype)() > 0


def test_operations_are_timed_in_another_dtype():
    (gelu,) = ops.run_ops(Peaks(100.0, 10.0), rounds=1, dtype="bfloat16", chosen="gelu".__eq__)
    (wide,) = ops.run_ops(Peaks(100.0, 10.0), rounds=1, chosen="gelu".__eq__)
    assert (gelu.dtype, wide.dtype) == ("bfloat16", "float32")
    (op,) = (op for op in catalogue() if op.name == "gelu")
    assert op.work("bfloat16")[1] == op.work()[1] / 2
    assert op.enlarged(16).shape == (2048, *op.shape[1:])


def test_accelerators_time_larger_batches_without_loops(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(ops, "_ACCELERATOR_BATCHES", 2)
    (relu,) = ops.run_ops(Peaks(100.0, 10.0), rounds=1, versus=("flax",), chosen="relu".__eq__)
    assert relu.shape[0] == 256
    assert set(relu.milliseconds) == {"forward", "both"}
    assert "in a loop" not in relu.summary()


def test_the_command_prints_and_writes_figures(tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert main(["bench", "--only", "tanh", "--rounds", "1", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "limits measured here" in text
    assert "both in loop" in text
    figures = json.loads(out.read_text())
    assert [op["name"] for op in figures["ops"]] == ["tanh"]
    assert figures["ops"][0]["milliseconds"]["both"]["n"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--versus", "flux"], 2, "did you mean flax"),
        (["--rounds", "0"], 2, "at least 1"),
        (["--only", "nothing", "--rounds", "1"], 2, "nothing has that in its name"),
        (["--sweep", "--versus", "flax"], 2, "drop --versus"),
        (["--plot", "a.png"], 2, "add --sweep"),
        (["--sweep", "--plot", "a.txt"], 2, ".svg, .png, .pdf"),
        (["--dtype", "bfloat"], 2, "did you mean bfloat16"),
        (["--versus", "torch", "--torch-python", "/nowhere"], 1, "--torch-python /nowhere"),
        (["--versus", "torch", "--torch-python", "/bin/false"], 1, "PyTorch: its process ended"),
    ],
)
def test_bad_input_is_one_line(arguments, code, message, capsys):
    assert main(["bench", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_process_is_measured_alone(tmp_path):
    code = "import time; b = bytearray(200_000_000); time.sleep(0.2); print(len(b))"
    ended = processes.run_process([sys.executable, "-c", code], {})
    assert ended.output == "200000000\n"
    assert ended.seconds > 0.2
    assert ended.peak_bytes > 200e6
    small = processes.run_process([sys.executable, "-c", "import time; time.sleep(0.2)"], {})
    assert small.peak_bytes < 100e6


@pytest.mark.slow
def test_compare_is_run_twice_and_compiles_once():
    arguments = ["--activation", "relu", "--kernel-init", "he_normal", "--normalization", "none"]
    few = ["--seeds", "1", "--epochs", "1", "--learning-rate", "0.1", "--model", "mlp"]
    figures = processes.compare_twice([*arguments, *few]).figures
    assert figures["first start, programs compiled"] > 0
    assert figures["second start, programs compiled"] == 0
    assert 0.1 < figures["first start, peak GB"] < 4
    assert figures["its report, s"] > 0


def test_what_compare_says_when_it_fails_is_told():
    with pytest.raises(ValueError, match="jcnn compare failed: .*did you mean digits"):
        processes.compare_twice(["--data", "digitss"])


@pytest.mark.slow
def test_a_sweep_is_measured_and_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "RUNS", (1, 2))
    monkeypatch.setattr(sweep, "WIDTHS", (0.5, 1))
    monkeypatch.setattr(sweep, "BATCHES", (128, 256))
    small = replace(CONV_NETS[0], runs=2, features=(4, 4), hidden=(8,))
    monkeypatch.setattr(sweep, "CONV_NETS", [small])
    out, plot = tmp_path / "sweep.json", tmp_path / "sweep.svg"
    assert main(["bench", "--sweep", "--rounds", "1", "--out", str(out), "--plot", str(plot)]) == 0
    assert "model steps/s" in capsys.readouterr().out
    points = {part["name"]: part["points"] for part in json.loads(out.read_text())["sweep"]}
    assert [p["value"] for p in points["runs"]] == [1, 2]
    assert points["width"][1]["megabytes"] > points["width"][0]["megabytes"]
    assert plot.read_text().startswith("<?xml")
