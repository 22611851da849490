// What narrows a table: words, values to choose from, ranges of numbers, models inside a brush.
const FEW_TO_FILTER = 8;

class Filters {
  constructor(table, { choice = null, always = false } = {}) {
    Object.assign(this, { table, choice, words: "", chosen: new Map(), ranges: new Map() });
    if (!always && table.spec.n <= FEW_TO_FILTER) return;
    this.count = made("span", { class: "count" });
    this.search = made("input", { type: "search", "aria-label": `search in ${table.spec.caption}`,
      placeholder: "Search", oninput: () => this.set({ words: this.search.value }) });
    this.clear = made("button", { type: "button", class: "clear", onclick: () => this.reset() }, "Clear");
    const tools = made("div", { class: "tools" }, this.search, this.more(), this.chooser(),
      made("button", { type: "button", onclick: () => this.download() }, "CSV"), this.clear, this.count);
    table.place.prepend(tools);
    choice?.watch((part) => { if (part !== "found") this.apply(part); });
  }

  // Values to choose from, and a range for each column of numbers.
  more() {
    this.selects = new Map();
    this.bounds = new Map();
    const box = made("details", { class: "menu" }, made("summary", {}, "Filter"));
    const inside = made("div", { class: "choices" });
    for (const column of this.table.columns) {
      if (column.choose) inside.append(this.select(column));
      else if (column.kind !== "text") inside.append(this.range(column));
    }
    box.append(inside);
    return inside.children.length ? box : null;
  }

  select(column) {
    const values = [...new Set(this.table.spec.values[column.name])].filter((value) => value !== null && value !== "");
    const select = made("select", { onchange: () => this.set({ chosen: new Map([[column.name, select.value]]) }) },
      made("option", { value: "" }, "any"), ...values.sort(order.compare).map((value) => made("option", { value }, value)));
    this.selects.set(column.name, select);
    return made("label", {}, made("span", {}, column.label), select);
  }

  range(column) {
    const inputs = ["from", "to"].map((end) => made("input", { type: "number", step: "any", inputmode: "decimal", placeholder: end,
      "aria-label": `${column.label} ${end}`, oninput: () => this.set({ ranges: new Map([[column.name, inputs.map((one) => one.value)]]) }) }));
    this.bounds.set(column.name, inputs);
    return made("div", { class: "range" }, made("span", {}, column.label), ...inputs);
  }

  chooser() {
    const boxes = this.table.columns.slice(1).map((column) => made("label", { title: column.meaning || null }, made("input", {
      type: "checkbox", checked: this.table.shown.has(column.name), value: column.name,
      onchange: (event) => this.show(column.name, event.target.checked) }), column.label));
    return made("details", { class: "menu" }, made("summary", {}, "Columns"), made("div", { class: "choices" }, ...boxes));
  }

  show(name, on) {
    if (on) this.table.shown.add(name);
    else this.table.shown.delete(name);
    this.table.draw();
    this.table.changed?.();
  }

  set({ words = this.words, chosen = new Map(), ranges = new Map() }) {
    this.words = words;
    for (const [name, value] of chosen) value ? this.chosen.set(name, value) : this.chosen.delete(name);
    for (const [name, ends] of ranges) this.bound(name, ends);
    this.apply("found");
    this.table.changed?.();
  }

  reset() {
    for (const element of this.table.place.querySelectorAll(".tools :is(input:not([type=checkbox]), select)")) element.value = "";
    this.chosen.clear();
    this.ranges.clear();
    this.words = "";
    this.choice?.set("picked", new Set());
    this.choice?.set("brushed", null);
    this.set({});
  }

  get isEmpty() {
    return !this.words.trim() && !this.chosen.size && !this.ranges.size;
  }

  // Takes what an address says; its names are those of `write`.
  fill(said) {
    this.search.value = this.words = said.get("q") ?? "";
    this.chosen.clear();
    this.ranges.clear();
    for (const [name, select] of this.selects) {
      select.value = said.get(name) ?? "";
      if (select.value) this.chosen.set(name, select.value);
    }
    for (const [name, inputs] of this.bounds) {
      const ends = (said.get(name) ?? "..").split("..");
      inputs.forEach((input, end) => { input.value = ends[end] ?? ""; });
      this.bound(name, inputs.map((input) => input.value));
    }
    const models = new Set(this.table.spec.values.model);
    this.choice.set("picked", new Set(said.getAll("pick").filter((model) => models.has(model))));
    this.apply("found");
  }

  write(said) {
    if (this.words.trim()) said.set("q", this.words);
    for (const [name, value] of this.chosen) said.set(name, value);
    for (const [name, ends] of this.ranges) said.set(name, ends.map((end) => (Number.isFinite(end) ? end : "")).join(".."));
  }

  bound(name, [low, high]) {
    if (low === "" && high === "") this.ranges.delete(name);
    else this.ranges.set(name, [low === "" ? -Infinity : +low, high === "" ? Infinity : +high]);
  }

  // Rows that words, choices and ranges leave; null where they leave all.
  found() {
    if (this.isEmpty) return null;
    const words = this.words.toLowerCase().split(/\s+/).filter(Boolean);
    const { spec, columns, all } = this.table;
    const texts = columns.filter((column) => column.kind === "text").map((column) => spec.values[column.name]);
    const chosen = [...this.chosen].map(([name, value]) => [spec.values[name], value]);
    const ranges = [...this.ranges].map(([name, ends]) => [spec.values[name], ...ends]);
    return all.filter((row) => chosen.every(([values, value]) => values[row] === value)
      && ranges.every(([values, low, high]) => typeof values[row] === "number" && low <= values[row] && values[row] <= high)
      && words.every((word) => texts.some((values) => String(values[row] ?? "").toLowerCase().includes(word))));
  }

  apply(part) {
    const { table, choice } = this;
    if (part === "picked") {
      for (const row of table.body.querySelectorAll("tr[data-model]")) {
        const on = choice.picked.has(row.dataset.model);
        row.classList.toggle("picked", on);
        row.querySelector(".pick input").checked = on;
      }
    } else {
      if (part === "found") this.rows = this.found();
      const models = table.spec.values.model;
      if (part === "found" && choice) choice.set("found", this.rows && new Set(this.rows.map((row) => models[row])));
      const inside = choice?.brushed;
      table.narrow(inside ? (this.rows ?? table.all).filter((row) => inside.has(models[row])) : this.rows);
    }
    this.tell();
  }

  tell() {
    if (!this.count) return;
    const { rows, spec } = this.table;
    const picked = this.choice?.picked.size ?? 0;
    this.count.textContent = (rows.length === spec.n ? `${counted.format(spec.n)} rows` : `${counted.format(rows.length)} of ${counted.format(spec.n)} rows`)
      + (picked ? `, ${picked} picked` : "");
    this.clear.hidden = this.isEmpty && (this.choice?.isEmpty ?? true);
  }

  download() {
    const url = URL.createObjectURL(new Blob([this.table.csv()], { type: "text/csv" }));
    made("a", { href: url, download: this.table.spec.name + ".csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}
