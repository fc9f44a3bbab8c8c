// Holds it together: what is asked for by hand, keys or address is kept in one state, and everything is drawn from that.
"use strict";

class Timeline {
  constructor(data, element) {
    this.data = data;
    this.element = element;
    this.stage = element.querySelector(".stage");
    this.canvas = element.querySelector("canvas");
    this.spacer = element.querySelector(".spacer");
    this.tools = element.querySelector(".tools");
    this.tip = element.querySelector(".tip");
    this.state = parseState("");
    this.isDue = false;
    this.isPrinted = false;
    this.listen();
    this.follow();
  }

  /** Takes the state from the address. */
  follow() {
    const anchors = Object.keys(this.data.cases);
    const asked = parseState(location.hash);
    if (!(asked.anchor in this.data.cases)) asked.anchor = anchors.length === 1 ? anchors[0] : document.querySelector("main").dataset.first ?? "";
    const isNew = asked.anchor !== this.state.anchor || !this.opened;
    this.state = asked;
    if (isNew) this.open();
    this.refresh();
  }

  /** Shows a case's own section, and puts the timeline there. */
  open() {
    const { anchor } = this.state;
    this.opened = true;
    for (const section of document.querySelectorAll(".case")) section.hidden = section.id !== anchor;
    for (const link of document.querySelectorAll(".grid a")) {
      if (link.hash === `#${anchor}`) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
    this.shown = anchor ? openCase(this.data, anchor) : null;
    this.element.hidden = !this.shown;
    if (!this.shown) return;
    const section = document.getElementById(anchor);
    section.querySelector(".timeline-place").append(this.element);
    const first = section.dataset;
    if (this.state.step === null && this.state.sample === "" && first.step !== undefined) {
      Object.assign(this.state, { step: Number(first.step), rank: first.rank ? Number(first.rank) : null, life: first.life ?? null });
    }
  }

  /** Where epochs begin in all lanes alike; none by time, and none where the number of ranks changed: each lane has its own. */
  epochs() {
    const { references, lanes } = this.shown;
    if (this.state.view === "time" || lanes.some((lane) => lane.world_size !== (references[0] ?? lanes[0]).world_size)) return [];
    return epochsOf([...references, ...lanes].reduce((best, lane) => lane.num_steps > best.num_steps ? lane : best));
  }

  /** Changes the state, and with it the address and all that is shown. */
  set(changes) {
    Object.assign(this.state, changes);
    history.replaceState(null, "", fragmentOf(this.state));
    this.refresh();
  }

  refresh() {
    if (!this.shown) return this.ready();
    const { state, shown, tools } = this;
    for (const button of tools.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
    for (const name of ["reference", "saves", "different"]) tools.elements[name].checked = state[name];
    for (const name of ["ranks", "sample"]) if (document.activeElement !== tools.elements[name]) tools.elements[name].value = state[name];
    if (document.activeElement !== tools.elements.step) tools.elements.step.value = state.step ?? "";
    this.layout = layoutOf(shown, state);
    if (this.foundFor !== state.sample) {
      this.foundFor = state.sample;
      this.foundList = state.sample ? occurrences(shown, state.sample) : [];
    }
    if (this.foundIn !== shown) { this.foundIn = shown; this.foundList = state.sample ? occurrences(shown, state.sample) : []; }
    this.found = new Map();
    for (const [lane, at] of this.foundList) { if (!this.found.has(lane)) this.found.set(lane, []); this.found.get(lane).push(at); }
    this.tell();
    this.draw();
  }

  /** The tables below the timeline. */
  tell() {
    const { state, shown } = this;
    const lanes = this.layout.placed.map((one) => one.lane);
    const pick = (changes) => this.set(changes);
    const parts = [];
    if (state.step !== null) parts.push(stepTable(shown, lanes, state, pick));
    if (state.sample) parts.push(sampleTable(shown, this.foundList.filter(([lane]) => lanes.includes(lane)), state, pick));
    if (!lanes.length) parts.push(make("p", { class: "quiet" }, "No rank is left by these filters."));
    this.element.querySelector(".told").replaceChildren(...parts);
  }

  draw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => { this.isDue = false; this.paintNow(); this.ready(); });
  }

  /** What is asked for, which may not be painted yet: keys and moves come faster than frames, and none may be lost. */
  get scale() {
    return scaleOf(this.shown, this.state, this.stage.clientWidth);
  }

  get selected() {
    const { rank, life } = this.state;
    return [...this.shown.references, ...this.shown.lanes].find((lane) => lane.rank === rank && lifeOf(lane) === life);
  }

  scene() {
    const width = this.stage.clientWidth, shownHeight = this.isPrinted ? this.layout.height : Math.min(this.layout.height, this.stage.clientHeight);
    const { scale, selected } = this;
    return { shown: this.shown, state: this.state, layout: this.layout, scale, colors: paletteOf(this.element), top: this.isPrinted ? 0 : this.stage.scrollTop,
      width, height: shownHeight, ratio: Math.min(3, window.devicePixelRatio || 1), found: this.found, selected, epochs: this.epochs() };
  }

  paintNow() {
    if (!this.shown) return;
    const begin = performance.now();
    this.spacer.style.height = `${this.layout.height}px`;
    this.last = this.scene();
    paint(this.canvas, this.last);
    document.documentElement.dataset.paintMs = (performance.now() - begin).toFixed(1);
  }

  /** On paper: all of it, in the light colours. */
  print(isPrinted) {
    this.isPrinted = isPrinted;
    document.documentElement.classList.toggle("printed", isPrinted);
    this.paintNow();
  }

  ready() {
    document.documentElement.dataset.ready = this.state.anchor || "none";
  }

  /** The lane and batch under a point of the canvas. */
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top + this.last.top;
    if (x < this.last.scale.left - 8) return null;
    const value = this.last.scale.value(x);
    const rows = this.layout.placed.filter((one) => y >= one.y - 2 && y < one.y + one.height + 5);
    for (const one of rows) {
      const at = firstAfter(one.lane, value, this.state.view);
      const begins = this.state.view === "time" ? one.lane.t0 : one.lane.x0;
      if (at < one.lane.length && begins[at] <= value) return { ...one, at, value };
    }
    return { lane: rows[0]?.lane, at: null, value };
  }

  /** What stays where it is while the keys and buttons zoom: the selected step if it is in sight, or else the middle. */
  pivot() {
    const { scale, selected } = this, { step, view } = this.state;
    const [at, end] = selected && step !== null ? rangeOf(selected, step) : [0, 0];
    const x = at < end ? scale.x((view === "time" ? selected.t0 : selected.x0)[at]) : NaN;
    return x >= scale.left && x <= scale.right ? x : (scale.left + scale.right) / 2;
  }

  zoom(factor, x = this.pivot()) {
    const { scale } = this, center = scale.value(x);
    const least = this.state.view === "time" ? 200 : 1;
    let from = center - (center - scale.from) * factor, to = center + (scale.to - center) * factor;
    if (to - from < least) { from = center - least / 2; to = center + least / 2; }
    this.show(from, to);
  }

  /** Shows a range of the axis, kept within the whole. */
  show(from, to) {
    const { whole, unit } = this.scale, size = Math.min(to - from, whole);
    from = Math.min(Math.max(0, from), whole - size);
    const isWhole = size >= whole * 0.999;
    this.set({ from: isWhole ? null : from / unit, to: isWhole ? null : (from + size) / unit });
  }

  pan(pixels) {
    const { scale } = this;
    this.show(scale.from + pixels * scale.perPixel, scale.to + pixels * scale.perPixel);
  }

  /** Selects the step before or after, and keeps it in sight. */
  move(by) {
    const step = this.state.step === null ? 0 : Math.min(Math.max(0, this.state.step + by), this.shown.numSteps - 1);
    const { scale } = this;
    const changes = { step };
    if (this.state.view === "step" && this.state.to !== null && (step < scale.from || step + 1 > scale.to)) {
      const size = scale.to - scale.from, from = Math.min(Math.max(0, step - size / 2), scale.whole - size);
      Object.assign(changes, { from, to: from + size });
    }
    this.set(changes);
  }

  /** Selects the lane above or below. */
  climb(by) {
    const lanes = this.layout.placed.map((one) => one.lane);
    const now = lanes.findIndex((lane) => lane === this.selected);
    const next = lanes[Math.min(Math.max(0, now + by), lanes.length - 1)];
    if (next) this.set({ rank: next.rank, life: lifeOf(next), step: this.state.step ?? next.first_step });
  }

  onKey(event) {
    const act = {
      ArrowLeft: () => event.shiftKey ? this.pan(-120) : this.move(-1), ArrowRight: () => event.shiftKey ? this.pan(120) : this.move(1),
      ArrowUp: () => this.climb(-1), ArrowDown: () => this.climb(1), Home: () => this.move(-1e9), End: () => this.move(1e9),
      "+": () => this.zoom(0.6), "=": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6), 0: () => this.set({ from: null, to: null }),
      t: () => this.turn(this.state.view === "time" ? "step" : "time"), Escape: () => this.set({ step: null, rank: null, life: null, sample: "" }),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  turn(view) {
    this.set({ view, from: null, to: null });
  }

  hover(event) {
    const hit = this.last && !this.drag ? this.under(event) : null;
    this.tip.hidden = !hit?.lane;
    this.canvas.style.cursor = hit?.at == null ? "grab" : "pointer";
    if (this.tip.hidden) return;
    const { lane, at } = hit;
    const marks = lane.marks.filter((mark) => Math.abs(this.last.scale.x(placeOf(this.last, lane, mark)) - this.last.scale.x(hit.value)) < 6);
    const lines = [nameOf(lane), ...(at === null ? [lane.how] : [`step ${lane.step[at]}, epoch ${lane.epoch[at]}, batch ${lane.batch[at]}: ${wordOf(lane, at)}`]), ...marks.map((mark) => `${mark.kind}: ${mark.text}`)];
    this.tip.textContent = lines.join("\n");
    const box = this.element.getBoundingClientRect();
    this.tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth - 4)}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  listen() {
    const { stage, canvas, tools } = this;
    window.addEventListener("hashchange", () => this.follow());
    window.addEventListener("resize", () => this.shown && this.draw());
    stage.addEventListener("scroll", () => this.draw());
    stage.addEventListener("keydown", (event) => this.onKey(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.shown && this.draw());
    window.addEventListener("beforeprint", () => this.print(true));
    window.addEventListener("afterprint", () => this.print(false));
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.addEventListener("click", (event) => {
      const { view, zoom } = event.target.dataset ?? {};
      if (view) this.turn(view);
      if (zoom === "fit") this.set({ from: null, to: null });
      if (zoom === "in" || zoom === "out") this.zoom(zoom === "in" ? 0.5 : 2);
    });
    tools.addEventListener("input", ({ target }) => {
      if (target.type === "checkbox") this.set({ [target.name]: target.checked });
      else if (target.name === "step") this.set({ step: target.value === "" ? null : Math.max(0, Math.floor(Number(target.value)) || 0) });
      else if (target.name) this.set({ [target.name]: target.value.trim() });
    });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY / 200), event.clientX - canvas.getBoundingClientRect().left);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => { this.drag = { x: event.clientX, moved: 0 }; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.drag) return this.hover(event);
      const by = this.drag.x - event.clientX;
      this.drag.moved += Math.abs(by);
      this.drag.x = event.clientX;
      if (this.drag.moved > 4) { this.tip.hidden = true; this.pan(by); }
    });
    canvas.addEventListener("pointerup", (event) => {
      const drag = this.drag;
      this.drag = null;
      if (!drag || drag.moved > 4) return;
      stage.focus({ preventScroll: true });
      const hit = this.under(event);
      if (hit?.lane && hit.at !== null) this.set({ step: hit.lane.step[hit.at], rank: hit.lane.rank, life: lifeOf(hit.lane) });
      else if (hit && this.state.view === "step") this.set({ step: Math.max(0, Math.min(Math.floor(hit.value), this.shown.numSteps - 1)), rank: null, life: null });
    });
    canvas.addEventListener("pointercancel", () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    canvas.addEventListener("dblclick", (event) => this.zoom(0.4, event.clientX - canvas.getBoundingClientRect().left));
  }
}

addEventListener("DOMContentLoaded", () => {
  const data = readData(), element = document.getElementById("timeline");
  if (data && element) new Timeline(data, element);
});
