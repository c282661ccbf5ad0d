// Keeps the lists of alarms true while people work in them: ticks, what is typed and the focus stay.

import { listenForAlarms } from "./sound.js";
import "./answer.js";

const PARTS = ["roll-up", "needing", "handled", "shelved"];
const LONGEST_WAIT = 4000; // a list is not held still under a pointer for longer than this
const REST = 1000; // a pointer that has not moved for so long aims at nothing
const AT_LEAST_EVERY = 60000; // shelves end, and a notice may be lost

const sound = listenForAlarms(document.getElementById("sound"));
const titleEnd = document.title.replace(/^\(\d+\) /, "");
let isReading = false;
let isOld = false;
let movedAt = -REST;

async function read() {
  const answer = await fetch(location.href, {
    headers: { "HX-Request": "true", "HX-Target": "alarms", Accept: "text/html" },
  });
  if (answer.redirected || !answer.ok) return;
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  await untilNobodyAims();
  show(holder.content);
}

// Rows that slide while somebody aims at a button make them answer for the wrong alarm.
async function untilNobodyAims() {
  const latest = performance.now() + LONGEST_WAIT;
  while (isAiming() && performance.now() < latest) {
    await new Promise((done) => setTimeout(done, 100));
  }
}

function isAiming() {
  const isMoving = performance.now() - movedAt < REST;
  return isMoving && document.querySelector(".alarms button:hover, .alarms input:hover") !== null;
}

document.addEventListener("pointermove", () => (movedAt = performance.now()));

function show(fresh) {
  const known = new Set(rowsNeeding());
  const ticked = [...document.querySelectorAll("#needing :checked")].map((box) => box.id);
  const focused = document.activeElement?.id;
  for (const id of PARTS) replace(id, fresh);
  for (const id of ticked) {
    const box = document.getElementById(id);
    if (box) box.checked = true;
  }
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
  const needing = rowsNeeding();
  const count = fresh.getElementById("alarms").dataset.needing;
  document.title = (count === "0" ? "" : `(${count}) `) + titleEnd;
  tell(needing.filter((id) => !known.has(id)));
  countTicks();
}

function tell(added) {
  if (!added.length) return;
  const rows = added.map((id) => document.getElementById(id));
  for (const row of rows) row.classList.add("changed");
  const names = rows.map((row) => row.querySelector("th a").textContent.trim());
  document.getElementById("news").textContent = `New: ${names.join(", ")}`;
  sound.play();
}

function replace(id, fresh) {
  const part = fresh.getElementById(id);
  const shown = document.getElementById(id);
  if (part && shown && part.outerHTML !== shown.outerHTML) shown.replaceWith(part);
}

function rowsNeeding() {
  return [...document.querySelectorAll("#needing tr[id]")].map((row) => row.id);
}

async function readAgain() {
  isOld = true;
  if (isReading) return;
  isReading = true;
  try {
    while (isOld) {
      isOld = false;
      await read();
    }
  } catch (error) {
    // The server is away; push.js says so, and reading starts again with the next "hello".
    if (!(error instanceof TypeError)) throw error;
  } finally {
    isReading = false;
  }
}

const all = document.getElementById("tick-all");

function boxes() {
  return [...document.querySelectorAll("#needing input[name=alarm]")];
}

function countTicks() {
  const ticked = boxes().filter((box) => box.checked).length;
  all.hidden = !boxes().length;
  all.checked = ticked > 0 && ticked === boxes().length;
  all.indeterminate = ticked > 0 && !all.checked;
  const button = document.getElementById("acknowledge-ticked");
  if (button) button.textContent = ticked ? `Acknowledge ${ticked}` : "Acknowledge";
}

all.addEventListener("change", () => {
  for (const box of boxes()) box.checked = all.checked;
  countTicks();
});
document.addEventListener("change", (event) => {
  if (event.target.name === "alarm") countTicks();
});

for (const name of ["webmon:alarm", "webmon:hello"]) document.body.addEventListener(name, readAgain);
setInterval(readAgain, AT_LEAST_EVERY);
countTicks();
