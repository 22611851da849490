// What is chosen of the models: found by the table's filters, inside a figure's brush, picked one by one.
class Choice {
  constructor() {
    this.found = null;
    this.brushed = null;
    this.picked = new Set();
    this.source = null;
    this.watchers = [];
  }

  watch(watcher) {
    this.watchers.push(watcher);
  }

  // Sets one part; `source` is the figure that it comes from, if it comes from one.
  set(part, value, source = null) {
    this[part] = value;
    if (part === "brushed") this.source = source;
    for (const watcher of this.watchers) watcher(part);
  }

  toggle(model, on) {
    const picked = new Set(this.picked);
    if (on) picked.add(model);
    else picked.delete(model);
    this.set("picked", picked);
  }

  // Models that figures show as they are; null where that is all of them.
  lit() {
    const { found, brushed, picked } = this;
    if (!found && !brushed) return picked.size ? picked : null;
    const kept = [...(brushed ?? found)].filter((one) => !found || !brushed || found.has(one));
    return new Set([...kept, ...picked]);
  }

  get isEmpty() {
    return !this.brushed && !this.picked.size;
  }
}
