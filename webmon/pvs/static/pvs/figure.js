// The plot: a panel for each unit, one above the other over the same time. A band reaches from the
// lowest to the highest sample of a point, the line is their mean. Behind them are the runs, over
// them, hatched, the times that are missing.

const plot = document.getElementById("plot");
const frame = document.getElementById("plot-frame");
const under = document.getElementById("under");
const bands = document.getElementById("bands");
const gapList = document.getElementById("gaps");
const note = document.getElementById("note");

const CURVES = 8;
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px 2px", "2px 2px"];
const LABEL_ROOM = 48; // pixels that a run's number needs
let drawn; // what is shown: the answer and how
let isListening = false;
let held = false;

export function plotWidth() {
  return plot.clientWidth || document.getElementById("curves").clientWidth;
}

export function isHeld() {
  return held;
}

export async function draw(answer, how) {
  drawn = { answer, how };
  const panels = panelsOf(answer.series);
  frame.hidden = !panels.length;
  say(answer, panels);
  showRange(answer);
  showGaps(answer);
  if (!panels.length) return;
  plot.style.height = `${panels.length > 1 ? 12 * panels.length + 3 : 24}rem`;
  const figure = figureOf(answer, panels, how);
  await Plotly.react(plot, figure.traces, figure.layout, {
    responsive: true, displaylogo: false, doubleClick: false, showTips: false, plotlyServerURL: "",
    modeBarButtons: [["toImage"]], displayModeBar: "hover",
  });
  listen();
  plot.dataset.drawn = answer.series.map((each) => each.at.length).join(" ");
}

export function redraw() {
  if (drawn) draw(drawn.answer, drawn.how);
}

// Curves of one unit share an axis; those without a unit have their own.
function panelsOf(series) {
  const panels = new Map();
  for (const [number, each] of series.entries()) {
    if (!hasNumbers(each)) continue;
    const key = each.unit || `${each.parameter} ${each.name}`;
    if (!panels.has(key)) panels.set(key, []);
    panels.get(key).push({ ...each, number });
  }
  return [...panels.values()];
}

export function hasNumbers(each) {
  return each.mean.some((value) => value !== null);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function curveColour(number) {
  return colour(`--pv-${(number % CURVES) + 1}`);
}

function figureOf(answer, panels, how) {
  const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
  const isNarrow = plotWidth() < 560;
  // Texts, because Plotly shows numbers by the clock of the reader's machine.
  const shift = (at) => new Date(1000 * (at + answer.offset)).toISOString().slice(0, 23);
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line };
  const layout = {
    autosize: true, showlegend: false, hovermode: "x unified", hoversubplots: "axis",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: getComputedStyle(document.body).fontFamily, size: 12 },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: line, font: { color: ink } },
    margin: { t: 22, r: 12, b: 36, l: isNarrow ? 48 : 64 },
    // On a screen that is touched a finger scrolls the page; buttons zoom.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: {
      ...axis, type: "date", range: [shift(answer.from), shift(answer.to)], anchor: axisName(panels.length - 1),
      nticks: isNarrow ? 4 : undefined, hoverformat: "%Y-%m-%d %H:%M:%S",
    },
    annotations: [],
  };
  const traces = [];
  for (const [place, curves] of panels.entries()) {
    const domain = domainOf(place, panels.length);
    layout[`yaxis${place ? place + 1 : ""}`] = {
      ...axis, domain, fixedrange: true, type: how.isLog ? "log" : "linear", nticks: panels.length > 1 ? 5 : undefined,
      exponentformat: "power", hoverformat: ".6~g",
      title: { text: curves[0].unit, font: { color: soft, size: 11 }, standoff: 4 },
    };
    layout.annotations.push(heading(curves, domain[1], isNarrow));
    for (const [nth, curve] of curves.entries()) traces.push(...tracesOf(curve, nth, place, answer, shift));
  }
  return { traces, layout };
}

function axisName(place) {
  return `y${place ? place + 1 : ""}`;
}

// The first panel is on top.
function domainOf(place, count) {
  if (count === 1) return [0, 1];
  const space = 0.26 / count, height = (1 - space * (count - 1)) / count;
  const top = 1 - place * (height + space);
  return [Math.max(0, top - height), top];
}

function heading(curves, top, isNarrow) {
  const longest = isNarrow ? 40 : 90;
  const words = curves.map((curve) => {
    const name = curve.name.length > longest ? `${curve.name.slice(0, longest - 1)}…` : curve.name;
    return `<span style="color:${curveColour(curve.number)}">━</span> ${escaped(name)}`;
  });
  return {
    xref: "paper", yref: "paper", x: 0, y: top, xanchor: "left", yanchor: "bottom", showarrow: false,
    text: words.join("   "), font: { size: 12 }, align: "left",
  };
}

// Plotly reads a little markup in its texts.
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function tracesOf(curve, nth, place, answer, shift) {
  const stroke = curveColour(curve.number), yaxis = axisName(place);
  const isSampled = curve.level === "raw" && curve.minimum.every((low, n) => low === curve.maximum[n]);
  const shape = isSampled ? "hv" : "linear";
  const traces = [];
  if (!isSampled) {
    const known = curve.at.map((_, n) => n).filter((n) => curve.minimum[n] !== null);
    const x = known.map((n) => shift(curve.at[n]));
    const edge = { x, yaxis, type: "scatter", mode: "lines", hoverinfo: "skip", line: { width: 0, color: stroke } };
    traces.push({ ...edge, y: known.map((n) => curve.minimum[n]) });
    traces.push({ ...edge, y: known.map((n) => curve.maximum[n]), fill: "tonexty", fillcolor: `${stroke}38` });
  }
  const { x, y, text } = lineOf(curve, isSampled, answer, shift);
  traces.push({
    x, y, text, yaxis, type: "scatter", mode: y.length < 120 ? "lines+markers" : "lines", name: escaped(curve.name),
    hovertemplate: "%{y}%{text}<extra>%{fullData.name}</extra>",
    line: { color: stroke, width: 1.6, shape, dash: DASHES[nth % DASHES.length] }, marker: { size: 4, color: stroke },
  });
  return traces;
}

// The mean of each point; the line stops where values are known to be missing.
function lineOf(curve, isSampled, answer, shift) {
  const x = [], y = [], text = [];
  let gap = 0;
  const gaps = answer.gaps.toSorted((one, other) => one.from - other.from);
  for (const [n, at] of curve.at.entries()) {
    while (gap < gaps.length && gaps[gap].to <= at) {
      if (n && curve.at[n - 1] <= gaps[gap].from) {
        x.push(shift(gaps[gap].from));
        y.push(null);
        text.push("");
      }
      gap += 1;
    }
    x.push(shift(at));
    y.push(curve.mean[n]);
    text.push(isSampled ? "" : ` (${short(curve.minimum[n])} … ${short(curve.maximum[n])})`);
  }
  return { x, y, text };
}

export function short(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(6)));
}

// ---- what lies around the curves

function listen() {
  if (isListening) return;
  isListening = true;
  plot.on("plotly_relayout", zoomed);
  plot.on("plotly_doubleclick", () => plot.dispatchEvent(new CustomEvent("webmon:back-out")));
  plot.on("plotly_afterplot", placeAround);
  plot.addEventListener("pointerdown", () => (held = true));
  for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, () => (held = false));
  placeAround();
}

function zoomed(change) {
  const [from, to] = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
  if (from === undefined || to === undefined) return;
  drawn.how.zoomTo(...[from, to].map((text) => seconds(text) - drawn.answer.offset));
}

function seconds(told) {
  return Date.parse(`${told.replace(" ", "T")}Z`) / 1000;
}

// Runs and gaps are elements of the page, so that they are links, have colours of the theme and can
// be reached by keyboard. They are put where Plotly has put its panels.
function placeAround() {
  const size = plot._fullLayout?._size;
  if (!size || !drawn) return;
  const { answer } = drawn;
  const length = answer.to - answer.from;
  const inside = ({ from, to }) => {
    const left = Math.max(0, (from - answer.from) / length), right = Math.min(1, (to - answer.from) / length);
    return right >= 0 && left <= 1 ? { left: size.w * left, width: Math.max(0, size.w * (right - left)) } : undefined;
  };
  Object.assign(under.style, {
    left: `${plot.offsetLeft + size.l}px`, top: `${plot.offsetTop + size.t}px`, width: `${size.w}px`, height: `${size.h}px`,
  });
  bands.style.marginLeft = `${size.l}px`;
  bands.style.width = `${size.w}px`;
  const shownRuns = answer.runs.map((run) => [run, inside(run)]).filter(([, at]) => at);
  const shownGaps = answer.gaps.map((gap) => [gap, inside(gap)]).filter(([, at]) => at);
  under.replaceChildren(
    ...shownRuns.map(([run, at]) => block("i", run.is_acquiring ? "run acquiring" : "run", at)),
    ...shownGaps.map(([, at]) => block("b", "gap", at)),
  );
  bands.hidden = !shownRuns.length;
  bands.replaceChildren(...shownRuns.map(([run, at]) => runLink(run, at)));
}

function block(kind, name, { left, width }) {
  const element = document.createElement(kind);
  element.className = name;
  element.style.left = `${left}px`;
  element.style.width = `${Math.max(1, width)}px`;
  return element;
}

function runLink(run, at) {
  const link = block("a", run.is_acquiring ? "acquiring" : "", at);
  link.href = run.address;
  const words = `run ${run.number}, ${run.proposal}${run.is_acquiring ? ", acquiring" : ""}`;
  link.setAttribute("aria-label", words);
  link.title = `${words}, ${second(run.from)} – ${second(run.to)}`;
  link.textContent = at.width >= LABEL_ROOM ? run.number : "";
  return link;
}

export function clock(at) {
  return local(at, at % 1 ? 23 : 19);
}

// To the second, where the thousandth is of no interest.
function second(at) {
  return local(Math.round(at), 19);
}

function local(at, letters) {
  const text = new Date(Math.round(1000 * (at + (drawn?.answer.offset ?? 0)))).toISOString();
  return text.slice(0, letters).replace("T", " ");
}

function showRange({ from, to, zone, is_open: isOpen }) {
  const words = to - from < 60 ? clock : second;
  document.getElementById("shown-range").textContent = `${words(from)} – ${isOpen ? "now" : words(to)} ${zone}`;
}

function showGaps({ gaps }) {
  gapList.hidden = !gaps.length;
  gapList.replaceChildren(...gaps.slice(0, 20).map((gap) => {
    const item = document.createElement("li");
    const lost = gap.lost === null ? "" : `, ${gap.lost.toLocaleString("en")} values lost`;
    item.textContent = `${second(gap.from)} – ${second(gap.to)}: ${gap.reason}${lost}`;
    return item;
  }));
  if (gaps.length > 20) {
    const item = document.createElement("li");
    item.textContent = `and ${gaps.length - 20} more`;
    gapList.append(item);
  }
}

const LEVELS = { raw: "the samples themselves", minute: "minutes", hour: "hours" };

function say(answer, panels) {
  const words = [];
  const levels = [...new Set(panels.flat().map((each) => each.level))];
  const isSampled = panels.flat().every((each) => each.count.every((count) => count === 1));
  if (!panels.length && answer.series.length) words.push("Nothing was measured in this time that could be drawn as a curve.");
  else if (isSampled) words.push("Every sample is drawn.");
  else words.push(`The band reaches from the lowest to the highest sample of each point, the line is their mean; from ${levels.map((level) => LEVELS[level] ?? level).join(" and ")}.`);
  if (answer.runs_are_cut) words.push("There are too many runs in this time to show them as bands: zoom in to see them.");
  const unknown = answer.series.filter((each) => !each.is_known).map((each) => each.name);
  if (unknown.length) words.push(`Never heard of on this instrument: ${unknown.join(", ")}.`);
  note.textContent = words.join(" ");
  note.hidden = !words.length;
  const names = panels.flat().map((each) => each.name).join(", ");
  plot.setAttribute("aria-label", `Curves of ${names} from ${second(answer.from)} to ${second(answer.to)}. The table below has their figures.`);
}
