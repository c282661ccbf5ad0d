// The form of an alarm rule: only the fields that its condition has, and names to choose from.

const condition = document.getElementById("rule-condition");
const name = document.getElementById("rule-name");
const kind = document.getElementById("rule-kind");
const instrument = document.getElementById("rule-instrument");
const names = document.getElementById("names");
let planned;

function showFields() {
  for (const field of document.querySelectorAll("[data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(condition.value);
  }
}

async function offerNames() {
  if (!instrument.value) return;
  const query = new URLSearchParams({ instrument: instrument.value, name: name.value });
  try {
    const answer = await fetch(`${names.dataset.names}?${query}`, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) names.innerHTML = await answer.text();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the server is away
  }
  takeKind();
}

// Whoever chose a name has chosen its kind.
function takeKind() {
  const chosen = [...names.options].filter((option) => option.value === name.value);
  if (chosen.length === 1) kind.value = chosen[0].dataset.kind;
}

name.addEventListener("input", () => {
  takeKind();
  clearTimeout(planned);
  planned = setTimeout(offerNames, 250);
});
instrument.addEventListener("change", offerNames);
condition.addEventListener("change", showFields);
for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;
showFields();
offerNames();
