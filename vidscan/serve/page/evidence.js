// The selected source: the bar in which it is marked, and the panel with its report.

import { address } from "./api.js";
import { badge } from "./table.js";
import { byId, make, score, visible } from "./text.js";

const SETTLED_MS = 150; // how long a selection rests before its report is fetched

export class Evidence {
  // table and marks as of app.js; onClose() puts the focus back.
  constructor(table, marks) {
    this.table = table;
    this.marks = marks;
    this.row = null;
    this.panel = byId("evidence");
    this.note = byId("note");
    this.covers = matchMedia("(max-width: 68rem)"); // as in app.css: the panel covers the table
    this.covers.addEventListener("change", () => this.cover());
    byId("open-evidence").addEventListener("click", () => this.open());
    byId("close-evidence").addEventListener("click", () => this.close());
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    for (const button of document.querySelectorAll("[data-mark]")) {
      button.addEventListener("click", () => this.mark(button.dataset.mark));
    }
    this.note.addEventListener("change", () => this.keepNote());
    this.note.addEventListener("keydown", (event) => this.onNoteKey(event));
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  // The selection went to another source, or to none.
  select(row) {
    if (row?.id !== this.row?.id) this.note.value = row?.note ?? "";
    this.row = row;
    this.fill();
    if (!row) this.close();
    else if (this.isOpen) this.load();
  }

  // Something about a source changed.
  refresh(row) {
    if (row.id !== this.row?.id) return;
    this.row = row;
    if (document.activeElement !== this.note) this.note.value = row.note;
    this.fill();
  }

  fill() {
    const row = this.row;
    byId("selected").hidden = !row;
    if (!row) return;
    byId("selected-label").replaceChildren(badge(row.label));
    byId("selected-score").textContent = row.score === null ? "" : `P(fake) ${score(row.score)}`;
    byId("selected-name").textContent = row.name;
    byId("selected-error").hidden = !row.error;
    byId("selected-error").textContent = row.error;
    byId("open-evidence").hidden = this.isOpen;
    for (const button of document.querySelectorAll("[data-mark]")) {
      button.setAttribute("aria-pressed", button.dataset.mark === row.mark);
    }
    const { index, rows } = this.table;
    byId("place").textContent = `${(index + 1).toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    byId("previous").disabled = index <= 0;
    byId("next").disabled = index >= rows.length - 1;
  }

  mark(mark) {
    const row = this.row;
    if (!row) return;
    const wanted = row.mark === mark ? null : mark;
    byId("said").textContent = wanted ? `Marked ${wanted}: ${row.name}` : `Mark taken back: ${row.name}`;
    this.marks.set(row, wanted, row.note);
  }

  keepNote() {
    const note = this.note.value.trim();
    if (this.row && note !== this.row.note) this.marks.set(this.row, this.row.mark, note);
  }

  editNote() {
    if (!this.row) return;
    this.note.focus();
    this.note.select();
  }

  onNoteKey(event) {
    if (event.key === "Escape") this.note.value = this.row?.note ?? "";
    else if (event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Enter") this.keepNote();
    this.back();
  }

  step(by) {
    this.table.select(this.table.index + by);
  }

  open() {
    if (!this.row) return;
    const wasOpen = this.isOpen;
    this.panel.hidden = false;
    document.body.classList.add("reading");
    this.cover();
    this.fill();
    if (!wasOpen) {
      this.load(0);
      this.table.reveal();
      if (this.covers.matches) byId("close-evidence").focus();
    }
  }

  close() {
    if (!this.isOpen) return;
    this.panel.hidden = true;
    document.body.classList.remove("reading");
    clearTimeout(this.timer);
    this.loaded = null;
    byId("frame").replaceChildren();
    this.cover();
    this.fill();
    this.table.grid.focus();
  }

  back() {
    if (this.isOpen && this.covers.matches) byId("close-evidence").focus();
    else this.table.grid.focus();
  }

  // What lies under the panel cannot be reached while it is covered.
  cover() {
    const covered = this.isOpen && this.covers.matches;
    for (const each of [byId("main"), document.querySelector(".top")]) each.inert = covered;
  }

  // A new frame each time: one whose address changes would fill the browser's history.
  load(after = SETTLED_MS) {
    clearTimeout(this.timer);
    if (this.loaded === this.row.id) return;
    this.timer = setTimeout(() => {
      this.loaded = this.row.id;
      const frame = make("iframe", {
        title: `Evidence of ${visible(this.row.name)}`,
        sandbox: "allow-scripts",
        src: address(`/results/${encodeURIComponent(this.row.id)}/page`),
      });
      byId("frame").replaceChildren(make("p", { class: "note" }, "The report is being made …"), frame);
    }, after);
  }
}
