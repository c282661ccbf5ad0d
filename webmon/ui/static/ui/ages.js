// Ages tick. The words are those of webmon/ui/durations.py.

const MINUTE = 60, HOUR = 3600, DAY = 86400;

export function ageWords(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return two(whole, MINUTE, "min", 1, "s");
  if (whole < DAY) return two(whole, HOUR, "h", MINUTE, "min");
  return two(whole, DAY, "d", HOUR, "h");
}

function two(whole, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((whole % large) / small);
  const head = `${Math.floor(whole / large)} ${largeUnit}`;
  return rest ? `${head} ${rest} ${smallUnit}` : head;
}

function freshness(seconds, every) {
  if (!every || seconds <= every) return "fresh";
  return seconds <= 3 * every ? "stale" : "late";
}

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function tick() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time.age")) {
    const seconds = (now - Date.parse(time.dateTime)) / 1000;
    // A number and its unit stay together where a narrow column breaks the line.
    const words = ageWords(seconds).replaceAll(/(\d) /g, "$1\u00a0");
    if (time.textContent !== words) time.textContent = words;
    const state = freshness(seconds, Number(time.dataset.every));
    if (time.dataset.fresh !== state) time.dataset.fresh = state;
  }
}

// The zone of the reader, where the server could only know the facility's.
function localTitle(event) {
  const time = event.target.closest?.("time[datetime]");
  if (!time || time.dataset.local) return;
  time.dataset.local = "1";
  const facility = time.title.endsWith("Z") || time.title.includes("+00:00") ? "" : ` (${time.title})`;
  time.title = absolute.format(new Date(time.dateTime)) + facility;
}

document.addEventListener("pointerover", localTitle);
setInterval(tick, 1000);
tick();
