// A table: sorted, narrowed, with columns to choose; of many rows only those in sight are in the page.
const FEW_ROWS = 150;
const BEYOND_SIGHT = 12;
const SHORT = 24;
const narrow = matchMedia("(max-width: 40rem)");
const order = new Intl.Collator("en", { numeric: true });

class Table {
  constructor(place, spec, { choice = null, without = [], pages = new Set() } = {}) {
    Object.assign(this, { place, spec, choice, pages });
    this.columns = spec.columns.filter((column) => !without.includes(column.name));
    this.shown = new Set(this.columns.filter((column) => column.shown).map((column) => column.name));
    this.isLong = spec.n > FEW_ROWS;
    this.sort = spec.sort;
    this.narrowed = null;
    this.all = Array.from({ length: spec.n }, (_, row) => row);
    this.rows = this.all;
    this.scroll = made("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${spec.caption}: table` });
    this.scroll.classList.toggle("long", this.isLong);
    this.head = made("tr");
    this.body = made("tbody");
    this.table = made("table", {}, made("caption", { class: "unseen" }, spec.caption),
      made("thead", {}, this.head), this.body);
    this.scroll.append(this.table);
    this.scroll.addEventListener("scroll", () => this.drawInSight(), { passive: true });
    place.append(this.scroll);
  }

  value(row, name) {
    const values = this.spec.values[name];
    return values ? values[row] : null;
  }

  get visible() {
    return this.columns.filter((column) => this.shown.has(column.name));
  }

  // Draws everything anew: columns, order and rows.
  draw() {
    this.order = this.sorted(this.all);
    this.rows = this.kept();
    this.head.replaceChildren(
      ...(this.choice ? [made("th", { scope: "col", class: "pick" }, made("span", { class: "unseen" }, "pick"))] : []),
      ...this.visible.map((column) => this.header(column)),
    );
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.first = this.last = -1;
    this.drawInSight();
  }

  header(column) {
    const down = this.sort === "-" + column.name;
    const sorting = down ? "descending" : this.sort === column.name ? "ascending" : null;
    const button = made("button", { type: "button", title: column.meaning || null, onclick: () => {
      this.sortBy(sorting === "descending" || (sorting === null && column.kind === "text") ? column.name : "-" + column.name);
    } }, column.label);
    const header = made("th", { scope: "col", class: column.kind, "aria-sort": sorting }, button);
    if (this.isLong && !(column === this.columns[0] && narrow.matches)) header.style.minWidth = this.width(column) + "ch";
    return header;
  }

  // In characters, of the longest of all values: columns stand still while rows are scrolled.
  width(column) {
    this.widths ??= new Map();
    if (!this.widths.has(column.name)) {
      const values = this.spec.values[column.name];
      const longest = values.reduce((most, value) => Math.max(most, inWords(value, column.kind).length), 3);
      this.widths.set(column.name, Math.min(longest, 60) + 1);
    }
    return this.widths.get(column.name);
  }

  sortBy(sort) {
    this.sort = sort;
    this.draw();
    this.head.querySelector(sort ? "[aria-sort] button" : "button")?.focus({ preventScroll: true });
    this.changed?.();
  }

  // What is missing comes last, whatever the direction.
  sorted(rows) {
    const name = this.sort.replace(/^-/, "");
    const values = this.spec.values[name];
    if (!values) return [...rows];
    const sign = this.sort.startsWith("-") ? -1 : 1;
    const lacks = (value) => value === null || value === "" || value === "NaN";
    return [...rows].sort((a, b) => {
      const [p, q] = [values[a], values[b]];
      if (lacks(p) || lacks(q)) return lacks(p) - lacks(q) || a - b;
      const less = typeof p === "number" && typeof q === "number" ? (p > q) - (p < q) : order.compare(p, q);
      return sign * less || a - b;
    });
  }

  // Rows in their order, without those that were narrowed away.
  kept() {
    if (!this.narrowed) return this.order;
    const some = new Set(this.narrowed);
    return this.order.filter((row) => some.has(row));
  }

  // Keeps these rows, or all where null.
  narrow(rows) {
    this.narrowed = rows;
    this.rows = this.kept();
    this.table.setAttribute("aria-rowcount", this.rows.length + 1);
    this.scroll.scrollTop = 0;
    this.first = this.last = -1;
    this.drawInSight();
  }

  drawInSight(everything = false) {
    let [first, last] = [0, this.rows.length];
    if (this.isLong && !everything) {
      const height = this.rowHeight ?? 30;
      first = Math.max(0, Math.floor(this.scroll.scrollTop / height) - BEYOND_SIGHT);
      last = Math.min(last, first + Math.ceil((this.scroll.clientHeight || 700) / height) + 2 * BEYOND_SIGHT);
    }
    if (first === this.first && last === this.last) return;
    [this.first, this.last] = [first, last];
    const focused = this.body.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.row : null;
    this.body.replaceChildren(
      ...this.space(first), ...this.rows.slice(first, last).map((row, place) => this.row(row, first + place)),
      ...this.space(this.rows.length - last),
    );
    if (focused) this.body.querySelector(`tr[data-row="${focused}"] :is(a, input)`)?.focus({ preventScroll: true });
    // On a narrow window names take two lines: rows differ, and their mean tells how many are in sight.
    const drawn = this.body.querySelectorAll("tr[data-row]");
    const height = drawn.length && (drawn[drawn.length - 1].getBoundingClientRect().bottom - drawn[0].getBoundingClientRect().top) / drawn.length;
    const isFirst = this.rowHeight === undefined;
    if (height) this.rowHeight = height;
    // Room for rows out of sight was guessed: now it is known.
    if (height && isFirst && this.isLong) {
      this.first = -1;
      this.drawInSight(everything);
    }
  }

  space(rows) {
    if (!rows) return [];
    const cell = made("td", { colspan: this.visible.length + (this.choice ? 1 : 0) });
    cell.style.height = rows * (this.rowHeight ?? 30) + "px";
    return [made("tr", { class: "space", "aria-hidden": "true" }, cell)];
  }

  row(row, place) {
    const model = this.value(row, "model");
    const cells = this.visible.map((column, number) => this.cell(row, column, number === 0));
    if (this.choice) cells.unshift(this.tick(model));
    return made("tr", { "data-row": row, "data-model": model, "aria-rowindex": place + 2,
      class: this.choice?.picked.has(model) ? "picked" : null }, ...cells);
  }

  cell(row, column, isFirst) {
    const value = this.value(row, column.name);
    const text = inWords(value, column.kind);
    const inside = column.name === "model" && this.pages.has(value) ? made("a", { href: linkTo(value), "data-card": value }, text) : text;
    const kind = column.kind === "text" && this.width(column) < SHORT ? "text short" : column.kind;
    return made(isFirst ? "th" : "td", { class: kind, scope: isFirst ? "row" : null }, inside);
  }

  tick(model) {
    return made("td", { class: "pick" }, made("input", {
      type: "checkbox", checked: this.choice.picked.has(model), "aria-label": "pick " + model,
      onchange: (event) => this.choice.toggle(model, event.target.checked),
    }));
  }

  // The rows and columns that are shown, as text of comma-separated values.
  csv() {
    const cell = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      // A spreadsheet would run what begins like a formula.
      const plain = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
      return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
    };
    const columns = this.visible;
    const lines = [columns.map((column) => cell(column.label))];
    for (const row of this.rows) lines.push(columns.map((column) => cell(this.value(row, column.name))));
    return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
  }
}
