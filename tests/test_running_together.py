"""What one of several test processes runs."""

import pytest

from tests.together import run_together

RAN = []


@pytest.mark.parametrize(
    ("nodeid", "together"),
    [
        ("tests/study/test_study.py::test_a[x::y]", "tests/study/test_study.py"),
        ("tests/report/test_figures.py::test_a", "tests/report"),
        ("tests/explore/test_server.py::test_a[1]", "tests/explore"),
        ("tests/test_house.py::test_docstring_examples_run[jcnn.report.html]",
         "tests/test_house.py::report"),
        ("tests/test_house.py::test_docstring_examples_run[jcnn.losses]",
         "tests/test_house.py::losses"),
    ],
)  # fmt: skip
def test_files_folders_and_packages_stay_together(nodeid, together):
    assert run_together(nodeid) == together


def test_the_first_of_a_file():
    RAN.append("first")


def test_the_next_runs_in_the_same_process(request):
    """Unless it was selected alone."""
    chosen = {item.name for item in request.session.items}
    assert ("first" in RAN) == ("test_the_first_of_a_file" in chosen)
