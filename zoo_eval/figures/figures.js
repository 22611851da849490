// Figures on a page: draws compiled ones and links them by the names of models.
// Vega's expressions are interpreted, so that the page's policy need not allow `eval`.
import { parse, View, Warn } from "https://cdn.jsdelivr.net/npm/vega@VEGA/+esm";
import { expressionInterpreter } from "https://cdn.jsdelivr.net/npm/vega-interpreter@INTERPRETER/+esm";

// Rows of a data set that travels as columns; models are places in the page's list of names.
function rows(columns, models) {
  const names = Object.keys(columns);
  return Array.from({ length: columns[names[0]].length }, (_, i) => {
    const row = {};
    for (const name of names) row[name] = columns[name][i];
    if (typeof row.model === "number") row.model = models[row.model];
    return row;
  });
}

function filled(figure, models) {
  const data = figure.vega.data.map((one) =>
    figure.data[one.name] ? { ...one, values: rows(figure.data[one.name], models) } : one,
  );
  return { ...figure.vega, data };
}

// The rows of the points as they are drawn: infinite values have a place too.
function drawn(view) {
  const found = [];
  const visit = (item) => {
    if (item.name === "models_marks") for (const one of item.items) found.push(one.datum);
    else for (const one of item.items ?? []) visit(one);
  };
  visit(view.scenegraph().root);
  return found;
}

function inside(brush, points) {
  const ends = Object.entries(brush).map(([field, two]) => [field, Math.min(...two), Math.max(...two)]);
  const held = points.filter((row) => ends.every(([f, low, high]) => low <= row[f] && row[f] <= high));
  return new Set(held.map((row) => row.model));
}

// At most one call a frame, with the last value.
function once(call) {
  let last;
  let waits = false;
  return (value) => {
    last = value;
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      call(last);
    });
  };
}

function modelOf(item) {
  return item && item.datum && typeof item.datum.model === "string" ? item.datum.model : null;
}

function listen(view, element, { brushed, opened, hovered }) {
  if (brushed && "brush" in view.getState().signals) {
    let points = null;
    const tell = once((brush) => {
      points ??= drawn(view);
      brushed(Object.keys(brush).length ? inside(brush, points) : null);
    });
    view.addSignalListener("brush", (_, brush) => tell(brush));
  }
  if (opened) {
    view.addEventListener("click", (_, item) => {
      const model = modelOf(item);
      if (model !== null) opened(model);
    });
  }
  if (hovered) {
    let before = null;
    const tell = (model, event) => {
      if (model !== before) hovered(model, event);
      before = model;
    };
    view.addEventListener("pointermove", (event, item) => tell(modelOf(item), event));
    element.addEventListener("pointerleave", (event) => tell(null, event));
  }
}

// The colour behind an element: what is not picked is veiled with it.
function paper(element) {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (!/^rgba\(.*, 0\)$|^transparent$/.test(colour)) return colour;
  }
  return "#ffffff";
}

// Follows the element's width; answers with how to stop.
function follow(view, element) {
  const widths = new ResizeObserver(
    once(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== view.width()) view.width(width).runAsync();
    }),
  );
  widths.observe(element);
  return () => widths.disconnect();
}

// By name; without a prototype, so that no model is in it that was not put there.
function named(names) {
  if (names === null || names === undefined) return null;
  const picked = Object.create(null);
  for (const name of names) picked[name] = true;
  return picked;
}

// Draws a figure into an element; answers with what the page may do to it.
async function draw(element, figure, options = {}) {
  const { models = [], theme = "light", renderer = "canvas" } = options;
  const view = new View(parse(filled(figure, models), null, { ast: true }), {
    expr: expressionInterpreter,
    renderer,
    container: element,
    logLevel: Warn,
  });
  const run = async (...signals) => {
    for (const [name, value] of signals) view.signal(name, value);
    await view.runAsync();
  };
  await run(["theme", theme], ["paper", paper(element)]);
  listen(view, element, options);
  const unfollow = follow(view, element);
  return {
    view,
    pick: (names) => run(["picked", named(names)]),
    theme: (name) => run(["theme", name], ["paper", paper(element)]),
    clear: () => run(...("brush" in view.getState().signals ? [["brush_x", [0, 0]], ["brush_y", [0, 0]]] : [])),
    finalize() {
      unfollow();
      view.finalize();
    },
  };
}

window.zooFigures = { draw };
