// Draws the newest plot of a run with all its figures one below another, keeps zoom when it is
// replaced, and steps through older ones.

const plot = document.getElementById("plot");
const frame = document.getElementById("plot-frame");
const none = document.getElementById("plot-none");
const summary = document.getElementById("plot-summary");
const versions = document.getElementById("versions");
const label = document.getElementById("version");
const older = document.getElementById("version-older");
const newer = document.getElementById("version-newer");
let history = [];
let wanted; // a version that was asked for; undefined follows the newest
let shown;

async function load(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  return answer.ok ? answer.json() : undefined;
}

async function refresh() {
  const entries = await load(plot.dataset.history);
  if (!entries?.length) return;
  history = entries.sort((a, b) => a.index - b.index);
  const figure = await load(plot.dataset.figure + (wanted === undefined ? "" : `?index=${wanted}`));
  if (figure?.figures?.length) {
    shown = figure;
    await draw();
  }
  showVersion();
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// The script's own layout wins, but for colours that would not be readable on this theme.
function themed(layout) {
  const ink = colour("--ink"), line = colour("--line");
  const axes = Object.keys({ xaxis: 0, yaxis: 0, ...layout }).filter((key) => /^[xy]axis\d*$/.test(key));
  const drawn = { ...layout, autosize: true, width: undefined, height: undefined, uirevision: "run" };
  drawn.paper_bgcolor = drawn.plot_bgcolor = "rgba(0,0,0,0)";
  drawn.font = { ...layout.font, color: ink, family: getComputedStyle(document.body).fontFamily };
  drawn.margin = { t: layout.title ? 48 : 16, r: 16, b: 52, l: 64, ...layout.margin };
  for (const axis of axes) {
    drawn[axis] = { automargin: true, ...layout[axis], gridcolor: line, zerolinecolor: line, linecolor: line };
  }
  return drawn;
}

async function draw() {
  none.hidden = true;
  frame.hidden = false;
  const places = placesFor(shown.figures.length);
  const said = [];
  for (const [number, { data, layout, config }] of shown.figures.entries()) {
    await Plotly.react(places[number], data, themed(layout ?? {}), {
      ...config, responsive: true, displaylogo: false, plotlyServerURL: "",
    });
    said.push(describe(places[number], data, layout ?? {}));
  }
  summary.replaceChildren(...said);
  plot.dataset.shown = shown.index;
}

// The first place is in the page; the others come and go with the figures.
function placesFor(count) {
  const places = [...frame.children];
  for (const place of places.splice(count)) {
    Plotly.purge(place);
    place.remove();
  }
  while (places.length < count) {
    const place = document.createElement("div");
    place.className = "js-plotly-plot figure";
    place.setAttribute("role", "img");
    frame.append(place);
    places.push(place);
  }
  return places;
}

function text(title) {
  return typeof title === "string" ? title : title?.text ?? "";
}

// What the figure says in words: for those who do not see it, and below it for all.
function describe(place, data, layout) {
  const curves = data.map((trace) => trace.name || trace.type || "curve");
  const axes = [text(layout.xaxis?.title), text(layout.yaxis?.title)].filter(Boolean).join(" against ");
  const words = [text(layout.title), axes && `axes: ${axes}`, `${data.length} ${data.length === 1 ? "trace" : "traces"}: ${curves.slice(0, 6).join(", ")}`];
  const plain = document.createElement("span");
  plain.className = "summary";
  plain.textContent = words.filter(Boolean).join(" · ").replace(/<[^>]*>/g, "");
  place.setAttribute("aria-label", `Plot. ${plain.textContent}`);
  return plain;
}

function showVersion() {
  versions.hidden = history.length < 2 || !shown;
  if (versions.hidden) return;
  const place = history.findIndex((entry) => entry.index === shown.index);
  const at = new Date(shown.at).toLocaleTimeString([], { hour12: false });
  label.textContent = `version ${place + 1} of ${history.length}, ${at}`;
  older.disabled = place <= 0;
  newer.disabled = place >= history.length - 1;
}

function step(by) {
  const place = history.findIndex((entry) => entry.index === shown.index) + by;
  wanted = place === history.length - 1 ? undefined : history[place].index;
  refresh();
}

older.addEventListener("click", () => step(-1));
newer.addEventListener("click", () => step(1));
document.addEventListener("webmon:theme", () => shown && draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && draw());
for (const name of [plot.dataset.event, "webmon:hello"]) {
  document.body.addEventListener(name, refresh);
}
refresh();
