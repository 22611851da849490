// The page of one model: every number, picture and failure of it that the report has.
class ModelPage {
  constructor(page) {
    this.page = page;
    this.place = document.getElementById("model");
    this.plots = [];
  }

  async open(model) {
    const { tables, card } = this.page;
    this.close();
    this.place.append(made("p", {}, made("a", { href: "#" }, "All models")), made("h2", { tabindex: -1 }, model));
    const turn = this.turn = (this.turn ?? 0) + 1;
    const details = await (this.page.details ??= unpacked("details"));
    if (turn !== this.turn) return;
    if (!card.rows.has(model) && ![...tables, ...details].some((one) => one.values.model?.includes(model))) {
      this.place.append(made("p", {}, "This page has no model of that name."));
      return;
    }
    this.facts(model);
    const profiles = details.find((one) => one.name === "profiles");
    if (profiles) this.profiles(model, profiles.values);
    for (const table of [...details, ...tables]) if (table.name !== "leaderboard") this.table(model, table);
    this.pictures(model);
  }

  close() {
    for (const plot of this.plots) plot.promise?.then(() => plot.handle.finalize());
    this.plots = [];
    this.place.replaceChildren();
  }

  facts(model) {
    const table = this.page.tables.find((one) => one.name === "leaderboard");
    const row = this.page.card.rows.get(model);
    if (row === undefined) return;
    const facts = table.columns.filter((column) => column.name !== "model")
      .map((column) => [column, inWords(table.values[column.name][row], column.kind)]).filter(([, text]) => text !== "");
    this.place.append(made("dl", { class: "facts" }, ...facts.map(([column, text]) =>
      made("div", { title: column.meaning || null }, made("dt", {}, column.label), made("dd", {}, text)))));
  }

  // The report's figures of layers, with this model's line alone before the band of all.
  profiles(model, all) {
    const { drawn } = this.page;
    const box = made("div", { class: "figures" });
    for (const [name, figure] of Object.entries(drawn.figures)) {
      if (!("lines" in figure.data)) continue;
      const title = document.querySelector(`#figure-${name} h3`).textContent;
      const whole = all.model.flatMap((_, row) => (title.endsWith(`: ${all.subject[row]}`) ? [row] : []));
      const rows = whole.filter((row) => all.model[row] === model);
      if (!rows.length) continue;
      // As the figure has them: ceiled where all are.
      const isCeiled = whole.every((row) => typeof all.ceiled_score?.[row] === "number");
      const scores = rows.map((row) => (isCeiled ? all.ceiled_score : all.score)[row]);
      const lines = { model: rows.map(() => 0), name: rows.map(() => ""), depth: rows.map((row) => all.depth[row]), score: scores };
      const place = made("div", { class: "drawing", "data-figure": name });
      box.append(made("figure", { class: "plot" }, made("h3", {}, title), place));
      this.plots.push(new Plot(place, { models: [model], figures: { [name]: alone(figure, lines) } }, this.page));
    }
    if (!this.plots.length) return;
    this.place.append(made("h3", {}, "Layer profile"), box);
    for (const plot of this.plots) plot.drawing();
  }

  table(model, spec) {
    const { model: models } = spec.values;
    const rows = (models ?? []).flatMap((one, row) => (one === model ? [row] : []));
    if (!rows.length) return;
    const values = Object.fromEntries(Object.entries(spec.values).map(([name, all]) => [name, rows.map((row) => all[row])]));
    const columns = spec.columns.filter((column) => values[column.name].some((value) => value !== null && value !== ""));
    const place = made("div", { class: "table", "data-table": spec.name });
    this.place.append(made("h3", {}, spec.caption), place);
    new Table(place, { ...spec, columns: columns.map((one) => ({ ...one, shown: true })), values, n: rows.length, sort: "" }, { without: ["model"] }).draw();
  }

  pictures(model) {
    const found = [...document.querySelectorAll("#overview article[data-model]")].filter((one) => one.dataset.model === model);
    if (!found.length) return;
    this.place.append(made("h3", {}, "Pictures"), made("div", { class: "gallery" }, ...found.map((one) => one.cloneNode(true))));
  }
}

// A figure of layers with other lines; its scale has room for them.
function alone(figure, lines) {
  const domain = ({ name, type, domain: [low, high] }) => {
    if (type === "ordinal") return [""];
    return name === "y" ? [Math.min(low, ...lines.score), Math.max(high, ...lines.score)] : [low, high];
  };
  const scales = figure.vega.scales.map((scale) => (Array.isArray(scale.domain) ? { ...scale, domain: domain(scale) } : scale));
  return { vega: { ...figure.vega, scales, legends: [] }, data: { ...figure.data, lines } };
}
