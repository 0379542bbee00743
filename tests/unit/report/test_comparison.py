"""The page of the comparison as a reader meets it, in a browser where one is installed."""

import re

import numpy as np
import pytest

from methmix.scores import Scores

pytestmark = pytest.mark.slow


@pytest.fixture
def open_page(browser, page_file):
    """Open the page offline; what the console says and what is asked of the network must be nothing."""
    context, heard = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True), []
    context.set_default_timeout(300_000)

    def open_it(**emulated):
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url) if request.url[:5] not in "file: data:" else None)
        page.emulate_media(**emulated)
        page.goto(page_file.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_it
    context.close()
    assert heard == []


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_page_is_small_and_asks_for_nothing(page_file):
    text = page_file.read_text()
    assert len(text.encode()) < 5e6
    assert not re.search(r"""(?:src|href)=["']https?:""", text)
    assert text.count('id="data"') == 1 and "some &lt;tissues&gt;" in text


def test_the_first_screen_has_the_table_and_the_figure(open_page):
    page = open_page()
    for element in ("#first", "#chart-first_mae svg.marks", "#chart-first_missed_per_mixture svg.marks"):
        box = page.locator(element).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, element
    assert "Not known for other donors." in page.inner_text(".answers")
    assert "em" in page.locator("#chart-first_mae svg.marks text").all_text_contents()


def test_filters_change_what_is_shown(open_page, results):
    page = open_page()
    assert page.inner_text("#count") == "80 of 80 mixtures"
    page.select_option("[name=depth]", "100")
    page.select_option("[name=tissue]", "Tissue B")
    assert page.inner_text("#count") == "40 of 80 mixtures"
    assert page.locator("#mixture option").count() == 40
    shown = {row[0]: row[1:] for row in page.evaluate(
        "[...document.querySelectorAll('#selection tbody tr')].map((row) => [...row.cells].map((c) => c.textContent))"
    )}  # fmt: skip
    for result in results:
        scores = Scores(result.true[40:, [1]], result.predicted[40:, [1]])
        mae, *rates = (scores.value(name) for name in ("mae", "spurious_per_mixture", "missed_per_mixture"))
        assert float(shown[result.arm][0].removesuffix(" %")) == pytest.approx(100 * mae, abs=0.01)
        assert shown[result.arm][1:] == [f"{rate:.2f}" for rate in rates]
    assert page.evaluate("[...new Set(VIEWS.miami.data('bars').map((one) => one.tissue))]") == ["Tissue B"]
    page.select_option("[name=arm]", "original")
    assert page.evaluate("VIEWS.scatter.data('points').every((one) => one.arm === 'original')")
    page.uncheck("[name=arms][value=em]")
    assert page.evaluate("[...new Set(VIEWS.depth_error.data('lines').map((one) => one.arm))]") == [
        "original",
        "sparse",
    ]
    page.click("#filters [type=reset]")
    page.wait_for_function("document.getElementById('count').textContent === '80 of 80 mixtures'")


def test_a_click_on_a_bar_works_its_mixture_out(open_page, results):
    page = open_page()
    page.select_option("[name=tissue]", "Tissue C")
    plot = page.locator("#chart-miami svg.marks")
    at = {"x": 0.4 * plot.bounding_box()["width"], "y": 20}
    plot.click(position=at)
    mixture = page.inner_text("#chosen").split(":")[0]
    row = int(mixture.removeprefix("Mixture_"))
    assert row > 0 and page.input_value("#mixture") == str(row)
    sparse, largest = results[1], int(np.argmax(results[1].true[row]))
    cells = page.locator("#worked tbody tr").first.locator("td").all_inner_texts()
    assert cells[:2] == [sparse.tissues[largest], sparse.donors[row, largest]]
    heading = page.locator("#worked thead th").all_inner_texts()
    value, interval = cells[heading.index("sparse")].split("\n")
    ends = [100 * values[row, largest] for values in (sparse.low, sparse.high)]
    assert float(value.removesuffix(" %")) == pytest.approx(100 * sparse.predicted[row, largest], abs=0.06)
    assert [float(end.removesuffix(" %")) for end in interval.split(" to ")] == pytest.approx(ends, abs=0.06)
    plot.hover(position=at)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert mixture in page.inner_text("#vg-tooltip-element")


def test_the_keyboard_reaches_everything(open_page):
    page = open_page()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"theme", "tissue", "depth", "number", "arm", "arms", "chart-miami", "mixture"} <= set(reached)
    page.focus("#chart-miami")
    page.keyboard.press("Home")
    first = page.inner_text("#chosen")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("[bar, bars[bar].m === chosen]") == [1, True]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#chosen") == first
    page.keyboard.press("End")
    assert page.evaluate("bar === bars.length - 1")


def test_light_and_dark(open_page):
    page = open_page(color_scheme="dark")
    assert background(page) == "rgb(25, 25, 25)"
    page.click("#theme")
    assert background(page) == "rgb(255, 255, 255)"
    page.reload()
    assert background(page) == "rgb(255, 255, 255)"
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert background(page) == "rgb(255, 255, 255)"


def test_a_narrow_screen_and_paper_cut_nothing(open_page):
    page = open_page()
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == 420
    # The width of A4 between margins of 12 mm.
    page.set_viewport_size({"width": 703, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 703
    wide = "[...document.querySelectorAll('table')].filter((table) => table.getBoundingClientRect().right > 704).length"
    assert page.evaluate(wide) == 0
    assert not page.is_visible("#filters") and page.is_visible("#chart-miami svg.marks")
