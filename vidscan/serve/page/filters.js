// The filters above the table: what is chosen in them goes to results.wanted.

import { LABELS, MARKS } from "./results.js";
import { COLUMNS, badge } from "./table.js";
import { byId, counted, make } from "./text.js";

const ANY = ["", "any"];

export class Filters {
  constructor(results, { onChange, onSort }) {
    this.results = results;
    this.form = byId("filters");
    this.counts = new Map(LABELS.map((label) => [label, this.addLabel(label)]));
    this.selects = { kind: byId("filter-kind"), declares: byId("filter-declares"), remark: byId("filter-remark"), mark: byId("filter-mark") };
    this.offer("declares", [ANY, ["AI", "AI"], ["camera", "a camera"], ["none", "neither"]]);
    this.offer("mark", [ANY, ["none", "not marked"], ["any", "marked"], ...MARKS.map((mark) => [mark, `marked ${mark}`]), ["note", "with a note"]]);
    this.offerFound();
    byId("sort").append(...COLUMNS.map(([key, title]) => make("option", { value: key }, title)));
    byId("sort").addEventListener("change", () => onSort(byId("sort").value));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => {
      if (event.target === byId("sort")) return;
      this.read();
      onChange();
    });
    this.form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.reset();
      onChange();
    });
  }

  addLabel(label) {
    const count = make("span", { class: "count" });
    const box = make("input", { type: "checkbox", name: "label", value: label });
    box.checked = true;
    byId("filter-label").append(make("label", { class: "choice" }, box, badge(label), count));
    return count;
  }

  // Kinds and remarks that some source has.
  offerFound() {
    this.offer("kind", [ANY, ...this.results.values("fakeKind").map((kind) => [kind, kind]), ["none", "not told"]]);
    this.offer("remark", [ANY, ["none", "none"], ["any", "some"], ...this.results.values("remarks").map((code) => [code, code.replaceAll("-", " ")])]);
  }

  offer(name, choices) {
    const select = this.selects[name];
    const known = choices.map(([value]) => value).join("\n");
    if (select.dataset.known === known) return;
    const chosen = select.value;
    select.dataset.known = known;
    select.replaceChildren(...choices.map(([value, words]) => make("option", { value }, words)));
    select.value = chosen;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  }

  read() {
    const labels = new Set([...this.form.querySelectorAll("[name=label]:checked")].map((box) => box.value));
    const wanted = { name: byId("filter-name").value.toLowerCase(), labels: labels.size < LABELS.length ? labels : null };
    for (const [name, select] of Object.entries(this.selects)) wanted[name] = select.value;
    this.results.wanted = wanted;
  }

  reset() {
    byId("filter-name").value = "";
    for (const box of this.form.querySelectorAll("[name=label]")) box.checked = true;
    for (const select of Object.values(this.selects)) select.selectedIndex = 0;
    this.read();
  }

  // Says what is shown and how many there are of each label.
  tell() {
    const { rows, shown, counts, by } = this.results;
    const set = Object.values(this.selects).filter((select) => select.value).length;
    for (const [label, count] of this.counts) count.textContent = counts.get(label).toLocaleString("en");
    byId("filters-set").textContent = set ? ` (${set} set)` : "";
    byId("shown").textContent = `${shown.length.toLocaleString("en")} of ${counted(rows.size, "source")} shown`;
    byId("sort").value = by;
  }
}
