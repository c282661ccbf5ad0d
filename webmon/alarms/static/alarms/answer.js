// The form that answers an alarm: the field for a day only when it is wanted.

const choice = document.querySelector("select[data-until]");
const date = document.querySelector("[data-date]");

function showDate() {
  const isWanted = choice.value === "date";
  date.hidden = !isWanted;
}

if (choice) {
  choice.addEventListener("change", showDate);
  addEventListener("pageshow", showDate);
  showDate();
  // Enter would press the form's first button, which acknowledges.
  date.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    document.querySelector("[data-shelve]").click();
  });
}
