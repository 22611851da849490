// A figure on the page: drawn when it comes into sight, linked with the choice of models.
class Plot {
  constructor(place, drawn, page) {
    Object.assign(this, { place, page, spec: drawn.figures[place.dataset.figure], models: drawn.models, at: -1, isInSight: true });
    this.inside = made("div");
    place.append(this.inside);
    place.tabIndex = 0;
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", `${place.closest("figure").querySelector("h3").textContent}: arrow keys go from model to model, Enter opens a model's page, Space picks it`);
    place.addEventListener("keydown", (event) => this.key(event));
    place.addEventListener("blur", () => this.step(-1));
    for (const name of ["pointerdown", "click"]) place.addEventListener(name, (event) => this.touched(event), true);
  }

  // Draws it once; a promise of that.
  drawing() {
    this.promise ??= this.draw();
    return this.promise;
  }

  async draw() {
    const { card } = this.page;
    this.handle = await zooFigures.draw(this.inside, this.spec, {
      models: this.models,
      theme: theme(),
      brushed: (models) => this.brushed(models),
      opened: (model) => this.open(model),
      hovered: (model, event) => {
        if (model) card.show(model, event.clientX, event.clientY);
        else if (event.pointerType !== "touch") card.hide();
      },
    });
    this.place.classList.add("drawn");
    this.pick();
  }

  // Vega knows what is under a pointer once it has moved there, and forgets it when a finger is lifted.
  touched(event) {
    this.pointer = event;
    const { pointerType, clientX, clientY, target } = event;
    if (pointerType !== "touch") return;
    target.dispatchEvent(new PointerEvent("pointermove", { pointerType, clientX, clientY, bubbles: true }));
  }

  // A finger has no hover: its touch shows the card, which has the link.
  open(model) {
    const { pointerType, clientX, clientY } = this.pointer ?? {};
    if (pointerType === "touch") this.page.card.show(model, clientX, clientY, true);
    else location.hash = linkTo(model);
  }

  // What its own brush holds, or null.
  brushed(models) {
    const { choice } = this.page;
    const wasBrushed = this.isBrushed;
    this.isBrushed = models !== null;
    if (models) choice.set("brushed", models, this);
    else if (wasBrushed && choice.source === this) choice.set("brushed", null);
  }

  // Takes its brush away where that of another figure, or none, counts.
  unbrush() {
    if (!this.isBrushed || this.page.choice.source === this) return;
    this.isBrushed = false;
    this.handle.clear();
  }

  // Shows what is chosen; a promise of that. Out of sight it waits until it is seen.
  pick() {
    if (!this.handle) return null;
    if (this.isInSight) return this.paint();
    this.isStale = true;
    return null;
  }

  // While one repaint runs, only the last choice waits.
  paint() {
    if (this.repaint) {
      this.isStale = true;
      return this.repaint;
    }
    this.isStale = false;
    const { choice } = this.page;
    const isOwn = choice.source === this && !choice.found && !choice.picked.size;
    this.repaint = this.handle.pick(isOwn ? null : choice.lit()).then(() => {
      this.repaint = null;
      return this.isStale ? this.pick() : null;
    });
    return this.repaint;
  }

  // It has come into sight, or gone.
  seen(isInSight) {
    this.isInSight = isInSight;
    if (isInSight) this.show();
  }

  // Shows the last choice, in sight or not; a promise of that.
  show() {
    return this.handle && this.isStale ? this.paint() : this.repaint;
  }

  // Its models from the least accurate to the most, which is from left to right.
  get order() {
    const data = this.handle.view;
    const names = new Set(this.has("points") ? data.data("points").map((row) => row.model) : data.data("lines").map((row) => row.model));
    return [...this.page.card.rows.keys()].reverse().filter((model) => names.has(model));
  }

  has(name) {
    return name in this.spec.data;
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!this.handle || event.target !== this.place) return;
    const models = this.order;
    if (step && models.length) {
      event.preventDefault();
      this.step(this.at < 0 ? (step > 0 ? 0 : models.length - 1) : (this.at + step + models.length) % models.length, models);
    } else if (event.key === "Enter" && this.at >= 0) {
      location.hash = linkTo(models[this.at]);
    } else if (event.key === " " && this.at >= 0) {
      event.preventDefault();
      this.page.choice.toggle(models[this.at], !this.page.choice.picked.has(models[this.at]));
    }
  }

  // Goes to a model, or away from all.
  step(at, models = []) {
    const { card } = this.page;
    if (at < 0 && this.at < 0) return;
    this.at = at;
    if (at < 0) {
      card.hide();
      this.pick();
      return;
    }
    this.handle.pick([models[at]]);
    const box = this.place.getBoundingClientRect();
    card.show(models[at], box.left + 40, box.top + 20);
    card.tell(models[at]);
  }
}

// Tells figures whether they are in sight: of many on a page few are.
function watchSight(plots) {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) plots.find((plot) => plot.place === entry.target).seen(entry.isIntersecting);
  }, { rootMargin: "50px" });
  for (const plot of plots) watcher.observe(plot.place);
}

// Draws figures that come near the window, and the others when nothing else is to be done.
function drawInTurn(plots) {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      plots.find((plot) => plot.place === entry.target).drawing();
    }
  }, { rootMargin: "300px" });
  for (const plot of plots) watcher.observe(plot.place);
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 50));
  const next = (number) => {
    if (number < plots.length) idle(() => plots[number].drawing().then(() => next(number + 1)));
  };
  next(0);
}
