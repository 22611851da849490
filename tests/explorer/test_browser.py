"""In a real browser: the pages, the box for SQL with its keys, a download; no message, nothing from elsewhere."""

import csv
import io
import time
from pathlib import Path

import pytest

from tests.explorer.planted import BOUNDS, NAMES, TOP1, store_at
from tests.report.conftest import browser as browser
from zoo_eval.explorer.serving import Serving

SQL = "SELECT model, top1\nFROM leaderboard ORDER BY top1"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "store"
    store_at(folder)
    one = Serving(str(folder), BOUNDS, port=0).start()
    yield one
    one.stop()


def waited(what, timeout_s: float = 300.0):
    """What a function gives, once it gives something."""
    until = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def cells(browser) -> list[list[str]]:
    rows = browser.find_elements("css selector", "#result tbody tr")
    return [[cell.text for cell in row.find_elements("tag name", "td")] for row in rows]


def ask(browser, sql: str, *end: str) -> None:
    box = browser.find_element("id", "q")
    box.clear()
    box.send_keys(sql, *end)


def test_a_visit(browser, serving, tmp_path):
    from selenium.webdriver.common.keys import Keys

    browser.get(serving.url)
    # Until there is a report, the page looks again by itself.
    waited(lambda: "The store as it was" in browser.page_source)
    waited(
        lambda: NAMES[0] in browser.find_element("tag name", "body").get_attribute("textContent")
    )
    browser.find_element("link text", "Ask in SQL").click()
    # The example in the box, by its button.
    browser.find_element("css selector", "button.run").click()
    waited(lambda: "3 rows x 5 columns" in browser.page_source)
    # An own query, by the keyboard alone; another page's text is only text.
    ask(browser, SQL, Keys.CONTROL, Keys.ENTER)
    expected = [[name, f"{top1:g}"] for name, top1 in zip(NAMES, TOP1)][::-1]
    waited(lambda: "3 rows x 2 columns" in browser.page_source)
    assert cells(browser) == expected
    assert browser.find_element("id", "q").get_attribute("value").strip() == SQL
    # The same as a file.
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    browser.find_element("css selector", "button[formaction='/sql.csv']").click()
    file = tmp_path / "result.csv"
    waited(lambda: file.exists() and file.stat().st_size)
    assert list(csv.reader(io.StringIO(Path(file).read_text())))[1:] == expected
    # A mistake, in words.
    ask(browser, "SELECT modle FROM leaderboard")
    browser.find_element("css selector", "button.run").click()
    waited(lambda: 'role="alert"' in browser.page_source)
    assert "nearest: model" in browser.find_element("css selector", "p.error").text
    # A bad request's own status is the browser's to log.
    assert [
        one for one in browser.get_log("browser") if "400 (Bad Request)" not in one["message"]
    ] == []


def test_a_link_opens_a_table_and_its_rows_can_be_asked_for(browser, serving):
    browser.get(f"{serving.url}tables#models")
    table = browser.find_element("id", "models")
    waited(lambda: table.get_attribute("open"))
    assert "the model card's name" in table.text
    table.find_element("link text", "Ask for its rows").click()
    waited(lambda: 'id="q"' in browser.page_source)
    assert 'FROM "models"' in browser.find_element("id", "q").get_attribute("value")
    assert browser.get_log("browser") == []


def test_the_pages_can_be_used_by_all_and_fit_a_phone(browser, serving):
    from axe_core_python.selenium import Axe

    size = browser.get_window_size()
    try:
        for path in ("sql", "tables"):
            browser.set_window_size(390, 844)
            browser.get(f"{serving.url}{path}")
            wide = (
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert browser.execute_script(wide) == 0
            assert [one["id"] for one in Axe().run(browser)["violations"]] == []
    finally:
        browser.set_window_size(size["width"], size["height"])
