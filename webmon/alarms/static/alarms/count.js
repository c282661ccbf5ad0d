// The number of alarms in the top bar of every page that listens.

const CALM = 2000; // milliseconds; every open page asks after every change

const link = document.getElementById("alarms-link");
let planned;
let last = -CALM;
let isOld = false;

async function read() {
  isOld = false;
  last = performance.now();
  try {
    const answer = await fetch(link.dataset.count);
    if (answer.ok && !answer.redirected) link.querySelector("#alarm-count").outerHTML = await answer.text();
  } catch (error) {
    // The server is away; push.js says so, and "hello" comes when it is back.
    if (!(error instanceof TypeError)) throw error;
  } finally {
    planned = undefined;
    if (isOld) readSoon();
  }
}

// One answer after the other: an old one that is late must not be the last.
function readSoon() {
  isOld = true;
  planned ??= setTimeout(read, Math.max(0, last + CALM - performance.now()));
}

if (link) {
  for (const name of ["webmon:alarm", "webmon:hello"]) document.body.addEventListener(name, readSoon);
}
