// Finds names as they are typed, among tens of thousands: the server looks, the list has the first.

const CALM = 150; // milliseconds after the last key

const input = document.getElementById("pick");
const list = document.getElementById("suggestions");
const status = document.getElementById("picked");
let timer;
let asking;
let place = -1;

export function startPicker(address, choose, isChosen) {
  async function suggest() {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`${address}?${new URLSearchParams({ part: input.value })}`, { signal: asking.signal });
      if (answer.redirected) return void location.reload(); // the session is over
      if (answer.ok && document.activeElement === input) offer(await answer.json());
    } catch (error) {
      // Given up for a newer one, or the server is away, which push.js says.
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
  }

  function offer({ names, has_more: hasMore }) {
    place = -1;
    input.removeAttribute("aria-activedescendant");
    const items = names.map((one, n) => option(one, n));
    if (hasMore) items.push(remark("There are more: type more of the name."));
    if (!names.length) items.push(remark("No value has that in its name."));
    list.replaceChildren(...items);
    open(true);
    status.textContent = names.length ? `${names.length}${hasMore ? " and more" : ""} names` : "No name";
  }

  function option(one, n) {
    const item = document.createElement("li");
    item.id = `suggestion-${n}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(isChosen(one)));
    item.textContent = one.name;
    if (one.parameter === "value") item.append(small("status value"));
    if (isChosen(one)) item.append(small("chosen"));
    // Before the field loses the focus.
    item.addEventListener("pointerdown", (event) => event.preventDefault());
    item.addEventListener("click", () => take(one));
    item.one = one;
    return item;
  }

  function take(one) {
    choose({ parameter: one.parameter, name: one.name });
    status.textContent = `${one.name} chosen`;
    input.value = "";
    open(false);
  }

  function move(by) {
    const options = list.querySelectorAll("[role=option]");
    if (!options.length) return;
    options[place]?.classList.remove("active");
    place = (place + by + options.length) % options.length;
    options[place].classList.add("active");
    options[place].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[place].id);
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, CALM);
  });
  input.addEventListener("focus", suggest);
  input.addEventListener("blur", () => open(false));
  input.addEventListener("keydown", (event) => {
    const isOpen = !list.hidden;
    if (event.key === "ArrowDown") isOpen ? move(1) : suggest();
    else if (event.key === "ArrowUp" && isOpen) move(-1);
    else if (event.key === "Escape" && isOpen) open(false);
    else if (event.key === "Enter" && isOpen) takeActive();
    else return;
    event.preventDefault();
  });

  // Without a choice by the arrows, the one whose name was typed whole, or the only one.
  function takeActive() {
    const options = [...list.querySelectorAll("[role=option]")];
    const typed = options.filter((item) => item.one.name === input.value.trim());
    const item = options[place] ?? typed[0] ?? (options.length === 1 ? options[0] : undefined);
    if (item) take(item.one);
  }
}

function open(isOpen) {
  list.hidden = !isOpen;
  input.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) input.removeAttribute("aria-activedescendant");
}

function remark(words) {
  const item = document.createElement("li");
  item.className = "muted";
  item.setAttribute("role", "presentation");
  item.textContent = words;
  return item;
}

function small(words) {
  const element = document.createElement("small");
  element.className = "muted";
  element.textContent = ` ${words}`;
  return element;
}
