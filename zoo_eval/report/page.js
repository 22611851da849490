"use strict";
// A tooltip that follows the pointer, or stands by the mark that has the keyboard's focus.
const tip = document.getElementById("tip");
function show(mark, x, y) {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = Math.max(8, Math.min(x + 12, room)) + "px";
  tip.style.top = Math.max(8, y - tip.offsetHeight - 10) + "px";
}
for (const mark of document.querySelectorAll(".mark")) {
  mark.querySelector("title").remove();
  mark.setAttribute("aria-label", mark.dataset.tip);
  mark.addEventListener("pointermove", (event) => show(mark, event.clientX, event.clientY));
  mark.addEventListener("focus", () => {
    const box = mark.getBoundingClientRect();
    show(mark, box.right, box.top);
  });
  for (const end of ["pointerleave", "blur"]) mark.addEventListener(end, () => { tip.hidden = true; });
}
// Sorting by a click on a header; data-value holds what a cell is sorted by.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th"), table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") !== "descending";
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [p, q] = [key(a), key(b)];
      if (p === "" || q === "") return (p === "") - (q === "");
      const order = isNaN(p) || isNaN(q) ? p.localeCompare(q) : p - q;
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  });
}
