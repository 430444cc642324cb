"""PyTorch's side runs on the device that JAX uses, or says why it cannot."""

import sys
from pathlib import Path

import jax
import pytest

from jcnn.bench.torch_side import TorchSide, torch_ways

# An interpreter that answers "hello" as torch_worker.py does, on a machine with a GPU or without.
STUB = """#!{python}
import json, sys

for line in sys.stdin:
    request = json.loads(line)
    answer = {{"torch": "2.13.0", "python": "3.13.1"}}
    if request["device"] == "cuda" and {has_gpu}:
        answer["device"] = "NVIDIA H100"
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def stub(tmp_path):
    def write(has_gpu):
        path = tmp_path / "python"
        path.write_text(STUB.format(python=sys.executable, has_gpu=has_gpu))
        path.chmod(0o755)
        return str(path)

    return write


@pytest.mark.parametrize(("backend", "device"), [("cpu", "cpu"), ("gpu", "cuda"), ("tpu", "cpu")])
def test_pytorch_uses_the_device_of_jax(backend, device, stub, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    with TorchSide(stub(has_gpu=True)) as torch:
        assert torch.device == device
        assert torch.versions.get("device") == ("NVIDIA H100" if device == "cuda" else None)
        ways = torch_ways(torch, Path("unused"), 0.1)
        assert any("one process per core" in way for way in ways) == (device == "cpu")


def check_refusal(python):
    with pytest.raises(ValueError, match="JAX runs on a GPU") as caught:
        TorchSide(python)
    message = str(caught.value)
    assert f"but {python} has PyTorch 2." in message
    assert "built for CUDA with --torch-python, or run both on the CPU" in message
    assert "\n" not in message


def test_a_pytorch_without_a_gpu_is_refused(stub, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    check_refusal(stub(has_gpu=False))


def test_a_cpu_build_of_pytorch_is_refused(monkeypatch):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("PyTorch has a GPU here")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    check_refusal(sys.executable)
