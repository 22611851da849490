"""The page in a browser: what is clicked, dragged and typed shows what SQL says."""

import csv
import io
from urllib.parse import quote

import pytest

from tests.report.conftest import FAILED, NAMES
from zoo_eval.files.names import printable

pytestmark = pytest.mark.browser
ROWS = "return [...document.querySelectorAll('[data-table=leaderboard] tr[data-model]')].map(r => r.dataset.model)"
PICKED = (
    "return Object.keys(zooReport.plots[arguments[0]].handle.view.signal('picked') ?? {}).sort()"
)
OUTSIDE = """
const width = document.documentElement.clientWidth;
return [...document.body.querySelectorAll("*")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && !one.closest(".scroll, .unseen, .skip") && (box.right > width + 1 || box.left < -1);
}).map((one) => one.outerHTML.slice(0, 120));
"""
# Where a mark of the first figure is on its canvas, and whose it is.
MARK = """
const { view } = zooReport.plots[0].handle;
const row = view.data("points")[3];
const [[left, top], padding] = [view.origin(), view.padding()];
const x = padding.left + left + view.scale("x")(row.top1);
return [x, padding.top + top + view.scale("y")(row.score), row.model];
"""


@pytest.fixture
def opened(browser, zoo):
    """The page, just opened, at 1280 pixels, with every figure drawn."""
    browser.get_log("browser")
    return open_at(browser, zoo)


def open_at(browser, zoo, address="", *, width=1280, theme="light"):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get("about:blank")
    browser.get(zoo.page.as_uri() + address)
    browser.execute_async_script("const done = arguments[0]; zooReport.drawn().then(() => done())")
    return browser


def models(zoo, condition="TRUE", order="top1 DESC NULLS LAST, model"):
    rows = zoo.connection.rows(f"SELECT model FROM leaderboard WHERE {condition} ORDER BY {order}")
    return [row["model"] for row in rows]


def find(browser, selector):
    return browser.find_element("css selector", selector)


def header(browser, label):
    return browser.find_element(
        "xpath", f"//*[@data-table='leaderboard']//thead//button[.='{label}']"
    )


def type_in(browser, selector, text):
    element = find(browser, selector)
    element.send_keys(text)
    return element


def plot(browser, number):
    place = browser.find_elements("css selector", ".drawing")[number]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", place)
    return place


def drag(browser, number, start, end):
    """Draws a brush over a figure, from and to offsets of its middle."""
    from selenium.webdriver import ActionChains

    canvas = plot(browser, number).find_element("css selector", "canvas")
    move = ActionChains(browser, duration=50).move_to_element_with_offset(canvas, *start)
    move.click_and_hold().move_by_offset(end[0] - start[0], end[1] - start[1]).release().perform()
    settle(browser)


def settle(browser):
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => setTimeout(() => "
        "zooReport.repainted().then(() => zooReport.shown()).then(() => setTimeout(done, 50)), 20))"
    )


def keys(browser, *pressed):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*pressed).perform()


def test_it_opens_with_the_leaderboard_of_the_view_and_says_nothing_on_the_console(opened, zoo):
    assert opened.execute_script(ROWS) == models(zoo)
    assert opened.get_log("browser") == []


def test_a_header_sorts_down_then_up_and_what_is_missing_stays_last(opened, zoo):
    for label, column in (
        ("top-1", "top1"),
        ("tolerance (l2)", "tolerance"),
        ("parameters", "n_params"),
    ):
        for direction in ("DESC", "ASC"):
            wanted = f"ORDER BY {column} {direction} NULLS LAST, top1 DESC NULLS LAST, model"
            if column == "top1" and direction == "DESC":
                header(opened, label).click()  # it is the order at first: now it rises
            header(opened, label).click()
            rows = zoo.connection.rows(f"SELECT model FROM leaderboard {wanted}")
            assert opened.execute_script(ROWS) == [row["model"] for row in rows]
            place = "ascending" if direction == "ASC" else "descending"
            assert (
                header(opened, label).find_element("xpath", "..").get_attribute("aria-sort")
                == place
            )


def test_words_ranges_and_choices_filter_as_sql_does(opened, zoo):
    type_in(opened, "[data-table=leaderboard] input[type=search]", "GENERATED_000")
    assert opened.execute_script(ROWS) == models(zoo, "model ILIKE '%generated_000%'")
    find(opened, ".tools .clear").click()
    assert opened.execute_script(ROWS) == models(zoo)
    find(opened, ".tools details:first-of-type summary").click()
    type_in(opened, "[aria-label='top-1 from']", "0.4")
    type_in(opened, "[aria-label='top-1 to']", "0.75")
    held = models(zoo, "top1 BETWEEN 0.4 AND 0.75")
    assert 0 < len(held) < len(models(zoo))
    assert opened.execute_script(ROWS) == held
    find(opened, ".choices select option[value='family3']").click()
    held = models(zoo, "top1 BETWEEN 0.4 AND 0.75 AND family = 'family3'")
    assert opened.execute_script(ROWS) == held
    assert find(opened, ".count").text == f"{len(held)} of 17 rows"
    settle(opened)
    assert opened.execute_script(PICKED, 0) == sorted(held)


def test_the_address_keeps_what_the_table_shows(opened, zoo, browser):
    header(opened, "parameters").click()
    type_in(opened, "[data-table=leaderboard] input[type=search]", "generated")
    shown = opened.execute_script(ROWS)
    assert shown == models(zoo, "model LIKE '%generated%'", "n_params DESC")
    address = opened.execute_script("return location.hash")
    again = open_at(browser, zoo, address)
    assert again.execute_script(ROWS) == shown


def test_columns_can_be_chosen(opened):
    labels = "return [...document.querySelectorAll('[data-table=leaderboard] thead button')].map(b => b.textContent)"
    before = opened.execute_script(labels)
    assert "top-5" not in before
    find(opened, ".tools details:nth-of-type(2) summary").click()
    find(opened, ".choices input[value=top5]").click()
    find(opened, ".choices input[value=family]").click()
    after = opened.execute_script(labels)
    assert set(after) ^ set(before) == {"top-5", "family"}


def test_what_is_shown_can_be_had_as_comma_separated_values(opened, zoo):
    text = opened.execute_script("return zooReport.page.leaderboard.csv()")
    rows = list(csv.DictReader(io.StringIO(text)))
    wanted = zoo.connection.rows(
        "SELECT model, top1 FROM leaderboard ORDER BY top1 DESC NULLS LAST, model"
    )
    assert [row["model"] for row in rows] == [row["model"] for row in wanted]
    shown = [float(row["top-1"]) for row in rows if row["top-1"]]
    known = [row["top1"] for row in wanted if row["top1"] is not None]
    assert shown == pytest.approx(known, rel=1e-6)


def test_a_brush_filters_the_table_and_every_other_figure_to_what_is_inside(opened, zoo):
    drag(opened, 0, (-150, -90), (150, 60))
    ends = opened.execute_script("return zooReport.plots[0].handle.view.signal('brush')")
    figure = opened.execute_script("return zooReport.plots[0].place.dataset.figure")
    assert figure == "accuracy-vs-neural-it-ridge"
    (low, high), (least, most) = sorted(ends["top1"]), sorted(ends["score"])
    rows = zoo.connection.rows(
        "SELECT model FROM accuracy_vs_neural WHERE recording = 'it' AND readout = 'ridge' "
        f"AND top1 BETWEEN {low} AND {high} AND score BETWEEN {least} AND {most} ORDER BY top1 DESC"
    )
    inside = [row["model"] for row in rows]
    assert 0 < len(inside) < 12
    assert opened.execute_script(ROWS) == inside
    for number in range(1, len(opened.find_elements("css selector", ".drawing"))):
        assert opened.execute_script(PICKED, number) == sorted(inside)
    keys(opened, "\ue00c")
    settle(opened)
    assert opened.execute_script(ROWS) == models(zoo)
    assert opened.execute_script(PICKED, 1) == []
    assert (
        opened.execute_script("return Object.keys(zooReport.plots[0].handle.view.signal('brush'))")
        == []
    )


def test_figures_out_of_sight_are_repainted_when_they_come_into_sight(opened, zoo):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.wait import WebDriverWait

    last = len(opened.find_elements("css selector", ".drawing")) - 1
    canvas = plot(opened, 0).find_element("css selector", "canvas")
    in_sight = "return zooReport.plots.map(p => p.isInSight)"
    WebDriverWait(opened, 60).until(lambda _: opened.execute_script(in_sight)[0])
    assert not opened.execute_script(in_sight)[last]
    move = ActionChains(opened, duration=50).move_to_element_with_offset(canvas, -150, -90)
    move.click_and_hold().move_by_offset(300, 150).release().perform()
    inside = "return [...zooReport.page.choice.brushed ?? []].sort()"
    WebDriverWait(opened, 60).until(lambda _: opened.execute_script(inside))
    opened.execute_async_script(
        "const done = arguments[0]; zooReport.repainted().then(() => done())"
    )
    assert opened.execute_script(PICKED, last) == []
    plot(opened, last)
    WebDriverWait(opened, 60).until(
        lambda _: opened.execute_script(PICKED, last) == opened.execute_script(inside)
    )


def test_one_brush_counts_at_a_time_and_clear_takes_it_away(opened, zoo):
    brushes = "return zooReport.plots.slice(0, 2).map(p => Object.keys(p.handle.view.signal('brush')).length)"
    drag(opened, 0, (-150, -90), (150, 60))
    assert opened.execute_script(brushes) == [2, 0]
    drag(opened, 1, (-150, -90), (150, 60))
    assert opened.execute_script(brushes) == [0, 2]
    assert opened.execute_script(ROWS) != models(zoo)
    find(opened, ".tools .clear").click()
    settle(opened)
    assert opened.execute_script(brushes) == [0, 0]
    assert opened.execute_script(ROWS) == models(zoo)


def test_picked_rows_are_shown_in_figures_until_cleared(opened, zoo):
    boxes = opened.find_elements("css selector", "[data-table=leaderboard] td.pick input")
    for box in boxes[:2]:
        box.click()
    settle(opened)
    assert opened.execute_script(PICKED, 0) == sorted(models(zoo)[:2])
    assert "2 picked" in find(opened, ".count").text
    find(opened, ".tools .clear").click()
    settle(opened)
    assert opened.execute_script(PICKED, 0) == []


def test_a_models_card_has_its_numbers_for_pointer_and_keyboard(opened, zoo):
    from selenium.webdriver import ActionChains

    card = find(opened, "#card")
    assert not card.is_displayed()
    ActionChains(opened).move_to_element(find(opened, "[data-table=leaderboard] tbody a")).perform()
    (best,) = zoo.connection.rows(
        "SELECT model, top1, n_params FROM leaderboard ORDER BY top1 DESC, model LIMIT 1"
    )
    assert card.is_displayed()
    assert card.text.startswith(best["model"])
    assert f"{best['top1']:.3f}" in card.text
    keys(opened, "\ue00c")
    assert not card.is_displayed()
    opened.execute_script("arguments[0].focus()", plot(opened, 0))
    keys(opened, "\ue014")
    rows = zoo.connection.rows(
        "SELECT l.model, l.top1 FROM leaderboard AS l JOIN accuracy_vs_neural AS n USING (model) "
        "WHERE recording = 'it' AND readout = 'ridge' ORDER BY l.top1, l.model DESC"
    )
    assert card.text.startswith(rows[0]["model"])
    assert f"{rows[0]['top1']:.3f}" in find(opened, "#said").get_attribute("textContent")
    keys(opened, "\ue014", "\ue007")
    assert find(opened, "#model h2").text == rows[1]["model"]


def test_a_mark_under_the_pointer_shows_its_models_card(opened, zoo):
    from selenium.webdriver import ActionChains

    canvas = plot(opened, 0).find_element("css selector", "canvas")
    x, y, model = opened.execute_script(MARK)
    size = canvas.size
    move = ActionChains(opened).move_to_element_with_offset(
        canvas, x - size["width"] / 2 - 3, y - size["height"] / 2
    )
    move.move_by_offset(3, 0).perform()
    assert find(opened, "#card").text.startswith(model)
    ActionChains(opened).click().perform()
    assert find(opened, "#model h2").text == model


def test_a_finger_on_a_mark_shows_the_card_with_a_link(opened):
    canvas = plot(opened, 0).find_element("css selector", "canvas")
    x, y, model = opened.execute_script(MARK)
    box = opened.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top]", canvas
    )
    opened.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    point = {"x": box[0] + x, "y": box[1] + y}
    opened.execute_cdp_cmd(
        "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]}
    )
    opened.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(opened)
    opened.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert find(opened, "#card").text.startswith(model)
    find(opened, "#card a").click()
    assert find(opened, "#model h2").text == model


def test_a_models_page_has_all_its_numbers(opened, zoo, browser):
    model = "timm/generated_0004.a4_in1k"
    open_at(browser, zoo, "#model/" + quote(model, safe=""))
    browser.execute_async_script(
        "const done = arguments[0]; const poll = () => document.querySelector('#model [data-table=provenance]') "
        "? done() : setTimeout(poll, 20); poll()"
    )
    assert find(browser, "#model h2").text == model
    assert not find(browser, "#overview").is_displayed()
    cells = "return [...document.querySelectorAll(`#model [data-table=${arguments[0]}] tbody tr`)].map(r => [...r.cells].map(c => c.textContent))"
    scores = zoo.connection.rows(
        f"SELECT recording, layer, score FROM best_layer WHERE model = '{model}' ORDER BY recording"
    )
    for shown, row in zip(browser.execute_script(cells, "scores"), scores, strict=True):
        assert shown[0] == row["recording"]
        assert f"{row['score']:.3f}" in shown
        assert row["layer"] in shown
    folds = zoo.connection.rows(
        f"SELECT recording, layer, avg(score) AS score FROM neural_folds WHERE model = '{model}' GROUP BY ALL ORDER BY recording, layer"
    )
    shown = browser.execute_script(cells, "profiles")
    assert [row[-1] for row in shown] == [f"{row['score']:.3f}" for row in folds]
    tolerances = zoo.connection.rows(
        f"SELECT tolerance FROM tolerances WHERE model = '{model}' ORDER BY norm"
    )
    for shown, row in zip(browser.execute_script(cells, "tolerances"), tolerances, strict=True):
        assert f"{row['tolerance']:.3f}" in shown
    lines = (
        "return zooReport.page.model.plots.map(p => p.handle.view.data('lines').map(r => r.score))"
    )
    assert [len(one) for one in browser.execute_script(lines)] == [4, 4]
    find(browser, "#model a").click()
    assert find(browser, "#overview").is_displayed()
    assert browser.get_log("browser") == []


def test_names_that_would_break_a_page_are_only_names(opened, zoo, browser):
    for name in (NAMES[0], printable(FAILED), "</h2><b>no such model"):
        open_at(browser, zoo, "#model/" + quote(name, safe=""))
        assert find(browser, "#model h2").text == name
    assert browser.find_elements("css selector", "#model b") == []
    assert browser.get_log("browser") == []


def test_a_script_that_somebody_slipped_in_does_not_run(opened):
    opened.execute_script(
        "const one = document.createElement('script'); one.textContent = 'window.slipped = 1'; document.body.append(one)"
    )
    assert opened.execute_script("return window.slipped") is None
    (said,) = opened.get_log("browser")
    assert "Content Security Policy" in said["message"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "#model/" + quote(NAMES[1], safe="")])
def test_axe_finds_nothing_and_nothing_reaches_over_the_window(browser, zoo, theme, address):
    from axe_core_python.selenium import Axe

    browser.get_log("browser")
    for width in (1280, 390):
        open_at(browser, zoo, address, width=width, theme=theme)
        settle(browser)
        for one in browser.find_elements("css selector", ".menu summary"):
            browser.execute_script("arguments[0].click()", one)
        assert (
            browser.execute_script("return getComputedStyle(document.documentElement).colorScheme")
            == theme
        )
        assert browser.execute_script(OUTSIDE) == []
        size = browser.execute_script(
            "const { scrollWidth, clientWidth } = document.documentElement; return [scrollWidth, clientWidth]"
        )
        assert size[0] <= size[1]
    # Its text is run by the driver, which the page's policy does not bind.
    found = Axe().run(browser)
    assert found["passes"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert browser.get_log("browser") == []


def test_the_button_changes_the_theme_of_page_and_figures(opened):
    button = find(opened, "#theme")
    assert button.text == "Dark"
    button.click()
    settle(opened)
    assert (
        opened.execute_script("return getComputedStyle(document.documentElement).colorScheme")
        == "dark"
    )
    assert opened.execute_script("return zooReport.plots[0].handle.view.signal('theme')") == "dark"
    assert button.text == "Light"


def test_printed_it_is_light_and_has_every_row(browser, zoo):
    open_at(browser, zoo, theme="dark")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert (
        browser.execute_script("return zooReport.plots.map(p => p.handle.view.signal('theme'))")[0]
        == "light"
    )
    assert browser.execute_script(ROWS) == models(zoo)
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    settle(browser)
    assert browser.execute_script("return zooReport.plots[0].handle.view.signal('theme')") == "dark"


LONG = """
const place = document.createElement("div");
document.getElementById("overview").prepend(place);
const n = 1000;
const values = { model: Array.from({ length: n }, (_, i) => "m" + i), x: Array.from({ length: n }, (_, i) => (i * 7) % n) };
const columns = [{ name: "model", label: "model", kind: "text", shown: true }, { name: "x", label: "x", kind: "count", shown: true }];
window.long = new zooReport.Table(place, { name: "long", caption: "long", columns, values, n, sort: "x" });
window.long.draw();
window.long.scroll.scrollTop = arguments[0] * window.long.scroll.scrollHeight;
"""
IN_SIGHT = """
const box = window.long.scroll.getBoundingClientRect();
return [...window.long.body.querySelectorAll("tr[data-row]")].filter((row) => {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > box.top + 40 && top < box.bottom;
}).map((row) => [+row.getAttribute("aria-rowindex"), +row.cells[1].textContent]);
"""


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_of_many_rows_those_in_sight_are_there_in_their_order(opened, share):
    opened.execute_script(LONG, share)
    settle(opened)
    seen = opened.execute_script(IN_SIGHT)
    assert len(seen) > 10
    # x is a permutation of 0 ... 999, so that the row at a place holds its place; the first is the header's.
    assert [value for _, value in seen] == [index - 2 for index, _ in seen]
    first = {0: 0, 0.5: 500, 1: 999 - len(seen)}[share]
    assert abs(seen[0][1] - first) < 10
    drawn = "return window.long.body.querySelectorAll('tr[data-row]').length"
    assert opened.execute_script(drawn) < 100
