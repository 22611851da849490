"""The report is one file that works offline, shows what the store holds, and survives any name."""

import re
from html import escape

import pytest

from tests.report.conftest import NAMES
from zoo_eval.report.html import write
from zoo_eval.store import Store


@pytest.fixture
def page(quarantined_store, tmp_path) -> str:
    out = tmp_path / "deep" / "report.html"
    write(quarantined_store, out)
    return out.read_text()


def test_it_refers_to_nothing_outside(page):
    assert not re.findall(r"https?://", page)
    assert not re.findall(r"\b(?:src|href|url|import)\s*[=(]", page)
    assert "default-src 'none'" in page


def test_every_name_and_error_is_shown_escaped(page):
    for name in NAMES:
        assert escape(name) in page
    assert 'local/<a&"b">' not in page
    assert escape("planted <error>") in page
    assert "<script>" not in page.replace("<script>", "", 1)


def test_planted_responses_are_called_planted(page):
    assert "They are not neural data." in page


def test_a_model_that_failed_its_gate_is_shown_apart(page):
    before, _, after = page.partition("Quarantined by the sanity gate")
    assert "local/wrong" not in before
    assert "local/wrong" in after


def test_an_infinite_tolerance_is_marked(page):
    assert "∞" in page
    assert "(+infinity)" in page


def test_an_empty_store_gives_a_page(tmp_path):
    write(Store(str(tmp_path / "store"), create=True), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "No model has been evaluated yet." in text
    assert "No trial failed or was refused." in text


@pytest.mark.browser
def test_a_point_says_its_name_and_a_header_sorts(browser, planted_store, tmp_path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    write(planted_store, tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    tip = browser.find_element(By.ID, "tip")
    assert not tip.is_displayed()
    mark = browser.find_elements(By.CSS_SELECTOR, "svg circle.mark")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(browser).move_to_element(mark).perform()
    assert tip.is_displayed()
    assert tip.text.startswith(NAMES[0])
    button = browser.find_element(By.CSS_SELECTOR, "th:nth-child(2) button")
    shown = []
    for _ in range(2):
        browser.execute_script("arguments[0].click()", button)
        cells = browser.find_elements(By.CSS_SELECTOR, "table tbody td:nth-child(2)")
        shown.append([float(cell.text) for cell in cells[: len(NAMES)]])
    assert shown[0] == sorted(shown[0], reverse=True)
    assert shown[1] == sorted(shown[1])
    assert browser.get_log("browser") == []
