"""`jcnn bench module:function`: phases, faults, other commits, and comparisons."""

import json
import subprocess
import sys

import numpy as np
import pytest

from jcnn.bench.own import compare, run_function
from jcnn.bench.own.arguments import argument
from jcnn.bench.own.intervals import paired_ratio, unpaired_ratio
from jcnn.cli import main
from jcnn.errors import UsageError

MODULE = """
import jax
import jax.numpy as jnp

LENGTH = 4

def steps(x, w):
    return jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, length=LENGTH)[0].sum()

def longer(x, w):
    return jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), x, length=2 * LENGTH)[0].sum()

def made():
    return steps, (jnp.ones((8, 8)), jnp.ones((8, 8)))

def compiles_again(x):
    return jax.jit(lambda x: x * 2)(x)

def smaller(x):
    return x.sum()

def same_shape(x):
    return x * 2

def in_float32(x):
    return (x * jnp.float32(2)).sum()

def asks_the_host(x):
    jax.debug.callback(lambda y: None, x.sum())
    return x

def prints(x):
    print("hello")
    return x

def nothing():
    return 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "benched.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one(function, **options):
    (result,) = run_function(f"benched:{function}", rounds=2, **options)[1]
    return result


def test_phases_work_and_ratio(folder):
    peaks, (first, second) = run_function(
        "benched:steps", arguments=["f32[8,8]"] * 2, versus=["benched:longer"], rounds=7
    )
    assert peaks["matmul_gflops"] > 0
    assert {*first.about["phases"]} == {"import", "trace", "lower", "compile", "first call"}
    products = 2 * 8**3 + 8**2
    assert first.about["operations"] == 4 * products + 8**2
    assert second.about["operations"] == 8 * products + 8**2
    assert first.about["bytes"] == 2 * 8 * 8 * 4 + 4
    assert first.ratio is None
    ratios = np.array(second.seconds) / first.seconds
    assert second.ratio.ratio == pytest.approx(np.median(ratios))
    assert first.faults() == second.faults() == []


def test_a_function_that_makes_its_arguments(folder):
    assert (
        one("made").about["operations"]
        == one("steps", arguments=["f32[8,8]"] * 2).about["operations"]
    )


def test_compiling_again_is_found(folder):
    result = one("compiles_again", arguments=["f32[8]"], as_is=True)
    assert result.compiled_again > 0
    assert "compiled" in result.faults()[0]
    assert "never seen function" in result.why_again
    assert one("compiles_again", arguments=["f32[8]"]).compiled_again == 0


def test_a_donation_without_effect_is_found(folder):
    lost = one("smaller", arguments=["f32[64]"], donate=[0])
    assert "not usable: float32[64]" in lost.faults()[0]
    kept = one("same_shape", arguments=["f32[64]"], donate=[0])
    assert kept.faults() == []
    assert kept.about["memory"]["alias"] == 64 * 4


def test_promotions_and_calls_of_the_host_are_found(folder):
    assert one("in_float32", arguments=["bf16[16]"]).faults() == [
        "converts bfloat16 to float32, 16 numbers"
    ]
    assert one("asks_the_host", arguments=["f32[8]"]).faults() == [
        "waits for the host: debug_callback"
    ]
    assert one("prints", arguments=["f32[8]"]).faults() == []  # its output is no answer


def test_another_commit_is_timed_beside(folder):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", *words], check=True,
                       capture_output=True)  # fmt: skip

    git("init", "-q")
    git("add", "benched.py")
    git("commit", "-qm", "first")
    (folder / "benched.py").write_text(MODULE.replace("LENGTH = 4", "LENGTH = 40"))
    _, (now, before) = run_function(
        "benched:steps", arguments=["f32[8,8]"] * 2, revisions=["HEAD"], rounds=2
    )
    assert before.name == "benched:steps at HEAD"
    assert now.about["operations"] > 9 * before.about["operations"]
    trees = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert trees.stdout.count("\n") == 1  # the checkout is gone
    with pytest.raises(UsageError, match="--rev: .*invalid reference: nowhere"):
        run_function("benched:steps", arguments=["f32[8,8]"] * 2, revisions=["nowhere"])


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("benched", [], "benched: expected module:function"),
        ("missing:steps", [], "No module named 'missing'"),
        ("benched:missing", [], "has no attribute 'missing'"),
        ("benched:steps", [], "benched:steps takes x, w, and 0 arguments are given; spell them"),
        ("benched:nothing", [], "returned a int; give --args, or return .function, arguments."),
        ("benched:steps", ["f99[3]"], "f99 is no dtype"),
        ("benched:steps", ["f32[3,4]", "f32[3,4]"], "TypeError: dot_general"),
    ],
)
def test_a_bad_function_is_one_line(folder, function, arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        run_function(function, arguments=arguments)
    assert "\n" not in str(caught.value)


def test_a_process_that_dies_is_one_line(folder):
    (folder / "benched.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(UsageError, match="benched:steps: its process ended"):
        run_function("benched:steps")


@pytest.mark.parametrize("form", [paired_ratio, unpaired_ratio])
def test_intervals_cover_the_true_ratio(form):
    rng = np.random.default_rng(0)
    covered = found = 0
    for _ in range(300):
        drift = rng.lognormal(0, 0.2, 20)
        base, slower = (drift * rng.lognormal(0, 0.03, 20) for _ in range(2))
        if form is unpaired_ratio:
            base, slower = base / drift, slower / drift
        ratio = form((1.1 * slower).tolist(), base.tolist())
        covered += ratio.low <= 1.1 <= ratio.high
        found += ratio.low > 1
    assert covered / 300 > 0.92
    assert found / 300 > 0.9  # a tenth slower is seen
    few = form([1.0, 1.1], [1.0, 1.2])
    assert (few.low, few.high) == (0.0, float("inf"))
    assert not few.differs


def test_stored_results_are_compared(folder, capsys):
    arguments = ["bench", "benched:steps", "--args", "f32[8,8]", "f32[8,8]", "--rounds", "3"]
    assert main([*arguments, "--out", "a.json"]) == 0
    text = capsys.readouterr().out
    assert "a call:" in text
    assert "FLOP" in text
    content = json.loads((folder / "a.json").read_text())
    content["functions"][0]["seconds"] = [1.0, 1.01, 1.02, 1.03] * 5
    (folder / "a.json").write_text(json.dumps(content))
    content["functions"][0]["seconds"] = [1.1, 1.11, 1.12, 1.13] * 5
    (folder / "b.json").write_text(json.dumps(content))
    assert main(["bench", "--compare", "a.json", "a.json"]) == 0
    assert "no difference seen" in capsys.readouterr().out
    assert main(["bench", "--compare", "a.json", "b.json"]) == 1
    assert "slower" in capsys.readouterr().out
    assert main(["bench", "--compare", "b.json", "a.json", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["verdict"] == "faster"
    (folder / "c.json").write_text("{}")
    assert main(["bench", "--compare", "a.json", "c.json"]) == 2
    assert "c.json: no samples of benchmarks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--as-is"], "--as-is is for a function of your own"),
        (["a:b", "--sweep"], "--sweep is for jcnn's own work"),
        (["a:b", "--rounds", "0"], "expected at least 1"),
        (["a:b", "--compare", "a", "b"], "drop the function"),
    ],
)
def test_options_that_do_not_fit_together(words, message, capsys):
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


def test_arguments_as_text():
    assert argument("i32[3]").tolist() == [0, 0, 0]
    assert argument("f32[2,3]").shape == (2, 3)
    assert argument("float16[]").dtype == np.float16
    assert argument("1e-3") == 0.001
    assert argument("false") is False
    with pytest.raises(UsageError, match="expected an array such as"):
        argument("many")


def test_the_fixture_writes_what_pytest_benchmark_writes(tmp_path):
    (tmp_path / "test_speed.py").write_text(
        "import jax, jax.numpy as jnp\n"
        "def test_sine(jcnn_bench):\n"
        "    calls = jcnn_bench(jax.jit(jnp.sin), jnp.ones(8), rounds=8)\n"
        "    assert calls.compilations == 0 and len(calls.seconds) == 8\n"
        "    assert jcnn_bench(lambda x: jax.jit(lambda x: x)(x), 1.0, rounds=2).compilations > 0\n"
    )
    for name in ("a.json", "b.json"):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
             "--jcnn-bench-json", name, "test_speed.py"],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    (change,) = compare(tmp_path / "a.json", tmp_path / "b.json")
    assert change.name == "test_speed.py::test_sine"
