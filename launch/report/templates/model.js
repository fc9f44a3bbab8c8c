// The page's data, unpacked: every batch of a lane with its place on both axes and what became of it.
"use strict";

const KEPT = 0, AGAIN = 1, LOST = 2, UNFINISHED = 3, REFERENCE = 4;
const WORDS = ["kept", "done again", "lost", "not finished", "reference"];

/** The page's data, from its own element. */
function readData() {
  const element = document.getElementById("data");
  return element ? JSON.parse(element.textContent) : null;
}

/** One value for each of `length` places, from pairs of a value and how often it is repeated. */
function unrolled(pairs, length) {
  const values = new Int32Array(length);
  let at = 0;
  for (const [value, num] of pairs) { values.fill(value, at, at + num); at += num; }
  return values;
}

/** Numbers that count up, from pairs of a first one and how many there are. */
function counted(pairs, length) {
  const values = new Int32Array(length);
  let at = 0;
  for (const [first, num] of pairs) for (let n = 0; n < num; n++) values[at++] = first + n;
  return values;
}

/** Sums so far, of `length` differences; where there are fewer, the last sum goes on. */
function summed(differences, length) {
  const values = new Float64Array(length);
  let sum = 0;
  for (let n = 0; n < length; n++) { sum += differences[n] ?? 0; values[n] = sum; }
  return values;
}

/**
 * A process with one entry a batch: `number` in the samples, `epoch`, `batch` of the epoch, `step` since training began, where it
 * lies in steps (`x0`, `x1`) and in microseconds (`t0`, `t1`), and its `state`.
 */
function unpackLane(packed, isReference) {
  const lane = { end: "", num_steps: 0, num_kept: 0, num_replayed: 0, first_step: 0, begin_us: 0, end_us: 0, node: 0, pid: 0,
    numbers: [], places: [], sizes: [], num_unfinished: 0, num_waiting: 0, received_us: [], done_us: [], losses: [], strays: [], marks: [],
    ...packed, isReference };
  const length = lane.numbers.reduce((sum, [, num]) => sum + num, 0);
  lane.length = length;
  lane.number = counted(lane.numbers, length);
  lane.epoch = unrolled(lane.places.map(([epoch, , num]) => [epoch, num]), length);
  lane.batch = counted(lane.places.map(([, first, num]) => [first, num]), length);
  lane.t0 = summed(lane.received_us, length);
  const done = summed(lane.done_us, lane.num_steps);
  const sizes = unrolled(lane.sizes, lane.num_steps);
  lane.step = new Int32Array(length);
  lane.x0 = new Float64Array(length);
  lane.x1 = new Float64Array(length);
  lane.t1 = new Float64Array(length);
  lane.state = new Uint8Array(length);
  lane.beginOf = new Int32Array(lane.num_steps + 2);
  lane.doneAt = done;
  let at = 0;
  for (let n = 0; n <= lane.num_steps; n++) {
    const isOpen = n === lane.num_steps;
    const size = isOpen ? length - at : sizes[n];
    lane.beginOf[n] = at;
    for (let part = 0; part < size; part++, at++) {
      lane.step[at] = lane.first_step + n;
      lane.x0[at] = lane.first_step + n + part / size;
      lane.x1[at] = lane.first_step + n + (part + 1) / size;
      lane.t1[at] = part + 1 < size ? lane.t0[at + 1] : isOpen ? lane.end_us : done[n];
      lane.state[at] = isReference ? REFERENCE : isOpen ? UNFINISHED : n >= lane.num_kept ? LOST : n < lane.num_replayed ? AGAIN : KEPT;
    }
  }
  lane.beginOf[lane.num_steps + 1] = at;
  lane.differs = new Uint8Array(length);
  return lane;
}

/** The batches of one step of a lane, as a range; empty where it did not do it. */
function rangeOf(lane, step) {
  const own = step - lane.first_step;
  return own < 0 || own > lane.num_steps ? [0, 0] : [lane.beginOf[own], lane.beginOf[own + 1]];
}

/**
 * Marks which batches are not the reference's at that step, and says where in its epoch each should stand: a process that goes on in
 * the middle of an epoch may count from 0. Where the number of ranks is another, nothing is compared.
 */
function compare(lane, reference) {
  lane.isCompared = Boolean(reference) && reference.world_size === lane.world_size;
  if (!lane.isCompared) return;
  for (let n = 0; n <= lane.num_steps; n++) {
    const [begin, end] = rangeOf(lane, lane.first_step + n);
    const [right, stop] = rangeOf(reference, lane.first_step + n);
    for (let at = begin; at < end; at++) {
      const expected = right + at - begin;
      lane.differs[at] = expected < stop && reference.number[expected] === lane.number[at] ? 0 : 1;
      if (expected < stop) { lane.epoch[at] = reference.epoch[expected]; lane.batch[at] = reference.batch[expected]; }
    }
  }
}

/** Batches that look alike and follow one another: what is drawn where a single batch would be too narrow. */
function segmentsOf(lane) {
  const segments = [];
  let begin = 0;
  for (let at = 1; at <= lane.length; at++) {
    const isSame = at < lane.length && lane.state[at] === lane.state[begin] && lane.differs[at] === lane.differs[begin] &&
      lane.x0[at] - lane.x1[at - 1] < 1e-6;
    if (!isSame) { if (at > begin) segments.push([begin, at - 1]); begin = at; }
  }
  return segments;
}

/** Everything that the timeline of one case shows; null where the page holds none. */
function openCase(data, anchor) {
  const entry = data.cases[anchor];
  if (!entry || entry.track === null) return null;
  const track = data.tracks[entry.track];
  const references = entry.reference === null ? [] : data.tracks[entry.reference].lanes.map((lane) => unpackLane(lane, true));
  const byRank = new Map(references.map((lane) => [lane.rank, lane]));
  const lanes = track.lanes.map((lane) => unpackLane(lane, false));
  for (const lane of lanes) { compare(lane, byRank.get(lane.rank)); lane.segments = segmentsOf(lane); }
  for (const lane of references) lane.segments = segmentsOf(lane);
  const everything = [...references, ...lanes];
  return {
    lanes, references, byRank,
    links: track.links, events: track.node_events,
    ranks: [...new Set(everything.map((lane) => lane.rank))].sort((a, b) => a - b),
    numSteps: everything.reduce((most, lane) => Math.max(most, lane.first_step + lane.num_steps), 1),
    duration: everything.reduce((most, lane) => Math.max(most, lane.end_us, lane.t1[lane.length - 1] ?? 0), 1),
    samples: data.samples.batches, sizes: data.samples.sizes ?? {},
  };
}

/** Every batch that holds a sample, as [lane, batch]. */
function occurrences(shown, sample) {
  const numbers = new Set();
  shown.samples.forEach((batch, number) => { if (batch.some((one) => String(one) === sample)) numbers.add(number); });
  const found = [];
  for (const lane of [...shown.references, ...shown.lanes]) {
    for (let at = 0; at < lane.length; at++) if (numbers.has(lane.number[at])) found.push([lane, at]);
  }
  return found;
}

/** What a person calls a lane. */
function nameOf(lane) {
  return lane.isReference ? `rank ${lane.rank}, reference` : `rank ${lane.rank}, incarnation ${lane.incarnation}`;
}

/** Whether a step left different parameters than the reference's. */
function isStray(lane, step) {
  return lane.strays.some(([first, num]) => step - lane.first_step >= first && step - lane.first_step < first + num);
}

/** What became of a batch, in words. */
function wordOf(lane, at) {
  return WORDS[lane.state[at]] + (lane.differs[at] ? ", differs" : "") + (isStray(lane, lane.step[at]) ? ", parameters differ" : "");
}
