// The table of results: a grid that draws only the rows in the window, so that 100,000 scroll as ten do.

import { LABELS } from "./results.js";
import { clock, make, score, visible } from "./text.js";

const AROUND = 6; // rows drawn above and below the window
const COLUMNS = [
  ["name", "Name"],
  ["label", "Verdict"],
  ["score", "P(fake)"],
  ["fakeKind", "Kind"],
  ["declares", "Declares"],
  ["remarks", "Remarks"],
  ["duration", "Length"],
  ["mark", "Mark"],
  ["note", "Note"],
];

export { COLUMNS };

export function badge(label) {
  return make("span", { class: `badge ${label.toLowerCase()}` }, label.replace("_", " "));
}

export class Table {
  // onSort(column), onSelect(row or null), onOpen(row)
  constructor(grid, { onSort, onSelect, onOpen }) {
    this.grid = grid;
    this.body = grid.querySelector(".body");
    this.heads = new Map();
    this.rows = [];
    this.drawn = new Map();
    this.spare = [];
    this.selected = null;
    this.index = -1;
    this.tell = onSelect;
    this.open = onOpen;
    this.drawHead(grid.querySelector(".head .row"), onSort);
    grid.addEventListener("scroll", () => this.draw(), { passive: true });
    grid.addEventListener("keydown", (event) => this.onKey(event));
    grid.addEventListener("focus", () => this.index < 0 && this.rows.length && this.select(0));
    this.body.addEventListener("click", (event) => this.onClick(event));
    new ResizeObserver(() => this.measure()).observe(grid);
  }

  drawHead(row, onSort) {
    for (const [key, title] of COLUMNS) {
      const button = make("button", { type: "button", tabindex: "0" }, title);
      const head = make("span", { role: "columnheader", class: `c-${key}` }, button);
      button.addEventListener("click", () => onSort(key));
      this.heads.set(key, head);
      row.append(head);
    }
  }

  showOrder(by, descending) {
    for (const [key, head] of this.heads) {
      if (key === by) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  // Shows other rows. The selection stays with its source, or goes to what took its place. keepPlace leaves the
  // selected row where it is in the window, whatever comes above it.
  show(rows, { keepPlace = false } = {}) {
    const [top, fit] = this.window;
    const inSight = this.index >= top && this.index < top + fit;
    this.rows = rows;
    this.grid.setAttribute("aria-rowcount", rows.length + 1);
    const before = this.index;
    this.index = this.selected === null ? -1 : rows.findIndex((row) => row.id === this.selected);
    const lost = this.index < 0 && this.selected !== null;
    this.measure();
    if (lost) this.select(Math.min(before, rows.length - 1), { scroll: false });
    else if (keepPlace && inSight && top > 0) this.grid.scrollTop += (this.index - before) * this.height;
  }

  measure() {
    this.body.style.height = `calc(var(--row) * ${this.rows.length})`;
    this.height = this.body.getBoundingClientRect().height / Math.max(1, this.rows.length) || 1;
    this.draw();
  }

  // The window in rows: the first one in it, and how many fit.
  get window() {
    const above = this.body.offsetTop;
    return [this.grid.scrollTop / this.height, (this.grid.clientHeight - above) / this.height];
  }

  draw() {
    const [top, fit] = this.window;
    const first = Math.max(0, Math.floor(top) - AROUND);
    const last = Math.min(this.rows.length, Math.ceil(top + fit) + AROUND);
    for (const [index, element] of this.drawn) {
      if (index >= first && index < last) continue;
      this.drawn.delete(index);
      element.hidden = true;
      this.spare.push(element);
    }
    for (let index = first; index < last; index += 1) {
      let element = this.drawn.get(index);
      if (!element) {
        element = this.spare.pop() ?? this.newRow();
        this.drawn.set(index, element);
      }
      this.fill(element, this.rows[index], index);
    }
    const active = this.drawn.has(this.index) ? `row-${this.selected}` : "";
    if (active) this.grid.setAttribute("aria-activedescendant", active);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  newRow() {
    const element = make("div", { role: "row", class: "row" });
    element.cells = {};
    for (const [key] of COLUMNS) {
      const cell = make("span", { role: key === "name" ? "rowheader" : "gridcell", class: `c-${key}` });
      element.append(cell);
      element.cells[key] = cell;
    }
    element.cells.name.append(make("bdi", {}, make("span"), make("span", {}, make("span"), make("span"))));
    element.cells.label.append(badge(LABELS[0]));
    element.cells.score.append(make("span"), make("i", { class: "level", "aria-hidden": "true" }));
    this.body.append(element);
    return element;
  }

  fill(element, row, index) {
    element.hidden = false;
    element.id = `row-${row.id}`;
    element.index = index;
    element.style.transform = `translateY(calc(var(--row) * ${index}))`;
    element.setAttribute("aria-rowindex", index + 2);
    element.setAttribute("aria-selected", row.id === this.selected);
    const { name, label, score: points, fakeKind, declares, remarks, duration, mark, note } = element.cells;
    const [folder, file] = name.firstChild.children;
    [folder.textContent, file.firstChild.textContent, file.lastChild.textContent] = row.parts;
    name.title = row.name;
    name.setAttribute("aria-label", row.name); // in one piece
    label.firstChild.className = `badge ${row.label.toLowerCase()}`;
    label.firstChild.textContent = row.label.replace("_", " ");
    points.firstChild.textContent = row.score === null && row.label !== "UNCERTAIN" ? "" : score(row.score);
    points.lastChild.className = `level ${row.label.toLowerCase()}`;
    points.lastChild.style.inlineSize = `${100 * (row.score ?? 0)}%`;
    fakeKind.textContent = row.fakeKind ?? "";
    declares.textContent = row.declares ?? "";
    remarks.textContent = remarks.title = row.error || row.remarks.map(inWords).join(", ");
    duration.textContent = row.duration === null ? "" : clock(row.duration);
    mark.textContent = row.mark ?? "";
    mark.className = `c-mark ${row.mark ?? ""}`;
    note.textContent = note.title = visible(row.note);
  }

  // Draws one source anew, if it is in the window.
  refresh(row) {
    const index = this.rows.indexOf(row);
    if (this.drawn.has(index)) this.fill(this.drawn.get(index), row, index);
  }

  get current() {
    return this.rows[this.index] ?? null;
  }

  select(index, { scroll = true } = {}) {
    this.index = this.rows.length ? Math.max(0, Math.min(index, this.rows.length - 1)) : -1;
    this.selected = this.current?.id ?? null;
    if (scroll) this.reveal();
    this.draw();
    this.tell(this.current);
  }

  reveal() {
    const [top, fit] = this.window;
    if (this.index < top) this.grid.scrollTop = this.index * this.height;
    else if (this.index + 1 > top + fit) this.grid.scrollTop = (this.index + 1 - fit) * this.height;
  }

  onKey(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.window[1]) - 1);
    const to = {
      ArrowDown: this.index + 1,
      ArrowUp: this.index - 1,
      PageDown: this.index + page,
      PageUp: this.index - page,
      Home: 0,
      End: this.rows.length - 1,
    }[event.key];
    if (to !== undefined) this.select(to);
    else if (event.key === "Enter" && this.current) this.open(this.current);
    else return;
    event.preventDefault();
  }

  onClick(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    this.grid.focus({ preventScroll: true });
    this.select(row.index);
    this.open(this.current);
  }
}

function inWords(code) {
  return code.replaceAll("-", " ");
}
