// The address: which page is open, and how the leaderboard is sorted and narrowed, behind the #.
class Address {
  constructor(page) {
    this.page = page;
    addEventListener("hashchange", () => this.follow());
  }

  get text() {
    return location.hash.slice(1);
  }

  // Opens what the address says.
  follow() {
    const isModel = this.text.startsWith("model/");
    document.getElementById("overview").hidden = isModel;
    this.page.model.place.hidden = !isModel;
    this.page.card.hide();
    if (!isModel) {
      if (this.wasModel) {
        this.page.model.close();
        scrollTo(0, this.scrolled ?? 0);
      }
      if (this.text.includes("=")) this.restore();
      else document.getElementById(this.text)?.scrollIntoView();
    } else {
      if (!this.wasModel) this.scrolled = scrollY;
      let model = this.text.slice(6);
      try {
        model = decodeURIComponent(model);
      } catch {
        // As it stands: somebody typed it.
      }
      scrollTo(0, 0);
      this.page.model.open(model).then(() => this.page.model.place.querySelector("h2").focus({ preventScroll: true }));
    }
    this.wasModel = isModel;
  }

  restore() {
    const { leaderboard, filters } = this.page;
    if (!leaderboard) return;
    const said = new URLSearchParams(this.text);
    const names = new Set(leaderboard.columns.map((column) => column.name));
    const sort = said.get("sort") ?? leaderboard.spec.sort;
    if (names.has(sort.replace(/^-/, ""))) leaderboard.sort = sort;
    if (said.has("columns")) leaderboard.shown = new Set(["model", ...said.get("columns").split(" ").filter((name) => names.has(name))]);
    leaderboard.draw();
    filters.fill(said);
  }

  // Writes what the leaderboard shows now.
  keep() {
    const { leaderboard, filters, choice } = this.page;
    const said = new URLSearchParams();
    if (leaderboard.sort !== leaderboard.spec.sort) said.set("sort", leaderboard.sort);
    const usual = leaderboard.columns.filter((column) => column.shown).map((column) => column.name);
    const columns = leaderboard.visible.map((column) => column.name);
    if (usual.join() !== columns.join()) said.set("columns", columns.slice(1).join(" "));
    filters.write(said);
    for (const model of choice.picked) said.append("pick", model);
    const text = said.toString();
    if (!this.text.startsWith("model/")) history.replaceState(null, "", "#" + text);
  }
}
