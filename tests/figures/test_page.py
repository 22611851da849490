"""Figures on a page with a strict policy, in a real browser: drawn, brushed, picked, lit otherwise."""

import base64
import hashlib
import json
import shutil
import time

import pytest

from tests.figures.conftest import HOSTILE, MODELS
from zoo_eval.figures.page import on_page, runtime
from zoo_eval.figures.printed import Sheet, svg

NEURAL = "accuracy-vs-neural-it-pls"
TOLERANCE = "accuracy-vs-tolerance-photos-ddn-l2"
SCRIPT = """
const page = JSON.parse(document.getElementById("data").textContent);
window.handles = {};
window.log = [];
(async () => {
  for (const [name, figure] of Object.entries(page.figures)) {
    window.handles[name] = await zooFigures.draw(document.getElementById(name), figure, {
      models: page.models,
      brushed: (names) => log.push(["brushed", name, names && [...names]]),
      opened: (model) => log.push(["opened", model]),
      hovered: (model) => log.push(["hovered", model]),
    });
  }
  document.title = "ready";
})();
"""
STYLE = "body { margin: 20px } div { width: 600px }"


def allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def document(figures) -> str:
    """A page that may run nothing but its own scripts, and evaluate nothing."""
    policy = (
        f"default-src 'none'; script-src {allowed(runtime())} {allowed(SCRIPT)}; "
        f"style-src {allowed(STYLE)}; img-src data:"
    )
    data = json.dumps(on_page(figures)).replace("<", "\\u003c")
    places = "".join(f'<div id="{figure.name}"></div>' for figure in figures)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{STYLE}</style></head>'
        f'<body>{places}<script type="application/json" id="data">{data}</script>'
        f"<script>{runtime()}</script><script>{SCRIPT}</script></body></html>"
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory, drawn):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "window-size=1000,2400", f"user-data-dir={folder / 'profile'}"):  # fmt: skip
        options.add_argument(f"--{flag}")
    service = webdriver.ChromeService(executable_path=driver)
    opened = webdriver.Chrome(options=options, service=service)
    (folder / "page.html").write_text(document(list(drawn.values())), encoding="utf-8")
    opened.get((folder / "page.html").as_uri())
    until(opened, "return document.title === 'ready'")
    yield opened
    opened.quit()


def until(browser, script: str, seconds: float = 30):
    end = time.monotonic() + seconds
    while not (found := browser.execute_script(script)):
        assert time.monotonic() < end, script
        time.sleep(0.05)
    return found


def ran(browser, script: str):
    """What an asynchronous script answers with."""
    return browser.execute_async_script(
        f"const done = arguments[0]; (async () => {{ {script} }})().then(done);"
    )


def place_of(browser, figure: str, model: str) -> tuple[float, float]:
    """Where a model's point is drawn, in pixels of the window."""
    return tuple(browser.execute_script(
        "const [name, model] = arguments; const view = handles[name].view;"
        "const row = view.data('points').find((one) => one.model === model);"
        "const box = document.querySelector(`[id='${name}'] canvas`).getBoundingClientRect();"
        "const [x, y] = view.origin(); const {left, top} = view.padding(); const fields = Object.keys(row);"
        "const of = ['score', 'tolerance', 'alignment'].find((one) => fields.includes(one));"
        "return [box.x + left + x + view.scale('x')(row.top1), box.y + top + y + view.scale('y')(row[of])]",
        figure, model,
    ))  # fmt: skip


def test_every_figure_is_drawn_and_the_console_is_silent(browser, drawn):
    assert browser.execute_script("return Object.keys(handles)") == list(drawn)
    for name in drawn:
        width = browser.execute_script(
            f"return document.querySelector('[id=\"{name}\"] canvas').width"
        )
        assert width >= 600
    assert browser.get_log("browser") == []


def test_the_rows_travel_whole(browser, drawn):
    for name in (NEURAL, TOLERANCE):
        rows = browser.execute_script(
            f"return handles['{name}'].view.data('points').map((r) => ({{...r}}))"
        )
        assert rows == list(drawn[name].data["points"])
    assert HOSTILE in {row["model"] for row in rows}


def test_picked_models_are_drawn_above_a_veil(browser):
    mark = (
        "const found = []; const visit = (item, name) => { if (item.name === name) found.push(...item.items);"
        "else for (const one of item.items ?? []) visit(one, name); };"
        f"visit(handles['{NEURAL}'].view.scenegraph().root, NAME); return found.map(KEPT);"
    )
    above = mark.replace("NAME", "'picked_models_marks'").replace("KEPT", "(m) => m.datum.model")
    veil = mark.replace("NAME", "'veil_marks'").replace("KEPT", "(m) => m.opacity")
    assert browser.execute_script(above) == []
    assert browser.execute_script(veil) == [0]
    picked = ["timm/base.a1", HOSTILE, "nobody"]
    ran(browser, f"await handles['{NEURAL}'].pick({json.dumps(picked)})")
    assert set(browser.execute_script(above)) == set(picked[:2])
    assert browser.execute_script(veil)[0] > 0.5
    ran(browser, f"await handles['{NEURAL}'].pick(null)")
    assert browser.execute_script(above) == []
    assert browser.execute_script(veil) == [0]


@pytest.mark.parametrize("figure", [NEURAL, TOLERANCE])
def test_a_brush_answers_with_the_models_inside(browser, drawn, figure):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput
    from selenium.webdriver.common.by import By

    column = "score" if figure == NEURAL else "tolerance"
    rows = {row["model"]: row for row in drawn[figure].data["points"]}
    corner, other = ("timm/worse", "timm/base.a1")
    x1, y1 = place_of(browser, figure, corner)
    x2, y2 = place_of(browser, figure, other)
    left, right, top, bottom = min(x1, x2) - 4, max(x1, x2) + 4, min(y1, y2) - 4, max(y1, y2) + 4
    browser.execute_script("log.length = 0")
    actions = ActionChains(browser, devices=[PointerInput("mouse", "mouse")])
    pointer = actions.w3c_actions.pointer_action
    for x, y, act in ((left, top, pointer.pointer_down), (right, bottom, pointer.pointer_up)):
        pointer.move_to_location(round(x), round(y))
        act()
    actions.perform()
    until(browser, "return log.some((one) => one[0] === 'brushed')")
    time.sleep(0.2)
    brushed = [one for one in browser.execute_script("return log") if one[0] == "brushed"][-1]
    ends = browser.execute_script(f"return handles['{figure}'].view.signal('brush')")
    ends = {field.removesuffix("_drawn"): sorted(two) for field, two in ends.items()}
    assert set(ends) == {"top1", column}
    inside = {
        model
        for model, row in rows.items()
        if all(
            row[field] is not None and low <= row[field] <= high
            for field, (low, high) in ends.items()
        )
    }
    assert {corner, other} <= inside
    assert set(brushed[2]) == inside != set(MODELS)
    # What lies under the brush can still be opened.
    browser.execute_script("log.length = 0")
    actions = ActionChains(browser)
    actions.w3c_actions.pointer_action.move_to_location(round(x1), round(y1)).click()
    actions.perform()
    until(browser, "return log.some((one) => one[0] === 'opened')")
    assert ["opened", corner] in browser.execute_script("return log")
    browser.execute_script("log.length = 0")
    ran(browser, f"await handles['{figure}'].clear()")
    until(browser, "return log.some((one) => one[0] === 'brushed' && one[2] === null)")
    assert browser.find_elements(By.TAG_NAME, "canvas")


def test_hover_and_click_answer_with_the_model(browser):
    from selenium.webdriver.common.action_chains import ActionChains

    x, y = place_of(browser, NEURAL, HOSTILE)
    browser.execute_script("log.length = 0")
    actions = ActionChains(browser)
    actions.w3c_actions.pointer_action.move_to_location(round(x), round(y)).click()
    actions.perform()
    until(browser, "return log.some((one) => one[0] === 'opened')")
    found = browser.execute_script("return log")
    assert ["hovered", HOSTILE] in found
    assert ["opened", HOSTILE] in found


def test_a_narrow_page_gets_a_narrow_figure(browser):
    browser.execute_script(f"document.getElementById('{NEURAL}').style.width = '320px'")
    until(browser, f"return document.querySelector('[id=\"{NEURAL}\"] canvas').clientWidth === 320")
    wide = browser.execute_script(f"return handles['{TOLERANCE}'].view.data('labels').length")
    assert wide > 0
    browser.execute_script(f"document.getElementById('{NEURAL}').style.width = ''")


def test_light_and_dark(browser):
    colour = (
        f"const axis = handles['{NEURAL}'].view.scenegraph().root; let found = null;"
        "const visit = (item) => { if (item.role === 'axis-title') found = item.items[0].fill;"
        "else for (const one of item.items ?? []) visit(one); }; visit(axis); return found;"
    )
    light = browser.execute_script(colour)
    ran(browser, f"await handles['{NEURAL}'].theme('dark')")
    dark = browser.execute_script(colour)
    assert (light, dark) == ("#1f2328", "#e6e8eb")
    ran(browser, f"await handles['{NEURAL}'].theme('light')")
    # Last of all: nothing above had the console say anything.
    assert browser.get_log("browser") == []


def test_the_runtime_ends_no_script_and_reads_no_network():
    script = runtime().lower()
    assert "</script" not in script
    assert "<!--" not in script
    assert "cdn.jsdelivr.net" not in script
    assert len(script) < 700_000


def test_names_of_models_travel_once(drawn):
    page = on_page(list(drawn.values()))
    assert sorted(page["models"]) == sorted(MODELS)
    assert json.dumps(page).count("timm/better") == 1 + sum(
        json.dumps(one["vega"]).count("timm/better") for one in page["figures"].values()
    )
    assert "timm/better" not in svg(drawn[NEURAL], Sheet()).decode().split("<g")[0]
