// What every page does: ages, the theme button, `/` for the search box, copy buttons, filters.

import "./ages.js";

const THEMES = ["", "light", "dark"];
const THEME_WORDS = { "": "as the system", light: "light", dark: "dark" };

function showTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const button = document.getElementById("theme");
  const words = `Colours: ${THEME_WORDS[theme]}`;
  button.setAttribute("aria-label", words);
  button.title = words;
  document.dispatchEvent(new CustomEvent("webmon:theme"));
}

function themeNow() {
  return document.documentElement.dataset.theme ?? "";
}

document.getElementById("theme")?.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(themeNow()) + 1) % THEMES.length];
  if (next) localStorage.setItem("theme", next);
  else localStorage.removeItem("theme");
  showTheme(next);
});
showTheme(themeNow());

function isTyping(element) {
  return element?.matches?.("input, textarea, select, [contenteditable]");
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("search");
  if (!search || isTyping(document.activeElement)) return;
  event.preventDefault();
  search.select();
});

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form.filter");
  if (form) form.requestSubmit();
});

// Addresses stay short: empty fields are not sent.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.filter")) return;
  for (const field of event.target.elements) {
    if (field.name && !field.value) field.disabled = true;
  }
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form.filter :disabled")) field.disabled = false;
});
