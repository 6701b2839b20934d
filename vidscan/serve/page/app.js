// Puts the page together: what the server tells, what the person does, and what is drawn of it.

import { address, send } from "./api.js";
import { Evidence } from "./evidence.js";
import { chosen, dropped, skippedWords } from "./files.js";
import { Filters } from "./filters.js";
import { Jobs } from "./jobs.js";
import { Marks } from "./marks.js";
import { Queue } from "./queue.js";
import { Results } from "./results.js";
import { Server } from "./server.js";
import { Table } from "./table.js";
import { byId, make, visible } from "./text.js";

const results = new Results();
const table = new Table(byId("grid"), { onSort: sort, onSelect: (row) => evidence.select(row), onOpen: () => evidence.open() });
const marks = new Marks(results, { onChange: onMark, onRefusal: complain });
const evidence = new Evidence(table, marks);
const filters = new Filters(results, { onChange: () => draw(), onSort: sort });
const queue = new Queue(soon);
const jobs = new Jobs(queue);
let tellSuffixes;
const suffixes = new Promise((resolve) => { tellSuffixes = resolve; });
let refusal = null; // why nothing can be scanned

// Draws all that hangs on the results, now: a click is answered in the same moment.
function draw({ keepPlace = false } = {}) {
  results.update();
  filters.offerFound();
  filters.tell();
  table.showOrder(results.by, results.descending);
  const some = results.rows.size > 0;
  document.body.classList.toggle("filled", some);
  byId("results").hidden = !some;
  table.show(results.shown, { keepPlace });
  if (table.current) evidence.refresh(table.current);
  byId("grid").hidden = !results.shown.length;
  byId("none-shown").hidden = results.shown.length > 0;
  offerExport();
}

function offerExport() {
  const count = results.marked;
  if (byId("export").dataset.count === String(count)) return;
  byId("export").dataset.count = count;
  if (!count) {
    byId("export").textContent = "";
    return;
  }
  const link = (format) => make("a", { href: address(`/results/export?format=${format}&marked=1`), download: "" }, format.toUpperCase());
  byId("export").replaceChildren(`Export the ${count.toLocaleString("en")} marked: `, link("csv"), " ", link("json"));
}

// Draws before the next picture, once for all that the server tells until then.
let due = false;
let stale = false;
function soon() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (stale) draw({ keepPlace: true });
    stale = false;
    jobs.draw();
    const left = queue.jobs.size - queue.in("failed").length;
    byId("waiting").hidden = !left || results.rows.size > 0;
    document.title = left ? `(${left}) vidscan` : "vidscan";
  });
}

function onMark(row) {
  if (results.by === "mark" || results.by === "note" || results.wanted.mark) draw();
  else table.refresh(row);
  evidence.refresh(row);
  filters.tell();
  offerExport();
}

function sort(column) {
  results.sortBy(column);
  draw();
}

function complain(text) {
  const close = make("button", { type: "button" }, "Dismiss");
  const message = make("p", { class: "message" }, make("span", {}, text), close);
  close.addEventListener("click", () => message.remove());
  for (const other of byId("messages").children) if (other.firstChild.textContent === text) other.remove();
  byId("messages").append(message);
}

// What the server tells.

new Server({
  onAbout(about) {
    byId("store").textContent = visible(about.store ?? "in memory, gone when vidscan serve ends");
    tellSuffixes(about.suffixes);
    refusal = about.refusal;
    byId("add").hidden = refusal !== null;
    byId("refusal").hidden = refusal === null;
    byId("refusal").textContent = refusal === null ? "" : `Nothing new can be scanned here: ${visible(refusal)}`;
    byId("by-path").hidden = !about.folders.length;
    byId("folders").replaceChildren(...about.folders.map((folder) => make("option", { value: folder })));
    if (!byId("path").value) byId("path").value = about.folders[0] ?? "";
  },
  onAll(all, scans) {
    results.replace(all);
    marks.again();
    draw();
    queue.replace(scans);
  },
  onScan(scan) {
    queue.told(scan);
    if (scan.note && scan.state === "done") complain(`${visible(scan.name)}: ${visible(scan.note)}`);
  },
  onResult(row) {
    results.put(row);
    marks.again();
    stale = true;
    soon();
  },
  onMark: (mark) => marks.told(mark),
  onState(words) {
    byId("connection").textContent = words;
  },
  onError: (error) => complain(error.message),
});

// What is dropped, chosen or named.

function scan({ files, skipped }) {
  queue.add(files);
  const words = skippedWords(skipped);
  if (words) complain(words);
}

let depth = 0;
function over(by) {
  depth = by ? Math.max(0, depth + by) : 0;
  byId("drop-here").hidden = !depth || refusal !== null;
}
const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => holdsFiles(event) && over(1));
addEventListener("dragleave", (event) => holdsFiles(event) && over(-1));
addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  over(0);
  if (!holdsFiles(event)) return;
  event.preventDefault(); // the browser would open it in place of the page
  if (refusal !== null) return;
  try {
    scan(await dropped(event.dataTransfer, suffixes));
  } catch (error) {
    complain(`What was dropped could not be read: ${error.message}`);
  }
});
for (const [id, folder] of [["choose-files", false], ["choose-folder", true]]) {
  byId(id).addEventListener("change", async (event) => {
    const files = chosen(event.target.files, suffixes, { folder });
    event.target.value = "";
    scan(await files);
  });
}
byId("path-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("POST", "/scans", { path: byId("path").value });
    byId("by-path").open = false;
  } catch (error) {
    complain(error.message);
  }
});

// Keys. Letters act only where the table, the evidence or its bar has the focus, never in a text.

const LETTERS = { f: () => evidence.mark("fake"), r: () => evidence.mark("real"), u: () => evidence.mark("unsure"), n: () => evidence.editNote() };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const inText = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape") evidence.close();
  else if (inText) return;
  else if (event.key === "?") byId("keys").showModal();
  else if (event.target.closest("#grid, #evidence, #selected")) {
    // On other alphabets the letter's place counts.
    const letter = /^[a-z]$/i.test(event.key) ? event.key.toLowerCase() : event.code.replace("Key", "").toLowerCase();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (LETTERS[letter] && !event.repeat) LETTERS[letter]();
    else if (step && event.target.closest("#evidence, #selected")) evidence.step(step);
    else return;
  } else return;
  event.preventDefault();
});
byId("show-keys").addEventListener("click", () => byId("keys").showModal());
