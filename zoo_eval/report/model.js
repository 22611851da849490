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
    const details = await (this.page.details ??= unpacked("details"));
    if (!card.rows.has(model) && ![...tables, ...details].some((one) => one.values.model?.includes(model))) {
      this.place.append(made("p", {}, "This page has no model of that name."));
      return;
    }
    this.facts(model);
    const layers = details.find((one) => one.name === "layers");
    if (layers) this.profiles(model, layers);
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

  // The report's figures of layers with this model's line alone.
  profiles(model, layers) {
    const { drawn } = this.page;
    const box = made("div", { class: "figures" });
    for (const [name, figure] of Object.entries(drawn.figures)) {
      if (!("lines" in figure.data)) continue;
      const title = document.querySelector(`#figure-${name} h3`).textContent;
      const rows = this.lines(model, figure, layers, title);
      if (!rows) continue;
      const place = made("div", { class: "drawing", "data-figure": name });
      box.append(made("figure", { class: "plot" }, made("h3", {}, title), place));
      const own = { models: drawn.models, figures: { [name]: { ...figure, data: { ...figure.data, lines: rows } } } };
      const plot = new Plot(place, own, this.page);
      this.plots.push(plot);
    }
    if (!this.plots.length) return;
    this.place.append(made("h3", {}, "Layer profile"), box);
    for (const plot of this.plots) plot.drawing();
  }

  lines(model, figure) {
    const { lines } = figure.data;
    const number = this.page.drawn.models.indexOf(model);
    const rows = lines.model.flatMap((one, row) => (one === number ? [row] : []));
    if (!rows.length) return null;
    return Object.fromEntries(Object.entries(lines).map(([name, values]) => [name, rows.map((row) => values[row])]));
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
