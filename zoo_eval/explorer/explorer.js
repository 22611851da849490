"use strict";
// The query is run by Ctrl+Enter as well; while it runs, a click does not run it again.
const box = document.getElementById("q");
if (box) {
  const form = box.form, run = form.querySelector(".run");
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(run);
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter === run) {
      run.textContent = "Running...";
      run.disabled = true;
    }
  });
  // A page that comes back from the history is not running.
  window.addEventListener("pageshow", () => { run.textContent = "Run"; run.disabled = false; });
}
// A link to a table or view opens it.
function open() {
  const found = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (found && found.tagName === "DETAILS") found.open = true;
}
window.addEventListener("hashchange", open);
open();
