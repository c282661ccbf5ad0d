// Keeps a table true without moving it: rows that are shown change in place, new rows wait behind
// "3 new runs ↑" until they are asked for. With `data-direct` they are inserted at once.

const table = document.querySelector("table[data-live]");
const more = document.getElementById("more");
let fresh;
let isReading = false;
let isOld = false;

function rowsOf(body) {
  return [...body.rows].filter((row) => row.id);
}

async function read() {
  const target = table.tBodies[0].id;
  const answer = await fetch(location.href, {
    headers: { "HX-Request": "true", "HX-Target": target, Accept: "text/html" },
  });
  if (answer.redirected || !answer.ok) return;
  const holder = document.createElement("template");
  holder.innerHTML = `<table>${await answer.text()}</table>`;
  merge(holder.content.querySelector("tbody"));
}

function merge(body) {
  const shown = new Map(rowsOf(table.tBodies[0]).map((row) => [row.id, row]));
  const added = [];
  for (const row of rowsOf(body)) {
    const old = shown.get(row.id);
    if (!old) added.push(row);
    else if (hasChanged(old, row)) change(old, row);
  }
  fresh = body;
  const isNew = added.length && (!shown.size || isFirst(added[0], body));
  if (!isNew) return hide();
  if (table.hasAttribute("data-direct") || !shown.size || document.hidden) return show();
  const noun = added.length === 1 ? more.dataset.one : more.dataset.many;
  more.textContent = `${added.length} ${noun} ↑`;
  more.hidden = false;
}

// A row that slid in from the next part because another one left is not news.
function isFirst(row, body) {
  return row === rowsOf(body)[0];
}

function withoutAges(row) {
  const copy = row.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.replaceWith(time.dateTime);
  for (const open of copy.querySelectorAll("details[open]")) open.open = false;
  return copy.innerHTML;
}

function hasChanged(old, row) {
  return withoutAges(old) !== withoutAges(row);
}

function change(old, row) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const copy = row.cloneNode(true);
  old.replaceWith(copy);
  copy.classList.add("changed");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

// Only rows that are not there yet are put in, so that what is open or focused stays so.
function show() {
  const body = table.tBodies[0];
  const wanted = new Set(rowsOf(fresh).map((row) => row.id));
  for (const row of [...body.rows]) if (!wanted.has(row.id)) row.remove();
  let place = body.firstElementChild;
  for (const row of [...fresh.rows]) {
    if (row.id && place?.id === row.id) place = place.nextElementSibling;
    else body.insertBefore(row.cloneNode(true), place);
  }
  hide();
}

function hide() {
  if (more) more.hidden = true;
}

async function readAgain() {
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

if (table) {
  for (const name of [table.dataset.live, "webmon:hello"]) {
    document.body.addEventListener(name, readAgain);
  }
  more?.addEventListener("click", show);
}
