// The same as the plot in figures: for those who do not see it, and for all who want numbers.

import { ageWords } from "../ui/ages.js";
import { clock, hasNumbers, short } from "./figure.js";

const table = document.getElementById("statistics");
const changes = document.getElementById("changes");
const data = document.getElementById("data");
const dataTables = document.getElementById("data-tables");
const MOST_ROWS = 500;
const MOST_CHANGES = 200;
let shown;

export function showNumbers(answer, { rule }) {
  shown = answer;
  table.tBodies[0].replaceChildren(...answer.series.map((each, number) => statisticsRow(each, number, answer, rule)));
  changes.replaceChildren(...answer.series.filter((each) => each.texts.length).map(changesOf));
  if (data.open) showData();
}

function cell(kind, words, name) {
  const element = document.createElement(kind);
  element.textContent = words;
  if (name) element.dataset.name = name;
  if (kind === "td") element.className = "num";
  return element;
}

function statisticsRow(each, number, answer, rule) {
  const row = document.createElement("tr");
  const head = cell("th", each.name);
  head.scope = "row";
  head.className = "break";
  head.dataset.curve = number + 1;
  if (each.unit) {
    const unit = cell("small", ` ${each.unit}`);
    unit.className = "muted";
    head.append(unit);
  }
  const { minimum, maximum, mean, count } = statistics(each);
  row.append(
    head, cell("td", short(minimum), "Minimum"), cell("td", short(maximum), "Maximum"), cell("td", short(mean), "Mean"),
    cell("td", lastWords(each), "Last"), cell("td", count.toLocaleString("en"), "Samples"), ageCell(each),
  );
  if (rule) row.append(ruleCell(each, answer.instrument, rule));
  return row;
}

function lastWords(each) {
  const text = each.texts.at(-1);
  const isText = text && (each.last === null || text[0] >= (each.at.at(-1) ?? 0));
  const words = isText ? text[1] : short(each.last);
  return words.length > 40 ? `${words.slice(0, 39)}…` : words;
}

// Of all samples in the range, as far as the points tell.
function statistics(each) {
  let minimum = null, maximum = null, sum = 0, weight = 0, count = 0;
  for (let n = 0; n < each.at.length; n += 1) {
    count += each.count[n];
    if (each.mean[n] === null) continue;
    minimum = minimum === null ? each.minimum[n] : Math.min(minimum, each.minimum[n]);
    maximum = maximum === null ? each.maximum[n] : Math.max(maximum, each.maximum[n]);
    sum += each.mean[n] * each.count[n];
    weight += each.count[n];
  }
  return { minimum, maximum, mean: weight ? sum / weight : null, count };
}

function ageCell(each) {
  const at = cell("td", "", "Age");
  if (each.latest_at === null) {
    at.textContent = "never";
    return at;
  }
  const time = document.createElement("time");
  time.className = "age";
  time.dateTime = new Date(1000 * each.latest_at).toISOString();
  time.textContent = ageWords(Date.now() / 1000 - each.latest_at);
  time.title = `${clock(each.latest_at)} ${shown.zone}`;
  at.append(time);
  return at;
}

function ruleCell(each, instrument, rule) {
  const at = cell("td", "");
  const link = document.createElement("a");
  link.href = `${rule}?${new URLSearchParams({ instrument, name: each.name, kind: each.kind === "PV" ? "pv" : "status" })}`;
  link.textContent = "Alarm rule from this";
  link.setAttribute("aria-label", `Make an alarm rule for ${each.name}`);
  at.append(link);
  return at;
}

function tableOf(caption, names, rows) {
  const box = document.createElement("div");
  box.className = "scroll";
  const element = document.createElement("table");
  element.createCaption().textContent = caption;
  const head = element.createTHead().insertRow();
  for (const [n, name] of names.entries()) {
    const title = cell("th", name);
    title.scope = "col";
    if (n) title.className = "num";
    head.append(title);
  }
  const body = element.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const [n, words] of row.entries()) {
      const at = cell("td", words);
      if (!n) at.className = "when";
      line.append(at);
    }
  }
  box.append(element);
  return box;
}

// Texts have no curve: when they became what, newest first.
function changesOf(each) {
  const rows = [];
  for (const [n, [at, text]] of each.texts.entries()) {
    if (!n || text !== each.texts[n - 1][1]) rows.push([clock(at), text]);
  }
  const newest = rows.reverse().slice(0, MOST_CHANGES);
  const more = rows.length > newest.length ? `, the newest ${newest.length} of ${rows.length}` : "";
  const box = tableOf(`Changes of ${each.name} (${shown.zone}${more})`, ["Since", "Value"], newest);
  box.classList.add("texts");
  return box;
}

function showData() {
  dataTables.replaceChildren(...shown.series.filter(hasNumbers).map((each) => {
    const first = Math.max(0, each.at.length - MOST_ROWS);
    const rows = [];
    for (let n = each.at.length - 1; n >= first; n -= 1) {
      rows.push([clock(each.at[n]), short(each.minimum[n]), short(each.mean[n]), short(each.maximum[n]), String(each.count[n])]);
    }
    const more = first ? `, the newest ${MOST_ROWS} of ${each.at.length} points; downloads have all` : "";
    return tableOf(`${each.name} (${shown.zone}${more})`, ["Time", "Minimum", "Mean", "Maximum", "Samples"], rows);
  }));
}

data.addEventListener("toggle", () => {
  if (data.open && shown) showData();
});
