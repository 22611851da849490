// The page: its tables, figures and models, wired together.
const page = JSON.parse(document.getElementById("data").textContent);
page.choice = new Choice();
page.card = new Card(page.tables.find((one) => one.name === "leaderboard"));
page.model = new ModelPage(page);

const pages = new Set(page.tables.flatMap((table) => table.values.model ?? []));
for (const place of document.querySelectorAll(".table[data-table]")) {
  const spec = page.tables.find((one) => one.name === place.dataset.table);
  const isMain = spec.name === "leaderboard";
  const table = new Table(place, spec, { choice: isMain ? page.choice : null, pages });
  const filters = new Filters(table, { choice: isMain ? page.choice : null, always: isMain });
  if (isMain) Object.assign(page, { leaderboard: table, filters });
  table.draw();
  filters.tell?.();
}

const plots = [...document.querySelectorAll(".drawing")].map((place) => new Plot(place, page.drawn, page));
let repainted = Promise.resolve();
page.choice.watch((part) => {
  if (part === "brushed") for (const plot of plots) plot.unbrush();
  repainted = Promise.all(plots.map((plot) => plot.pick()));
});
themed(() => [...plots, ...page.model.plots]);

page.address = new Address(page);
if (page.leaderboard) {
  page.leaderboard.changed = () => page.address.keep();
  page.choice.watch((part) => { if (part === "picked") page.address.keep(); });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  page.card.hide();
  if (page.choice.brushed) page.choice.set("brushed", null);
  if (page.choice.picked.size) page.choice.set("picked", new Set());
});
// On paper: every row, and figures for light paper.
addEventListener("beforeprint", () => {
  page.leaderboard?.drawInSight(true);
  for (const plot of plots) {
    plot.show();
    plot.handle?.view.signal("theme", "light").signal("paper", "#ffffff").run();
  }
});
addEventListener("afterprint", () => {
  page.leaderboard?.draw();
  for (const { handle } of plots) handle?.theme(theme());
});
page.address.follow();
watchSight(plots);
drawInTurn(plots);
// For those who look from outside, and tests.
const all = (does) => () => Promise.all(plots.map(does));
window.zooReport = { page, plots, Table, drawn: all((plot) => plot.drawing()), shown: all((plot) => plot.show()), repainted: () => repainted };
