// A model's card: what a pointer, a finger or the keyboard's focus on a model shows.
class Card {
  constructor(table) {
    this.table = table;
    this.box = document.getElementById("card");
    this.rows = new Map((table?.values.model ?? []).map((model, row) => [model, row]));
    document.addEventListener("pointerover", (event) => this.over(event));
    document.addEventListener("focusin", (event) => this.over(event));
    document.addEventListener("focusout", () => this.hide());
    document.addEventListener("scroll", () => this.hide(), { passive: true, capture: true });
  }

  over(event) {
    const link = event.target.closest?.("[data-card]");
    if (!link) {
      if (event.type === "pointerover" && !event.target.closest?.("#card, .drawing")) this.hide();
      return;
    }
    const box = link.getBoundingClientRect();
    this.show(link.dataset.card, box.left + Math.min(box.width, 220), box.bottom);
  }

  // Values that the model has, of the columns that are shown at first.
  facts(model) {
    const row = this.rows.get(model);
    if (row === undefined) return [];
    return this.table.columns.filter((column) => column.shown && column.name !== "model")
      .map((column) => [column.label, inWords(this.table.values[column.name][row], column.kind)])
      .filter(([, text]) => text !== "");
  }

  // Beside a place of the window, inside it; `linked` where there is no pointer to click with.
  show(model, x, y, linked = false) {
    const facts = this.facts(model);
    if (!facts.length) return this.hide();
    this.box.replaceChildren(made("strong", {}, model),
      made("dl", {}, ...facts.map(([name, text]) => made("div", {}, made("dt", {}, name), made("dd", {}, text)))),
      ...(linked ? [made("a", { href: linkTo(model) }, "Its page")] : []));
    this.box.classList.toggle("linked", linked);
    this.box.hidden = false;
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.min(x + 14, clientWidth - this.box.offsetWidth - 8);
    const above = y - this.box.offsetHeight - 10;
    const below = Math.min(y + 14, clientHeight - this.box.offsetHeight - 8);
    this.box.style.left = Math.max(8, left) + "px";
    this.box.style.top = Math.max(8, y + 14 + this.box.offsetHeight > clientHeight && above > 0 ? above : below) + "px";
  }

  hide() {
    this.box.hidden = true;
  }

  tell(model) {
    say([model, ...this.facts(model).map(([name, text]) => `${name} ${text}`)].join(", "));
  }
}
