// What is looked at lives in the address: the chosen values, the time, the scale. Every choice puts
// a new address into the history, and whatever is shown is read from the server for that address.

import { draw, isHeld, plotWidth, redraw } from "./figure.js";
import { showNumbers } from "./numbers.js";
import { startPicker } from "./picker.js";

const place = document.getElementById("explorer");
const PARAMETERS = ["pv", "value"];
const CALM = 1000; // milliseconds between two readings of what is new
const MOST_POINTS = 2000;
const TAIL_POINTS = 300;

let whole; // the answer for the whole range
let reading; // the request under way, to be given up when another is wanted
let readAt = 0;
let turn = 0; // of what is shown; an answer that comes after the next turn began is late
let isShowing = false;
let isPlanned = false;

function query() {
  return new URLSearchParams(location.search);
}

function chosen() {
  const asked = query();
  return PARAMETERS.flatMap((parameter) =>
    [...new Set(asked.getAll(parameter))].map((name) => ({ parameter, name })));
}

function isChosen(one) {
  return chosen().some((each) => each.name === one.name && each.parameter === one.parameter);
}

function isOpen() {
  return !query().has("to");
}

// The address of other values or another time; what is not named stays.
function address({ values = chosen(), range, from, to } = {}) {
  const now = query();
  const next = new URLSearchParams(values.map((each) => [each.parameter, each.name]));
  if (range) next.set("range", range);
  else if (from !== undefined) {
    next.set("from", iso(from));
    if (to !== undefined) next.set("to", iso(to));
  } else {
    for (const name of ["range", "from", "to"]) if (now.has(name)) next.set(name, now.get(name));
  }
  if (now.has("log")) next.set("log", now.get("log"));
  return `?${next}`;
}

function iso(seconds) {
  return new Date(1000 * seconds).toISOString();
}

function go(target, isZoom = false) {
  history.pushState({ isZoom }, "", target);
  show();
}

// Everything anew for the present address.
async function show() {
  const mine = ++turn;
  showChoices();
  if (!chosen().length) return showNothing();
  isShowing = true;
  const answer = await read(query(), pointsFor());
  if (mine !== turn) return;
  isShowing = false;
  if (!answer) return void (place.dataset.shown = location.search);
  whole = answer;
  readAt = performance.now();
  await render(whole);
  showExact();
}

async function render(answer) {
  document.getElementById("nothing").hidden = true;
  for (const id of ["plot-frame", "move", "figures"]) document.getElementById(id).hidden = false;
  await draw(answer, { isLog: query().has("log"), zoomTo });
  showNumbers(answer, { rule: place.dataset.rule });
  showDownloads(answer);
  place.dataset.shown = location.search;
  const levels = [...new Set(answer.series.map((each) => each.level))];
  place.dataset.level = levels.join(" ");
  place.dataset.drawn = `${answer.from} ${answer.to}`;
}

function showNothing() {
  reading?.abort();
  isShowing = false;
  whole = undefined;
  for (const id of ["plot-frame", "move", "figures", "note", "gaps"]) document.getElementById(id).hidden = true;
  const words = document.getElementById("nothing");
  words.textContent = "Choose a value above, or from the list below, to see it drawn.";
  words.hidden = false;
  document.getElementById("shown-range").textContent = "";
  place.dataset.shown = location.search;
}

function pointsFor() {
  return Math.max(320, Math.min(MOST_POINTS, Math.round(plotWidth() / 1.5)));
}

async function read(asked, points) {
  reading?.abort();
  const request = new AbortController();
  reading = request;
  asked.set("points", points);
  try {
    const answer = await fetch(`${place.dataset.series}?${asked}`, { signal: request.signal });
    if (answer.redirected) return void location.reload(); // the session is over
    place.dataset.timing = answer.headers.get("Server-Timing") ?? "";
    const value = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
    complain(answer.ok ? "" : value.problem ?? "The server could not read these values; please try again in a minute.");
    return answer.ok ? filled(value) : undefined;
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    // The server is away; push.js says so, and reading starts again with the next "hello".
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

// Where each point is a single sample the server tells its value once.
function filled(answer) {
  for (const each of answer.series) {
    each.minimum ??= each.mean;
    each.maximum ??= each.mean;
  }
  return answer;
}

function complain(words) {
  const box = document.getElementById("problem");
  box.textContent = words;
  box.hidden = !words;
  if (words && !whole) document.getElementById("nothing").textContent = "Nothing could be read.";
}

// ---- what is new, while the end is open

// From where the newest points may still grow: that much is read again.
function unsettledSince({ from, to, points, series }) {
  const growing = to - (3 * (to - from)) / points;
  const newest = series.map((each) => each.at.at(-1)).filter((at) => at > growing);
  return Math.min(to, ...newest);
}

async function follow() {
  isPlanned = false;
  if (!whole || !isOpen() || document.hidden) return;
  // A zoom is being dragged, and nothing may move under it; or another range is being read.
  if (isHeld() || isShowing) return followSoon();
  const length = whole.to - whole.from;
  // A new pixel of the whole is due.
  if (performance.now() - readAt > Math.max(10_000, (1000 * length) / 200)) return show();
  const asked = new URLSearchParams(chosen().map((each) => [each.parameter, each.name]));
  asked.set("from", iso(unsettledSince(whole)));
  const mine = turn;
  const tail = await read(asked, TAIL_POINTS);
  if (!tail || mine !== turn) return;
  await render(joined(whole, tail, length));
}

function followSoon() {
  if (isPlanned || !whole || !isOpen()) return;
  isPlanned = true;
  setTimeout(follow, CALM);
}

const COLUMNS = ["at", "minimum", "maximum", "mean", "count"];

// The whole until where the tail begins, then the tail; as long as the whole was.
function joined(first, tail, length) {
  const begins = query().has("from") ? first.from : tail.to - length;
  const series = first.series.map((each, number) => {
    const more = tail.series[number];
    const cut = each.at.findIndex((at) => at >= tail.from);
    const kept = cut < 0 ? each.at.length : cut;
    const value = { ...each, latest: more.latest, latest_at: more.latest_at, last: more.last ?? each.last };
    for (const name of COLUMNS) value[name] = [...each[name].slice(0, kept), ...more[name]];
    value.texts = [...each.texts.filter(([at]) => at < tail.from), ...more.texts];
    return value;
  });
  const runs = new Map([...first.runs, ...tail.runs].map((run) => [run.number, run]));
  const gaps = new Map([...first.gaps, ...tail.gaps].map((gap) => [`${gap.from} ${gap.reason}`, gap]));
  return { ...first, from: begins, to: tail.to, series, runs: [...runs.values()], gaps: [...gaps.values()] };
}

// ---- choices

function showChoices() {
  const values = chosen();
  document.getElementById("chips").replaceChildren(...values.map(chip));
  const asked = query();
  for (const link of document.querySelectorAll(".presets a")) {
    link.href = address({ range: link.dataset.range });
    const isNow = !asked.has("from") && link.dataset.range === (asked.get("range") ?? "8h");
    if (isNow) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const form = document.getElementById("exact");
  for (const field of form.querySelectorAll("input[type=hidden]")) field.remove();
  for (const each of values) form.prepend(hidden(each));
  document.getElementById("log").checked = asked.has("log");
  markChosen();
}

function hidden({ parameter, name }) {
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = parameter;
  field.value = name;
  return field;
}

function chip(one, number) {
  const item = document.createElement("li");
  item.dataset.curve = number + 1;
  const words = document.createElement("span");
  words.className = "break";
  words.textContent = one.name;
  const away = document.createElement("button");
  away.type = "button";
  away.className = "away";
  away.textContent = "✕";
  away.setAttribute("aria-label", `Take ${one.name} away`);
  away.addEventListener("click", () => {
    go(address({ values: chosen().filter((each) => !(each.name === one.name && each.parameter === one.parameter)) }));
    document.getElementById("pick").focus();
  });
  item.append(words, away);
  return item;
}

function choose(one) {
  const values = chosen();
  if (isChosen(one)) return;
  if (values.length >= Number(place.dataset.most)) {
    return complain(`At most ${place.dataset.most} values can be drawn: take one away first.`);
  }
  complain("");
  go(address({ values: [...values, one] }));
}

function markChosen() {
  for (const link of document.querySelectorAll("[data-choose]")) {
    const row = link.closest("tr");
    if (isChosen({ parameter: link.dataset.parameter, name: link.dataset.choose })) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

// ---- time

function zoomTo(from, to) {
  go(address({ from, to: Math.max(to, from + 0.01) }), true);
}

// Back to where the zoom began; without one, four times as much time.
function backOut() {
  if (history.state?.isZoom) return history.back();
  if (!whole) return;
  const half = 2 * (whole.to - whole.from);
  const middle = (whole.from + whole.to) / 2;
  const now = Date.now() / 1000;
  const from = Math.max(0, middle - half);
  if (middle + half >= now) go(address({ from }));
  else go(address({ from, to: middle + half }));
}

function moveBy(share) {
  const by = share * (whole.to - whole.from);
  const room = Date.now() / 1000 - whole.to;
  if (by < room) go(address({ from: whole.from + by, to: whole.to + by }));
  else if (!isOpen()) go(address({ from: whole.from + Math.max(0, room) }));
}

function zoomIn() {
  const quarter = (whole.to - whole.from) / 4;
  zoomTo(whole.from + quarter, whole.to - quarter);
}

function showExact() {
  const form = document.getElementById("exact");
  form.elements.from.value = whole.from_field;
  form.elements.to.value = isOpen() ? "" : whole.to_field;
}

// ---- the rest

function absoluteAddress() {
  if (!whole) return location.href;
  return new URL(address({ from: whole.from, to: whole.to }), location.href).href;
}

async function copyLink(event) {
  const button = event.currentTarget;
  const link = absoluteAddress();
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied";
  } catch {
    // Without TLS browsers keep the clipboard to themselves: the address bar then has the link.
    history.pushState({ isZoom: false }, "", link);
    show();
    button.textContent = "The link is in the address bar";
  }
  setTimeout(() => (button.textContent = "Copy link"), 2500);
}

// A file has one kind of values and one level; what is shown may have both kinds.
function showDownloads(answer) {
  const rows = [];
  for (const [kind, parameter] of [["PV", "pv"], ["status value", "value"]]) {
    const names = answer.series.filter((each) => each.kind === kind && each.is_known);
    if (!names.length) continue;
    const asked = new URLSearchParams(names.map((each) => [parameter, each.name]));
    asked.set("from", iso(answer.from));
    asked.set("to", iso(answer.to));
    rows.push(...[["raw", "samples"], ["minute", "minutes"], ["hour", "hours"]].map(([level, words]) => {
      asked.set("level", level);
      return downloads(`${words} of ${kind}s`, asked);
    }));
  }
  document.getElementById("downloads").replaceChildren(...rows);
}

function downloads(words, asked) {
  const item = document.createElement("li");
  item.append(`${words[0].toUpperCase()}${words.slice(1)}: `);
  for (const form of ["csv", "json"]) {
    const link = document.createElement("a");
    link.href = `${place.dataset[form]}?${asked}`;
    link.download = "";
    link.textContent = form.toUpperCase();
    link.setAttribute("aria-label", `${form.toUpperCase()} of the ${words}`);
    item.append(link, " ");
  }
  return item;
}

function setLog(event) {
  const asked = query();
  if (event.currentTarget.checked) asked.set("log", "1");
  else asked.delete("log");
  history.replaceState(history.state, "", `?${asked}`);
  show();
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const name = event.target.closest("[data-choose]");
  const preset = event.target.closest("[data-range]");
  if (!name && !preset) return;
  event.preventDefault();
  if (preset) return go(address({ range: preset.dataset.range }));
  choose({ parameter: name.dataset.parameter, name: name.dataset.choose });
  document.getElementById("curves").scrollIntoView({ block: "nearest" });
});
document.getElementById("plot").addEventListener("webmon:back-out", backOut);
document.getElementById("back-out").addEventListener("click", backOut);
document.getElementById("closer").addEventListener("click", zoomIn);
document.getElementById("earlier").addEventListener("click", () => moveBy(-0.5));
document.getElementById("later").addEventListener("click", () => moveBy(0.5));
document.getElementById("log").addEventListener("change", setLog);
document.getElementById("copy-link").addEventListener("click", copyLink);
document.body.addEventListener("htmx:afterSwap", markChosen);
document.body.addEventListener(place.dataset.event, followSoon);
document.body.addEventListener("webmon:hello", () => whole ? followSoon() : show());
document.addEventListener("visibilitychange", followSoon);
document.addEventListener("webmon:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("popstate", show);
setInterval(followSoon, 15_000); // time passes even where nothing reports
startPicker(place.dataset.names, choose, isChosen);
show();
