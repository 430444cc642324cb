"""The page in a real browser: no error, no request, nothing beyond the screen, sorting, filters."""

import pytest

from jcnn import report
from tests.browser import NEEDS_A_BROWSER, beyond_the_edge
from tests.slow import short_first

pytestmark = NEEDS_A_BROWSER


@pytest.fixture(scope="module")
def whole(result, inspection, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write_report(result, path, inspection)
    return path


@pytest.mark.parametrize("width", short_first([390, 768, 1440]))
@pytest.mark.parametrize("scheme", short_first(["light", "dark"]))
def test_nothing_is_wrong_or_fetched_or_overflows(opened, whole, width, scheme):
    page, said, asked = opened(whole, width, color_scheme=scheme)
    page.mouse.wheel(0, 5000)
    assert said == []
    # What is in the file itself comes as data: addresses.
    assert [url for url in asked if not url.startswith("data:")] == [whole.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert beyond_the_edge(page, "pre, svg") == []


@pytest.mark.slow
def test_a_page_with_hostile_and_long_names(opened, made, tmp_path):
    name = "<script>document.title='taken'</script>"
    found = made({name: [name, "b" * 200], "pooling": ["<img src=x onerror=alert(1)>", "avg"]})
    report.write_report(found, tmp_path / "r.html")
    for width in (390, 1440):
        page, said, asked = opened(tmp_path / "r.html", width)
        assert said == []
        assert len([url for url in asked if not url.startswith("data:")]) == 1
        assert page.title() != "taken"
        assert page.locator("th button", has_text="<script>").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert beyond_the_edge(page, "pre, svg") == []


def column(page, index):
    return page.eval_on_selector_all(
        "table.sortable tbody tr",
        f"rows => rows.filter(r => !r.hidden).map(r => r.cells[{index}].textContent)",
    )


def head(page, text):
    return page.locator("table.sortable th button", has_text=text).first


@pytest.mark.slow
def test_the_table_sorts_both_ways(opened, whole, result):
    page, _, _ = opened(whole)
    shown = [f"{100 * row.mean:.2f}%" for row in result.ranking()]
    assert column(page, 1) == shown
    head(page, "test accuracy").click()
    rising = [float(cell.rstrip("%")) for cell in column(page, 1)]
    assert rising == sorted(rising)
    head(page, "test accuracy").click()
    falling = [float(cell.rstrip("%")) for cell in column(page, 1)]
    assert falling == sorted(falling, reverse=True)
    head(page, "activation").click()
    assert column(page, 2) == sorted(column(page, 2))
    assert page.locator("th[aria-sort=ascending]").inner_text().strip().startswith("activation")


@pytest.mark.slow
def test_the_table_filters_by_factor(opened, whole):
    page, _, _ = opened(whole)
    page.select_option("select >> nth=0", "tanh")
    assert set(column(page, 2)) == {"tanh"}
    assert page.locator(".filters output").inner_text() == "2 of 4 shown"
    page.select_option("select >> nth=1", "batch")
    assert column(page, 2) == ["tanh"]
    page.select_option("select >> nth=0", "")
    page.select_option("select >> nth=1", "")
    assert len(column(page, 1)) == 4


@pytest.mark.slow
def test_the_command_is_copied(opened, made, tmp_path):
    command = "jcnn compare --data digits --activation 'my relu'"
    report.write_report(made({"width": ["8"]}, environment={"command": command}),
                        tmp_path / "r.html")  # fmt: skip
    page, _, _ = opened(tmp_path / "r.html", permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy")
    page.wait_for_function("document.getElementById('copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == command


@pytest.mark.slow
def test_a_large_study_opens(opened, made, tmp_path):
    factors = {f"factor{i}": [f"level{j}" for j in range(10)] for i in range(2)}
    path = tmp_path / "r.html"
    report.write_report(made(factors, seeds=10, gain=0.003), path)
    page, said, _ = opened(path)
    assert said == []
    assert len(column(page, 0)) == 100
