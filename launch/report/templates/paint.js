// Draws the timeline on a canvas: only what is visible, and single batches only where they can be told apart.
"use strict";

const MIN_BOX = 3, MIN_TEXT = 26, FONT = "system-ui, sans-serif", MONO = "ui-monospace, 'DejaVu Sans Mono', monospace";

/** The page's colours, as its style sheet has them now. */
function paletteOf(element) {
  const style = getComputedStyle(element);
  const names = ["paper", "ink", "quiet", "line", "panel", "kept", "again", "lost", "reference", "differs", "strays", "valid", "invalid", "link", "found"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Draws everything between two heights of the layout. */
function paint(canvas, scene) {
  const { layout, scale, state, colors, top, width, height } = scene;
  const ratio = scene.ratio;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colors.paper;
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = "middle";
  const brush = { pen, colors, scale, state, scene };
  const visible = layout.placed.filter((one) => one.y + ROW >= top + AXIS - ROW && one.y <= top + height);
  pen.save();
  pen.beginPath();
  pen.rect(scale.left - 8, AXIS - 2, width - scale.left + 8, height);
  pen.clip();
  pen.translate(0, -top);
  paintEpochs(brush);
  paintCursor(brush);
  for (const one of visible) paintLane(brush, one);
  if (state.saves) paintLinks(brush);
  for (const one of visible) paintMarks(brush, one);
  paintNodeEvents(brush);
  pen.restore();
  paintLabels(brush, top, height);
  paintAxis(brush, width);
}

function fillOf(lane, at, colors) {
  if (lane.isReference) return colors.reference;
  if (lane.state[at] === LOST || lane.state[at] === UNFINISHED) return colors.lost;
  if (lane.differs[at]) return colors.differs;
  return lane.state[at] === AGAIN ? colors.again : colors.kept;
}

function paintLane(brush, { lane, y, height }) {
  const { pen, colors, scale, state } = brush;
  const begins = state.view === "time" ? lane.t0 : lane.x0, ends = state.view === "time" ? lane.t1 : lane.x1;
  if (state.view === "time" && !lane.isReference) {  // alive, whether it trains or not
    pen.fillStyle = colors.panel;
    pen.fillRect(scale.x(lane.begin_us), y, Math.max(1, (lane.end_us - lane.begin_us) / scale.perPixel), height);
  }
  const span = lane.length ? ends[lane.length - 1] - begins[0] : 0;
  const isDetailed = lane.length > 0 && span / lane.length / scale.perPixel >= MIN_BOX;
  const first = firstAfter(lane, scale.from, state.view);
  if (isDetailed) {
    for (let at = first; at < lane.length && begins[at] <= scale.to; at++) paintBox(brush, lane, at, y, height, scale.x(begins[at]), scale.x(ends[at]));
  } else {
    for (const [begin, end] of lane.segments) {
      if (ends[end] < scale.from || begins[begin] > scale.to) continue;
      fillPart(brush, lane, begin, scale.x(begins[begin]), y, Math.max(1, (ends[end] - begins[begin]) / scale.perPixel), height);
    }
  }
  paintStrays(brush, lane, y + height);
  paintFound(brush, lane, y, height);
}

/** A line below the steps that left different parameters than the reference's. */
function paintStrays(brush, lane, y) {
  const { pen, colors, scale, state } = brush;
  pen.fillStyle = colors.strays;
  for (const [first, num] of lane.strays) {
    const [begin] = rangeOf(lane, lane.first_step + first), [, end] = rangeOf(lane, lane.first_step + first + num - 1);
    if (end <= begin) continue;
    const x0 = scale.x(state.view === "time" ? lane.t0[begin] : lane.x0[begin]);
    const x1 = scale.x(state.view === "time" ? lane.t1[end - 1] : lane.x1[end - 1]);
    pen.fillRect(x0, y + 1, Math.max(1, x1 - x0), 2);
  }
}

/** A rectangle in the colour of a batch; hatched where a restart threw it away. */
function fillPart(brush, lane, at, x, y, width, height) {
  const { pen, colors } = brush;
  pen.fillStyle = fillOf(lane, at, colors);
  if (!lane.isReference && lane.state[at] === LOST) {
    pen.globalAlpha = 0.35;
    pen.fillRect(x, y, width, height);
    pen.globalAlpha = 1;
    hatch(brush, x, y, width, height, lane.differs[at] ? colors.differs : colors.quiet);
  } else if (!lane.isReference && lane.state[at] === UNFINISHED) {
    pen.strokeStyle = colors.quiet;
    pen.lineWidth = 1;
    pen.setLineDash([2, 2]);
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
    pen.setLineDash([]);
  } else {
    pen.fillRect(x, y, width, height);
  }
}

function hatch(brush, x, y, width, height, color) {
  const { pen, scale } = brush;
  const begin = Math.max(x, scale.left - 8), end = Math.min(x + width, scale.right + PAD);
  if (end <= begin) return;
  pen.save();
  pen.beginPath();
  pen.rect(begin, y, end - begin, height);
  pen.clip();
  pen.beginPath();
  for (let at = begin - height; at < end; at += 5) { pen.moveTo(at, y + height); pen.lineTo(at + height, y); }
  pen.strokeStyle = color;
  pen.lineWidth = 1;
  pen.stroke();
  pen.restore();
}

function paintBox(brush, lane, at, y, height, begin, end) {
  const { pen, colors, scene } = brush;
  const width = Math.max(1, end - begin - (end - begin > 5 ? 1.5 : 0.6));
  fillPart(brush, lane, at, begin, y, width, height);
  if (end - begin < MIN_TEXT || lane.isReference && height < 9) return;
  const isPale = lane.state[at] >= LOST || lane.state[at] === AGAIN && !lane.differs[at];
  pen.fillStyle = isPale ? colors.ink : colors.paper;
  pen.font = `${height > 11 ? 10 : 8.5}px ${MONO}`;
  const room = Math.floor((width - 6) / (height > 11 ? 6.1 : 5.2));
  let text = (scene.shown.samples[lane.number[at]] ?? []).slice(0, 40).join(" ");
  if (text.length > room) text = room > 3 ? text.slice(0, room - 1).replace(/ \S*$/, "") + "…" : "";
  if (text) pen.fillText(text, Math.max(begin, brush.scale.left - 8) + 3, y + height / 2 + 0.5);
}

/** Frames around what was searched and what is selected. */
function paintFound(brush, lane, y, height) {
  const { pen, colors, scale, state, scene } = brush;
  const begins = state.view === "time" ? lane.t0 : lane.x0, ends = state.view === "time" ? lane.t1 : lane.x1;
  const frame = (at, color) => {
    const x = scale.x(begins[at]), width = Math.max(4, (ends[at] - begins[at]) / scale.perPixel - 1);
    pen.lineWidth = 2;
    pen.strokeStyle = color;
    pen.strokeRect(x - 1, y - 1.5, width + 1, height + 3);
  };
  for (const at of scene.found.get(lane) ?? []) if (ends[at] >= scale.from && begins[at] <= scale.to) frame(at, colors.found);
  if (state.step !== null && scene.selected === lane) {
    const [begin, end] = rangeOf(lane, state.step);
    for (let at = begin; at < end; at++) frame(at, colors.ink);
  }
}

function paintEpochs(brush) {
  const { pen, colors, scale, state, layout } = { ...brush, layout: brush.scene.layout };
  pen.strokeStyle = colors.quiet;
  pen.lineWidth = 1;
  pen.setLineDash([1, 3]);
  pen.beginPath();
  for (const { at } of brush.scene.epochs) line(pen, scale.x(at), AXIS, scale.x(at), layout.height);
  if (!brush.scene.epochs.length) {
    for (const { lane, y, height } of layout.placed) {
      for (const { at, time } of epochsOf(lane)) {
        const x = scale.x(state.view === "time" ? time : at);
        line(pen, x, y - 2, x, y + height + 2);
      }
    }
  }
  pen.stroke();
  pen.setLineDash([]);
}

function line(pen, x0, y0, x1, y1) {
  pen.moveTo(Math.round(x0) + 0.5, y0);
  pen.lineTo(Math.round(x1) + 0.5, y1);
}

function paintCursor(brush) {
  const { pen, colors, scale, state, scene } = brush;
  if (state.step === null || state.view !== "step") return;
  pen.fillStyle = colors.panel;
  pen.fillRect(scale.x(state.step), 0, Math.max(2, 1 / scale.perPixel), scene.layout.height);
}

function placeOf(scene, lane, mark) {
  return scene.state.view === "time" ? mark.at_us : mark.step;
}

function paintLinks(brush) {
  const { pen, colors, scale, scene } = brush;
  const rows = new Map(scene.layout.placed.map((one) => [one.lane, one]));
  pen.strokeStyle = colors.link;
  const fan = new Map();  // how many processes read a save: the lines of many would hide what lies below
  for (const { save } of scene.shown.links) fan.set(String(save), (fan.get(String(save)) ?? 0) + 1);
  for (const { save, load } of scene.shown.links) {
    const from = rows.get(scene.shown.lanes[save[0]]), to = rows.get(scene.shown.lanes[load[0]]);
    if (!from || !to) continue;
    const x0 = scale.x(placeOf(scene, from.lane, from.lane.marks[save[1]])), x1 = scale.x(placeOf(scene, to.lane, to.lane.marks[load[1]]));
    if (Math.max(x0, x1) < scale.left - 8 || Math.min(x0, x1) > scale.right + PAD) continue;
    const y0 = from.y + from.height + 2, y1 = to.y + to.height / 2;
    const isSelected = to.lane === scene.selected || from.lane === scene.selected;
    pen.globalAlpha = isSelected ? 1 : Math.min(0.75, 3 / fan.get(String(save)));
    pen.lineWidth = isSelected ? 1.8 : 1.2;
    const bend = Math.min(40, 12 + Math.abs(x1 - x0) / 3);
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.bezierCurveTo(x0 - (x1 - x0 < 8 ? 14 : -4), y0 + 6, x1 - bend, y1, x1 - 4, y1);
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

function paintMarks(brush, { lane, y, height }) {
  const { pen, colors, scale, state, scene } = brush;
  const [begin, end] = extentOf(lane, state.view);
  if (lane.isReference) {
    if (!state.saves) return;
    for (const mark of lane.marks) if (mark.kind === "save") dot(pen, scale.x(placeOf(scene, lane, mark)), y + height, colors.quiet, 1.5);
    return;
  }
  if (lane.incarnation > 0) triangle(pen, scale.x(begin) - (lane.marks.some((mark) => mark.kind === "load") && state.saves && state.view === "step" ? 13 : 7), y + height / 2, colors.valid);
  if (state.saves) {
    for (const mark of lane.marks) {
      if (mark.kind === "save") diamond(pen, scale.x(placeOf(scene, lane, mark)), y + height + 1, colors.link);
      if (mark.kind === "load") ring(pen, scale.x(placeOf(scene, lane, mark)), y + height / 2, colors);
    }
  }
  for (const mark of lane.marks) {
    if (mark.kind === "fault" || mark.kind === "hang") cross(pen, scale.x(placeOf(scene, lane, mark)), y + height / 2, colors.invalid);
  }
  if (lane.end === "ended") {
    pen.strokeStyle = colors.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    line(pen, scale.x(end), y - 2, scale.x(end), y + height + 2);
    pen.stroke();
  }
}

function paintNodeEvents(brush) {
  const { pen, colors, scale, state, scene } = brush;
  if (state.view !== "time") return;
  pen.strokeStyle = pen.fillStyle = colors.invalid;
  pen.lineWidth = 1;
  pen.font = `10px ${FONT}`;
  for (const event of scene.shown.events) {
    const x = scale.x(event.at_us);
    pen.beginPath();
    line(pen, x, AXIS, x, scene.layout.height);
    pen.stroke();
    pen.fillText(event.text, x + 3, AXIS + scene.top + 6);
  }
}

function triangle(pen, x, y, color) {
  pen.fillStyle = color;
  pen.beginPath();
  pen.moveTo(x, y - 5); pen.lineTo(x + 6, y); pen.lineTo(x, y + 5);
  pen.fill();
}

function diamond(pen, x, y, color) {
  pen.fillStyle = color;
  pen.beginPath();
  pen.moveTo(x, y - 3.5); pen.lineTo(x + 3.5, y); pen.lineTo(x, y + 3.5); pen.lineTo(x - 3.5, y);
  pen.fill();
}

function dot(pen, x, y, color, radius) {
  pen.fillStyle = color;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.fill();
}

function ring(pen, x, y, colors) {
  dot(pen, x, y, colors.link, 4);
  dot(pen, x, y, colors.paper, 2);
}

function cross(pen, x, y, color) {
  pen.strokeStyle = color;
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.moveTo(x - 4.5, y - 4.5); pen.lineTo(x + 4.5, y + 4.5);
  pen.moveTo(x + 4.5, y - 4.5); pen.lineTo(x - 4.5, y + 4.5);
  pen.stroke();
}

function paintLabels(brush, top, height) {
  const { pen, colors, scale, scene } = brush;
  pen.fillStyle = colors.paper;
  pen.fillRect(0, 0, scale.left - 12, height);
  for (const { rank, y, end } of scene.layout.groups) {
    if (end < top || y > top + height) continue;
    pen.fillStyle = colors.ink;
    pen.font = `12px ${FONT}`;
    pen.fillText(scale.left < 80 ? `r${rank}` : `rank ${rank}`, 2, (y + end) / 2 - top - 3);
    pen.strokeStyle = colors.line;
    pen.lineWidth = 1;
    pen.beginPath();
    line(pen, 0, Math.round(end + GAP / 2 - top) + 0.5, scale.right + PAD, Math.round(end + GAP / 2 - top) + 0.5);
    pen.stroke();
  }
  pen.font = `9.5px ${FONT}`;
  pen.textAlign = "right";
  pen.fillStyle = colors.quiet;
  for (const { lanes, y, height: own } of scene.layout.rows) {
    const middle = y + own / 2 - top;
    const names = lanes[0].isReference ? "ref" : "#" + (lanes.length < 4 ? lanes.map((lane) => lane.incarnation).join(", ") : `${lanes[0].incarnation}…`);
    if (middle > AXIS - 4) pen.fillText(names, scale.left - 18, middle);
  }
  pen.textAlign = "left";
}

function paintAxis(brush, width) {
  const { pen, colors, scale, state, scene } = brush;
  pen.fillStyle = colors.paper;
  pen.fillRect(0, 0, width, AXIS - 3);
  pen.font = `10.5px ${FONT}`;
  pen.textAlign = "center";
  const ticks = ticksOf(scale, state.view, 70);
  const apart = ticks.length > 1 ? ticks[1] - ticks[0] : scale.to - scale.from;
  pen.fillStyle = colors.quiet;
  for (const tick of ticks) pen.fillText(state.view === "time" ? durationOf(tick, apart) : String(tick), scale.x(tick), 8);
  pen.textAlign = "left";
  pen.font = `9.5px ${FONT}`;
  for (const { at, epoch } of scene.epochs) {
    if (scale.x(at) >= scale.left - 8 && scale.x(at) < scale.right - 20) pen.fillText(`epoch ${epoch}`, scale.x(at) + 3, 18);
  }
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  pen.beginPath();
  line(pen, scale.left - 8, AXIS - 2.5, width, AXIS - 2.5);
  pen.stroke();
}

/** Where a lane enters an epoch that it had not been in before. */
function epochsOf(lane) {
  if (lane.epochs) return lane.epochs;
  const found = [];
  let last = lane.length ? lane.epoch[0] : 0;
  for (let at = 0; at < lane.length; at++) {
    if (lane.epoch[at] > last) { found.push({ epoch: lane.epoch[at], at: Math.floor(lane.x0[at]), time: lane.t0[at] }); last = lane.epoch[at]; }
  }
  lane.epochs = found;
  return found;
}
