// Hears from the server what changed and says it to the page as DOM events on the body:
// `run arcs/1` becomes `webmon:run-arcs-1` and `webmon:run`. Whoever shows that thing reads again.

const CALM = 700; // milliseconds between two readings of the same thing
const PATIENCE = 3000; // before a page admits that it is cut off

const last = new Map();
const planned = new Map();
let cutOffSince = 0;
let dataAsOf = new Date();
let source;

function say(name) {
  planned.delete(name);
  last.set(name, performance.now());
  document.body.dispatchEvent(new CustomEvent(name));
}

// At once, then not before CALM has passed; the last change is never dropped.
function saySoon(name) {
  if (planned.has(name)) return;
  const wait = Math.max(0, (last.get(name) ?? -CALM) + CALM - performance.now());
  planned.set(name, setTimeout(say, wait, name));
}

function changed(event) {
  dataAsOf = new Date();
  const [kind, name] = event.data.split(" ");
  saySoon(`webmon:${kind}`);
  if (name) saySoon(`webmon:${kind}-${name.replaceAll("/", "-")}`);
}

function connected() {
  cutOffSince = 0;
  dataAsOf = new Date();
  document.documentElement.dataset.connected = "yes";
  saySoon("webmon:hello");
}

// What the page shows, and the number of alarms in its top bar.
function keys() {
  const own = document.body.dataset.keys.split("|");
  return document.getElementById("alarms-link") ? [...new Set([...own, "alarm *"])] : own;
}

function listen() {
  const query = new URLSearchParams(keys().map((key) => ["key", key]));
  source = new EventSource(`/events/?${query}`);
  source.addEventListener("hello", connected);
  source.addEventListener("changed", changed);
  source.addEventListener("error", cutOff);
}

function cutOff() {
  delete document.documentElement.dataset.connected;
  cutOffSince ||= Date.now();
  // A refused stream is not tried again by the browser: the server is ill, or the session is over.
  if (source.readyState === EventSource.CLOSED) setTimeout(listenAgain, 5000);
}

async function listenAgain() {
  if (await isLoggedOut()) location.reload(); // leads to the log-in page, and back here
  else listen();
}

async function isLoggedOut() {
  try {
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" });
    return answer.type === "opaqueredirect";
  } catch (error) {
    if (error instanceof TypeError) return false; // the server is away
    throw error;
  }
}

function showConnection() {
  const box = document.getElementById("connection");
  const isCutOff = cutOffSince && Date.now() - cutOffSince > PATIENCE;
  box.hidden = !isCutOff;
  if (!isCutOff) return;
  const text = `Reconnecting … data as of ${dataAsOf.toLocaleTimeString([], { hour12: false })}`;
  if (box.textContent !== text) box.textContent = text;
}

// A page that was left and is shown again from memory has missed things.
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
setInterval(showConnection, 500);
listen();
