"""The page in a real browser: sliders, training, stopping, comparing, and who is refused."""

import re
import time

import pytest

from jcnn.cli import main
from tests.browser import NEEDS_A_BROWSER, PATIENCE, beyond_the_edge
from tests.slow import short_first

pytestmark = NEEDS_A_BROWSER


@pytest.fixture
def page(opened, explorer):
    page, messages, _ = opened(explorer)
    settled(page)
    yield page
    assert messages == []


def settled(page, side="a"):
    """Wait until the latest choice of a network is answered and the prediction is drawn."""
    page.wait_for_selector(f"#network-{side} .verdict.good, #network-{side} .verdict.bad")
    page.wait_for_selector(f"#network-{side} .took:not(:has-text('…'))")


def choose(page, name, value, side="a"):
    page.select_option(f"#network-{side} select[name={name}]", value)
    settled(page, side)


def slide(page, name, value, side="a"):
    page.locator(f"#network-{side} input[name={name}]").fill(str(value))
    settled(page, side)


def verdict(page, side="a"):
    return page.locator(f"#network-{side} .verdict").inner_text()


@pytest.mark.parametrize("width", short_first([390, 768, 1440]))
@pytest.mark.parametrize("scheme", short_first(["light", "dark"]))
def test_the_page_logs_nothing_loads_nothing_else_and_fits(opened, explorer, width, scheme):
    page, messages, requests = opened(explorer, width, color_scheme=scheme)
    settled(page)
    page.click("text=Compare two")
    settled(page, "b")
    assert messages == []
    assert [url for url in requests if not url.startswith((explorer, "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert beyond_the_edge(page, ".chart") == []


@pytest.mark.slow
def test_sliders_change_the_network(page):
    slide(page, "depth", 14)
    assert "vanishing" in verdict(page)
    assert page.locator("#network-a .layer").count() == 14
    slide(page, "depth", 3)
    assert page.locator("#network-a .layer").count() == 3
    choose(page, "activation", "relu")
    choose(page, "kernel_init", "he_normal")
    assert "healthy" in verdict(page)
    slide(page, "depth", 14)
    slide(page, "gain", 1)  # its slider is logarithmic: 10 times the weights
    assert "exploding" in verdict(page)
    assert page.locator("#network-a input[name=gain] >> xpath=..").inner_text().endswith("10")


@pytest.mark.slow
def test_measured_and_predicted_lines_are_drawn(opened, explorer):
    """The chart has pixels in the blue of the measured line and the orange of the prediction."""
    count = """(name) => {
      const wanted = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      const [r, g, b] = [1, 3, 5].map((i) => parseInt(wanted.slice(i, i + 2), 16));
      const canvas = document.querySelector("#network-a .chart canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let pixels = 0;
      for (let i = 0; i < data.length; i += 4)
        if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30
            && data[i + 3] > 200) pixels += 1;
      return pixels;
    }"""
    page, _, _ = opened(explorer)  # reading the canvas makes the browser log a warning
    settled(page)
    until(lambda: page.evaluate(count, "--blue") > 100)
    until(lambda: page.evaluate(count, "--orange") > 50)


def trained(page, side):
    """Wait until validation is well above chance."""
    until(lambda: accuracy(page, side) > 80)


def accuracy(page, side):
    """Return the validation accuracy shown, in percent, or 0 if there is none yet."""
    match = re.search(r"validation accuracy ([0-9.]+)%", page.inner_text(f"#network-{side} .state"))
    return float(match[1]) if match else 0.0


def until(condition):
    """Poll for a condition; the page's security policy forbids scripts that wait for it."""
    end = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_training_is_shown_and_can_be_stopped(page):
    slide(page, "depth", 2)
    choose(page, "activation", "relu")
    choose(page, "kernel_init", "he_normal")
    page.click("#network-a button.go")
    trained(page, "a")
    page.wait_for_selector("#network-a .verdict:has-text('With the current weights')")
    assert page.locator("#network-a .charts").count() == 2
    page.click("#network-a >> text=Stop")
    page.wait_for_selector("#network-a .state:has-text('stopped')")
    state = page.locator("#network-a .state").inner_text()
    page.wait_for_timeout(600)
    assert page.locator("#network-a .state").inner_text() == state
    # Another image keeps the trained network; another depth makes a new one.
    shares = page.locator("#network-a .shares").inner_text()
    page.locator("#network-a .example").nth(5).click()
    until(lambda: page.locator("#network-a .shares").inner_text() != shares)
    assert "With the current weights" in verdict(page)
    slide(page, "depth", 3)
    assert "At initialization" in verdict(page)
    assert "not trained yet" in page.locator("#network-a .state").inner_text()


@pytest.mark.slow
def test_changing_a_control_during_training_discards_the_training(page):
    slide(page, "depth", 2)
    page.click("#network-a button.go")
    page.wait_for_selector("#network-a .state:has-text('step')")
    slide(page, "depth", 4)
    page.wait_for_timeout(1000)
    assert "not trained yet" in page.locator("#network-a .state").inner_text()
    assert "At initialization" in verdict(page)
    assert page.locator("#network-a .charts").count() == 1


@pytest.mark.slow
def test_training_before_the_answer_still_shows_the_network(page):
    page.locator("#network-a input[name=depth]").fill("6")
    page.click("#network-a button.go")
    settled(page)
    until(lambda: page.locator("#network-a .layer").count() == 6)
    assert "--depth 6" in page.locator("#network-a pre").text_content()
    page.click("#network-a >> text=Stop")
    page.wait_for_selector("#network-a .state:has-text('stopped')")


@pytest.mark.slow
def test_two_networks_are_compared_side_by_side(page):
    slide(page, "depth", 12)
    page.click("text=Compare two")
    settled(page, "b")
    assert verdict(page, "b") == verdict(page, "a")  # it starts as a copy
    choose(page, "activation", "tanh", "b")
    assert "vanishing" in verdict(page, "a")
    assert "healthy" in verdict(page, "b")
    left, right = (page.locator(f"#network-{side}").bounding_box() for side in "ab")
    assert left["x"] + left["width"] <= right["x"]
    assert abs(left["y"] - right["y"]) < 1
    slide(page, "depth", 3, "b")
    page.click("#network-b button.go")
    trained(page, "b")
    assert "not trained yet" in page.locator("#network-a .state").inner_text()
    page.click("text=One network")
    assert page.locator("#network-b").count() == 0


@pytest.mark.slow
def test_an_image_can_be_chosen(page):
    page.locator("#network-a .example").nth(4).click()
    settled(page)
    assert page.locator("#network-a .example").nth(4).get_attribute("aria-pressed") == "true"
    label = page.locator("#network-a .example").nth(4).get_attribute("aria-label").split()[-1]
    assert page.locator("#network-a .shares .right .name").inner_text() == label


@pytest.mark.slow
def test_another_seed_draws_other_weights(page):
    before = page.locator("#network-a .layer .range").first.inner_text()
    page.click("#network-a >> text=Draw again")
    settled(page)
    assert page.locator("#network-a .layer .range").first.inner_text() != before


@pytest.mark.slow
def test_every_control_has_a_name_and_works_with_the_keyboard(page):
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("select, input, button, canvas[tabindex]")].filter(
             (e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label"))
           ).map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    slider = page.locator("#network-a input[name=depth]")
    slider.focus()
    value = int(slider.input_value())
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.locator("#network-a .layer").count() == value + 1


@pytest.mark.slow
def test_a_wrong_token_or_host_is_refused(opened, explorer):
    root, token, _ = explorer.rsplit("/", 2)
    page, _, _ = opened(f"{root}/{token[:-2]}xx/")
    assert "jcnn explore" not in page.content()
    assert "Not Found" in page.content()
    page, _, _ = opened(explorer.replace("127.0.0.1", "elsewhere.example"))
    assert "jcnn explore" not in page.content()
    assert "Invalid host" in page.content()


@pytest.mark.slow
def test_the_report_of_a_study_works(opened, served, study_directory):
    main(["report", str(study_directory), "--no-pictures", "--quiet"])
    with served(study_directory) as address:
        page, messages, _ = opened(address)
        settled(page)
        with page.expect_popup() as popup:
            page.click("text=The study's report")
        report = popup.value
        report.on("console", lambda message: messages.append(message.text))
        report.reload()
        report.locator("table.sortable th button", has_text="activation").first.click()
        sorted_by = report.locator("th[aria-sort=ascending]").first.inner_text()
        assert sorted_by.strip().startswith("activation")
        assert messages == []  # and its security policy blocks nothing
