// What is selected, as tables: every process at one step, and every place of one sample.
"use strict";

const MAX_ROWS = 64, MAX_SAMPLES = 24;

/** An element with text and children; never with markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value); else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A table that shows its first rows, and all of them when asked. */
function table(heads, rows) {
  const body = make("tbody");
  const show = (some) => body.append(...some.map((build) => build()));
  show(rows.slice(0, MAX_ROWS));
  const whole = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body);
  if (rows.length <= MAX_ROWS) return make("div", { class: "scroll" }, whole);
  const more = make("button", { type: "button", onclick: () => { show(rows.slice(MAX_ROWS)); more.remove(); } }, `show ${rows.length - MAX_ROWS} more`);
  return make("div", { class: "scroll" }, whole, more);
}

/** Of a digest, which nobody reads, its beginning. */
function named(sample) {
  return /^[0-9a-f]{32}$/.test(sample) ? sample.slice(0, 8) : sample;
}

/** The samples of a batch as buttons; those in `marked` are not as expected. */
function chips(shown, number, state, pick, marked) {
  const samples = shown.samples[number] ?? [];
  const build = (sample, place) => make("button", { type: "button", class: "chip" + (marked?.(sample, place) ? " differs" : ""),
    "aria-pressed": String(sample) === state.sample ? "true" : "false", title: String(sample), onclick: () => pick({ sample: String(sample) }) }, named(String(sample)));
  const cell = make("span", { class: "chips" }, ...samples.slice(0, MAX_SAMPLES).map(build));
  const rest = samples.slice(MAX_SAMPLES);
  if (rest.length) {
    const more = make("button", { type: "button", class: "more", onclick: () => { more.replaceWith(...rest.map((sample, place) => build(sample, place + MAX_SAMPLES))); } }, `${rest.length} more`);
    cell.append(more);
  }
  const hidden = (shown.sizes[number] ?? samples.length) - samples.length;
  if (hidden > 0) cell.append(make("span", { class: "quiet" }, ` and ${hidden} that this page does not hold`));
  return cell;
}

/** Every process that did a step, the reference of each rank before it. */
function stepTable(shown, lanes, state, pick) {
  const own = lanes.filter((lane) => { const [begin, end] = rangeOf(lane, state.step); return end > begin || isBetween(lane, state.step); });
  const rows = own.sort((a, b) => a.rank - b.rank || b.isReference - a.isReference || a.incarnation - b.incarnation).map((lane) => () => stepRow(shown, lane, state, pick));
  return make("section", { id: "at-step" }, make("h3", {}, `Step ${state.step}`, own.length ? "" : ": nobody did it"),
    own.length ? table(["", "epoch, batch", "samples", "loss", ""], rows) : null);
}

function isBetween(lane, step) {
  return step >= lane.first_step && step < lane.first_step + lane.num_steps;
}

function stepRow(shown, lane, state, pick) {
  const [begin, end] = rangeOf(lane, state.step);
  const isSelected = state.rank === lane.rank && state.life === lifeOf(lane);
  const batches = [...Array(end - begin).keys()].map((n) => begin + n);
  const reference = lane.isCompared ? shown.byRank.get(lane.rank) : null;
  const cells = batches.map((at) => {
    const expected = reference && lane.differs[at] ? shown.samples[reference.number[rangeOf(reference, state.step)[0] + at - begin]] ?? [] : null;
    return make("div", {}, chips(shown, lane.number[at], state, pick, expected && ((sample, place) => expected[place] !== sample)));
  });
  const loss = lane.losses[state.step - lane.first_step], expected = reference?.losses[state.step - reference.first_step];
  const isOff = loss !== undefined && expected !== undefined && String(loss) !== String(expected);
  return make("tr", { class: (isSelected ? "selected " : "") + (lane.isReference ? "reference" : ""), "aria-selected": String(isSelected) },
    make("th", { scope: "row" }, make("button", { type: "button", class: "plain", onclick: () => pick({ rank: lane.rank, life: lifeOf(lane) }) }, nameOf(lane))),
    make("td", {}, ...batches.map((at) => make("div", {}, `${lane.epoch[at]}, ${lane.batch[at]}`))),
    make("td", {}, ...(cells.length ? cells : [make("span", { class: "quiet" }, "no batch was seen")])),
    make("td", { class: "number" + (isOff ? " differs" : ""), title: String(loss ?? "") }, [loss ?? ""].flat().map((one) => one === "" || one === null ? "" : one.toPrecision(6)).join(" ")),
    make("td", {}, batches.length ? wordsOf(lane, begin, end) : ""));
}

function wordsOf(lane, begin, end) {
  const differing = [...Array(end - begin).keys()].find((n) => lane.differs[begin + n]);
  return make("span", { class: differing === undefined && !isStray(lane, lane.step[begin]) ? "" : "differs" }, wordOf(lane, begin + (differing ?? 0)));
}

/** The incarnation of a lane as the address has it. */
function lifeOf(lane) {
  return lane.isReference ? "reference" : String(lane.incarnation);
}

/** Every place of a sample, in all ranks and incarnations. */
function sampleTable(shown, found, state, pick) {
  const own = found.filter(([lane]) => !lane.isReference).length;
  const head = make("h3", {}, `Sample ${state.sample}`, make("small", {}, found.length ? ` ${own} times in this run, ${found.length - own} in its reference` : ": nowhere"),
    make("button", { type: "button", class: "plain", onclick: () => pick({ sample: "" }) }, "clear"));
  const rows = found.slice().sort(([a, m], [b, n]) => a.step[m] - b.step[n] || a.rank - b.rank || b.isReference - a.isReference || a.incarnation - b.incarnation).map(([lane, at]) => () => make("tr", { class: lane.isReference ? "reference" : "" },
    make("th", { scope: "row" }, make("button", { type: "button", class: "plain", onclick: () => pick({ step: lane.step[at], rank: lane.rank, life: lifeOf(lane) }) }, nameOf(lane))),
    make("td", { class: "number" }, String(lane.step[at])),
    make("td", {}, `${lane.epoch[at]}, ${lane.batch[at]}`),
    make("td", {}, make("span", { class: lane.differs[at] ? "differs" : "" }, wordOf(lane, at)))));
  return make("section", { id: "of-sample" }, head, rows.length ? table(["", "step", "epoch, batch", ""], rows) : null);
}
