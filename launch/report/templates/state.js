// What the page shows, kept in the address: it can be sent to somebody, and tested without a hand.
"use strict";

const DEFAULTS = { anchor: "", view: "step", from: null, to: null, step: null, rank: null, life: null, sample: "",
  ranks: "", reference: true, saves: true, different: false };
const NUMBERS = ["from", "to", "step", "rank"];

/** The state that an address's fragment says; what makes no sense in it is left alone. */
function parseState(fragment) {
  const state = { ...DEFAULTS };
  const [head, ...rest] = fragment.replace(/^#/, "").split("&");
  const words = new URLSearchParams((head.includes("=") ? [head, ...rest] : rest).join("&"));
  if (/^case-\d+$/.test(head)) state.anchor = head;
  if (words.get("view") === "time") state.view = "time";
  for (const name of NUMBERS) {
    const value = Number.parseFloat(words.get(name) ?? "");
    if (Number.isFinite(value) && value >= 0) state[name] = value;
  }
  if (/^(\d+|reference)$/.test(words.get("life") ?? "")) state.life = words.get("life");
  state.sample = words.get("sample") ?? "";
  state.ranks = words.get("ranks") ?? "";
  const hidden = (words.get("hide") ?? "").split(",");
  state.reference = !hidden.includes("reference");
  state.saves = !hidden.includes("saves");
  state.different = words.get("only") === "different";
  return state;
}

/** The fragment of a state; what is as by default is left out. */
function fragmentOf(state) {
  const words = new URLSearchParams();
  if (state.view !== DEFAULTS.view) words.set("view", state.view);
  for (const name of NUMBERS) if (state[name] !== null) words.set(name, String(Math.round(state[name] * 1000) / 1000));
  for (const name of ["life", "sample", "ranks"]) if (state[name]) words.set(name, state[name]);
  const hidden = ["reference", "saves"].filter((name) => !state[name]);
  if (hidden.length) words.set("hide", hidden.join(","));
  if (state.different) words.set("only", "different");
  return "#" + [state.anchor, words.toString()].filter(Boolean).join("&");
}

/** Whether a rank is among `0,2-3`; all are where nothing is said. */
function isAmong(text, rank) {
  const parts = text.split(",").map((part) => part.trim().match(/^(\d+)(?:\s*-\s*(\d+))?$/)).filter(Boolean);
  return parts.length === 0 || parts.some(([, first, last]) => rank >= Number(first) && rank <= Number(last ?? first));
}
