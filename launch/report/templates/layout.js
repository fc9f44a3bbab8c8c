// Where everything lies: rows for the ranks, a scale for the steps or the time.
"use strict";

const ROW = 20, REFERENCE_ROW = 12, GAP = 12, AXIS = 24, PAD = 12;

/** Where a lane begins and ends on an axis. */
function extentOf(lane, view) {
  if (view === "time") return [lane.begin_us, Math.max(lane.end_us, lane.t1[lane.length - 1] ?? 0)];
  return [lane.first_step, Math.max(lane.first_step + lane.num_steps, lane.x1[lane.length - 1] ?? 0)];
}

/** Rows from the top: each rank's reference, then its processes, each in the first row where it does not touch another. */
function layoutOf(shown, state) {
  const ranks = shown.ranks.filter((rank) => isAmong(state.ranks, rank));
  const placed = [], groups = [], rows = [];
  let y = AXIS;
  for (const rank of ranks) {
    const own = shown.lanes.filter((lane) => lane.rank === rank);
    if (state.different && !own.some((lane) => lane.differs.includes(1))) continue;
    const group = { rank, y };
    const reference = state.reference ? shown.byRank.get(rank) : undefined;
    if (reference) {
      placed.push({ lane: reference, y, height: REFERENCE_ROW - 3 });
      rows.push({ lanes: [reference], y, height: REFERENCE_ROW - 3 });
      y += REFERENCE_ROW;
    }
    const ends = [], first = rows.length;
    for (const lane of own) {
      const [begin, end] = extentOf(lane, state.view);
      let row = ends.findIndex((last) => last < begin);
      if (row < 0) { row = ends.push(0) - 1; rows.push({ lanes: [], y: y + row * ROW, height: ROW - 5 }); }
      rows[first + row].lanes.push(lane);
      ends[row] = Math.max(end, begin + 1e-9);
      placed.push({ lane, y: y + row * ROW, height: ROW - 5 });
    }
    y += Math.max(ends.length, own.length ? 1 : 0) * ROW + GAP;
    group.end = y - GAP;
    groups.push(group);
  }
  return { placed, groups, rows, height: Math.max(y, AXIS + 2 * ROW) };
}

/** Between what is shown of an axis and pixels. */
function scaleOf(shown, state, width) {
  const whole = state.view === "time" ? shown.duration : shown.numSteps;
  const unit = state.view === "time" ? 1e6 : 1;  // the address has seconds
  const left = width < 560 ? 66 : 94;
  let from = state.from === null ? 0 : state.from * unit, to = state.to === null ? whole : state.to * unit;
  if (!(to > from)) { from = 0; to = whole; }
  const room = Math.max(1, width - left - PAD);
  return { from, to, whole, unit, left, right: left + room, perPixel: (to - from) / room,
    x: (value) => left + ((value - from) / (to - from)) * room,
    value: (x) => from + ((x - left) / room) * (to - from) };
}

/** Round numbers for an axis, about every `pixels`. */
function ticksOf(scale, view, pixels) {
  const least = Math.max(scale.perPixel * pixels, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const width = [1, 2, 5, 10].map((times) => times * power).find((value) => value >= least);
  const ticks = [];
  for (let value = Math.ceil(scale.from / width) * width; value <= scale.to; value += width) ticks.push(value);
  return ticks;
}

/** The first batch of a lane that ends after a value of an axis. */
function firstAfter(lane, value, view) {
  const ends = view === "time" ? lane.t1 : lane.x1;
  let low = 0, high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > value) high = middle; else low = middle + 1;
  }
  return low;
}

/** A span of time as people say it. */
function durationOf(us, stepUs = us) {
  if (stepUs < 1000) return `${Math.round(us)} µs`;
  if (stepUs < 1e6) return us < 1e6 ? `${Math.round(us / 1000)} ms` : `${(us / 1e6).toFixed(stepUs < 1e4 ? 3 : 2)} s`;
  return us < 120e6 ? `${(us / 1e6).toFixed(stepUs < 1e7 ? 1 : 0)} s` : `${Math.floor(us / 60e6)} min ${Math.round((us % 60e6) / 1e6)} s`;
}
