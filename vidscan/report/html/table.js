// The table of files: sorted by its column heads, filtered by name and verdict; sections open by their links.
(() => {
  "use strict";
  const table = document.getElementById("files");
  const sections = [...document.querySelectorAll("details.file")];

  function openTarget() {
    const section = sections.find((each) => `#${each.id}` === location.hash);
    if (!section) return;
    section.open = true;
    section.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  for (const buttons of document.querySelectorAll(".buttons")) {
    buttons.hidden = false;
    buttons.querySelector("[data-open]").addEventListener("click", () => sections.forEach((each) => { each.open = true; }));
    buttons.querySelector("[data-close]").addEventListener("click", () => sections.forEach((each) => { each.open = false; }));
  }
  if (!table) return;

  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  // A link to the section that is open already must work again.
  body.addEventListener("click", (event) => {
    if (event.target.closest("a")?.hash === location.hash) openTarget();
  });

  function sort(head, descending) {
    const column = heads.indexOf(head);
    const key = (row) => row.cells[column].dataset.key;
    const compare = head.dataset.sort === "number" ? (a, b) => Number(key(a)) - Number(key(b)) : (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
    rows.sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
    body.append(...rows);
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }

  for (const head of heads.filter((each) => each.dataset.sort)) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sorted = head.getAttribute("aria-sort");
      sort(head, sorted ? sorted === "ascending" : head.dataset.sort === "number");
    });
  }

  const form = document.querySelector(".filter");
  const name = document.getElementById("filter-name");
  const shown = form.querySelector(".shown");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());

  function filter() {
    const wanted = new Set([...form.querySelectorAll("[name=label]:checked")].map((box) => box.value));
    const part = name.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      row.hidden = !(wanted.has(row.dataset.label) && row.dataset.name.toLowerCase().includes(part));
      if (!row.hidden) count += 1;
    }
    shown.textContent = `${count} of ${rows.length} files shown`;
  }
  form.addEventListener("input", filter);
})();
