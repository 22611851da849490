// Figures on a page: draws compiled ones and links them by the names of models.
// Vega's expressions are interpreted, so that the page's policy need not allow `eval`.
import { parse, View, Warn } from "https://cdn.jsdelivr.net/npm/vega@VEGA/+esm";
import { expressionInterpreter } from "https://cdn.jsdelivr.net/npm/vega-interpreter@INTERPRETER/+esm";

// How far from a model's middle the pointer is still at it.
const REACH_PX = 6;

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

// The marks of the models: where they are drawn, and their rows with a place for infinite values.
function marksOf(view) {
  const found = [];
  const visit = (item) => {
    if (item.name === "models_marks") found.push(...item.items);
    else for (const one of item.items ?? []) visit(one);
  };
  visit(view.scenegraph().root);
  return found;
}

function inside(brush, marks) {
  const ends = Object.entries(brush).map(([field, two]) => [field, Math.min(...two), Math.max(...two)]);
  const rows = marks.map((mark) => mark.datum);
  const held = rows.filter((row) => ends.every(([f, low, high]) => low <= row[f] && row[f] <= high));
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

// The model at the pointer; a brush that lies over it does not hide it.
function modelAt(view, element, event, item) {
  if (typeof item?.datum?.model === "string") return item.datum.model;
  if (!item?.mark?.name?.startsWith("brush")) return null;
  const box = element.querySelector("canvas, svg").getBoundingClientRect();
  const [x, y] = view.origin();
  const { left, top } = view.padding();
  const across = event.clientX - box.left - left - x;
  const down = event.clientY - box.top - top - y;
  const near = (mark) => Math.hypot(mark.x - across, mark.y - down);
  const nearest = marksOf(view).reduce((one, mark) => (near(mark) < near(one) ? mark : one));
  return near(nearest) <= REACH_PX ? nearest.datum.model : null;
}

function listen(view, element, { brushed, opened, hovered }) {
  if (brushed && "brush" in view.getState().signals) {
    const tell = once((brush) => {
      brushed(Object.keys(brush).length ? inside(brush, marksOf(view)) : null);
    });
    view.addSignalListener("brush", (_, brush) => tell(brush));
  }
  if (opened) {
    view.addEventListener("click", (event, item) => {
      const model = modelAt(view, element, event, item);
      if (model !== null) opened(model);
    });
  }
  if (hovered) {
    let before = null;
    const tell = (model, event) => {
      if (model !== before) hovered(model, event);
      before = model;
    };
    view.addEventListener("pointermove", (event, item) => tell(modelAt(view, element, event, item), event));
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
