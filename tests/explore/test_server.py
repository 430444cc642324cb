"""Whom the server answers, which files it serves, and how it is started and ended."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

import jcnn
from jcnn.cli import main
from jcnn.explore.choice import Choice
from jcnn.explore.subject import load_subject
from tests.explore.client import answer, fetched, parts, send, socket_of


def test_the_page_and_its_files_are_served_with_a_strict_policy(explorer):
    status, text, headers = fetched(explorer)
    assert status == 200
    assert "page/explore.js" in text
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert headers["Referrer-Policy"] == "no-referrer"
    for name in ("explore.js", "network.js", "charts.js", "maps.js", "explore.css",
                 "vendor/preact.js", "vendor/hooks.js", "vendor/htm.js", "vendor/uplot.js",
                 "vendor/uplot.css"):  # fmt: skip
        assert fetched(f"{explorer}page/{name}")[0] == 200, name
    assert fetched(f"{explorer}page/missing.js")[0] == 404
    assert fetched(f"{explorer}report")[0] == 404  # no study was given


@pytest.mark.parametrize(
    "path",
    ["..%2Fserver.py", "../server.py", "%2e%2e/server.py", "vendor", "%00", "a" * 5000],
    ids=lambda path: path[:20],
)
def test_files_outside_the_page_folder_are_not_served(explorer, path):
    assert fetched(f"{explorer}page/{path}")[0] == 404


@pytest.mark.parametrize("wrong", ["", "x", "%00", "ümlaut"])
def test_a_wrong_token_gets_404(explorer, wrong):
    root, token = parts(explorer)
    for path in ("", "page/explore.js", "report"):
        quoted = urllib.parse.quote(f"{token[:-1]}{wrong}")
        assert fetched(f"{root}/{quoted}/{path}")[0] == 404
    elsewhere = f"{root}/{urllib.parse.quote(wrong or 'none')}/"
    with pytest.raises(InvalidStatus) as refused, socket_of(elsewhere):
        pass
    assert refused.value.response.status_code in (403, 404)
    assert fetched(root + "/")[0] == 404


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "0.0.0.0", ""])
def test_another_host_is_refused(explorer, host):
    status, text, _ = fetched(explorer, Host=host)
    assert status == 400
    assert "explore.js" not in text


def test_a_page_of_another_origin_may_not_connect(explorer):
    for origin in ("http://example.com", "null", "https://127.0.0.1"):
        with pytest.raises(InvalidStatus), socket_of(explorer, origin=origin):
            pass


def test_a_port_that_is_taken_is_a_one_line_error(explorer):
    port = explorer.split(":")[2].split("/")[0]
    for taken in (port, "99999"):
        done = subprocess.run(
            [sys.executable, "-m", "jcnn", "explore", "--no-browser", "--port", taken],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1
        assert f"--port {taken}" in done.stderr


@pytest.mark.slow
def test_ctrl_c_ends_the_server_at_once(tmp_path):
    # If a thread of XLA ends the process, faulthandler says where.
    command = [sys.executable, "-X", "faulthandler", "-m", "jcnn", "explore", "--no-browser",
               "--json"]  # fmt: skip
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path) as process,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(process.kill)  # if it has not ended by then
        page = stack.enter_context(socket_of(json.loads(process.stdout.readline())["address"]))
        answer(page, "welcome")
        for side in "ab":  # slow to compile; the server does not wait for it
            send(page, do="show", side=side, choice={"depth": 40, "width": 32})
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "jcnn: interrupted\n"


def test_the_page_is_served_through_a_symbolic_link(tmp_path):
    (tmp_path / "link").symlink_to(Path(jcnn.__file__).parent.parent)
    code = "from jcnn.explore.server import _PAGE; print(_PAGE == _PAGE.resolve())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "link")},
    )  # fmt: skip
    assert done.stdout.strip() == "True"


def test_data_other_than_images_is_an_error(capsys, tmp_path):
    assert main(["explore", "--data", "digits-rotated", "--no-browser"]) == 2
    assert "does not consist of images with classes" in capsys.readouterr().err
    assert main(["explore", str(tmp_path / "nowhere"), "--no-browser"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_study_gives_its_winner(study_directory):
    subject = load_subject(None, study_directory)
    # A rate beyond what the page's slider has: its end is taken.
    assert subject.start == Choice(activation="tanh", pooling="l2", learning_rate=1e-5)
    assert subject.directory == study_directory


@pytest.mark.slow
def test_a_study_gives_its_report(served, study_directory):
    with served(study_directory) as address:  # without a report of its own
        status, page, headers = fetched(f"{address}report")
        assert (status, "tanh" in page) == (200, True)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        with socket_of(address) as connection:
            assert answer(connection, "welcome")["report"] is True
    main(["report", str(study_directory), "--no-pictures", "--quiet"])
    kept = study_directory / "report.html"
    kept.write_text(kept.read_text().replace("</body>", "<!-- kept --></body>"))
    with served(study_directory) as address:
        assert "<!-- kept -->" in fetched(f"{address}report")[1]


def test_the_address_without_its_last_slash_is_redirected(explorer):
    assert "page/explore.js" in fetched(explorer.rstrip("/"))[1]
    root, token = parts(explorer)
    assert fetched(f"{root}/{token[:-1]}")[0] == 404
