// Keeps the page true without moving it: the part is read again and only what differs is changed,
// so that focus, an open list, a filter and the place on the page stay.

const CALM = 2000; // milliseconds between two readings because of values
const NEVER = new Set(["open", "hidden", "data-local"]); // what the reader or a script decided

const live = document.getElementById("live");
let isReading = false;
let isOld = false;
let readAt = 0;
let planned = 0;

function morph(old, fresh) {
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh.cloneNode(true));
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else {
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  }
}

function morphAttributes(old, fresh) {
  const isSameTime = old.dataset?.local && old.dateTime === fresh.dateTime;
  if (!isSameTime) old.removeAttribute("data-local");
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !NEVER.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (NEVER.has(name) || (name === "title" && isSameTime)) continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function morphChildren(old, fresh) {
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const child of fresh.childNodes) {
    const known = child.id ? named.get(child.id) : place && !place.id && place.nodeName === child.nodeName && place;
    if (!known) {
      old.insertBefore(child.cloneNode(true), place);
      continue;
    }
    if (known === place) place = place.nextSibling;
    else old.insertBefore(known, place);
    morph(known, child);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

async function read() {
  readAt = performance.now();
  const answer = await fetch(live.dataset.address, {
    headers: { "HX-Request": "true", "HX-Target": "live", Accept: "text/html" },
  });
  if (answer.redirected || !answer.ok) return;
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  morph(live, holder.content.getElementById("live"));
  filter();
  live.dispatchEvent(new CustomEvent("webmon:read", { bubbles: true }));
}

async function readAgain() {
  clearTimeout(planned);
  planned = 0;
  if (document.hidden) return;
  if (isReading) {
    isOld = true;
    return;
  }
  isReading = true;
  try {
    do {
      isOld = false;
      await read();
    } while (isOld);
  } catch (error) {
    // The server is away; push.js says so, and reading starts again with the next "hello".
    if (!(error instanceof TypeError)) throw error;
  } finally {
    isReading = false;
  }
}

// Values change all the time; alarms are told at once, and runs are read by rows.js.
function readSoon() {
  planned ||= setTimeout(readAgain, Math.max(0, readAt + CALM - performance.now()));
}

function filter() {
  const field = document.getElementById("filter");
  if (!field) return;
  const wanted = field.value.trim().toLowerCase();
  for (const row of document.getElementById(field.dataset.filters).tBodies[0].rows) {
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  }
}

document.body.addEventListener("webmon:values", readSoon);
for (const name of ["webmon:alarm", "webmon:hello"]) {
  document.body.addEventListener(name, readAgain);
}
document.addEventListener("visibilitychange", readAgain);
document.addEventListener("input", (event) => {
  if (event.target.id === "filter") filter();
});
// What no message tells: that nothing comes any more.
setInterval(readSoon, 15000);
