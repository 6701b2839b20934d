// All results as rows, filtered and sorted. Knows nothing of the document, so that it can be measured alone.

import { visible } from "./text.js";

export const LABELS = ["FAKE", "UNCERTAIN", "REAL", "NO_FACE", "FAILED"];
const MAX_ENDING = 12;
export const MARKS = ["fake", "unsure", "real"];

// What a column is sorted by: null stands last in both directions.
const KEYS = {
  name: (row) => row.order,
  label: (row) => LABELS.length - LABELS.indexOf(row.label),
  score: (row) => row.score,
  fakeKind: (row) => row.fakeKind,
  declares: (row) => row.declares,
  remarks: (row) => row.remarks.join(" ") || null,
  duration: (row) => row.duration,
  mark: (row) => (row.mark ? MARKS.length - MARKS.indexOf(row.mark) : null),
  note: (row) => row.note.toLowerCase() || null,
};

// Each takes a row and what was chosen; "" lets everything pass.
const FILTERS = {
  name: (row, part) => row.lower.includes(part),
  labels: (row, labels) => labels.has(row.label),
  kind: (row, kind) => (row.fakeKind ?? "none") === kind,
  declares: (row, word) => (row.declares ?? "none") === word,
  remark: (row, code) => (code === "any" ? row.remarks.length > 0 : code === "none" ? !row.remarks.length : row.remarks.includes(code)),
  mark: (row, mark) => (mark === "any" ? row.mark !== null : mark === "note" ? row.note !== "" : (row.mark ?? "none") === mark),
};

export class Results {
  constructor() {
    this.rows = new Map();
    this.shown = [];
    this.counts = new Map();
    this.by = "score";
    this.descending = true;
    this.wanted = {};
  }

  replace({ columns, rows }) {
    this.columns = columns;
    this.rows.clear();
    for (const each of rows) this.put(each);
  }

  // A row as the server tells it: an array in the order of the columns, or an object.
  put(told) {
    const row = fromServer(Array.isArray(told) ? Object.fromEntries(this.columns.map((name, index) => [name, told[index]])) : told);
    this.rows.set(row.id, row);
    return row;
  }

  sortBy(column) {
    this.descending = this.by === column ? !this.descending : column !== "name";
    this.by = column;
  }

  // Chooses and orders what is shown, and counts the labels of all that pass the other filters.
  update() {
    const tests = Object.entries(this.wanted).filter(([name, value]) => value && name !== "labels");
    this.counts = new Map(LABELS.map((label) => [label, 0]));
    const passed = [];
    for (const row of this.rows.values()) {
      if (!tests.every(([name, value]) => FILTERS[name](row, value))) continue;
      this.counts.set(row.label, this.counts.get(row.label) + 1);
      if (!this.wanted.labels || FILTERS.labels(row, this.wanted.labels)) passed.push(row);
    }
    this.shown = sorted(passed, KEYS[this.by], this.descending);
  }

  // The distinct values of a field, for the choices of a filter.
  values(field) {
    return [...new Set([...this.rows.values()].flatMap((row) => row[field] ?? []))].sort();
  }

  get marked() {
    let count = 0;
    for (const row of this.rows.values()) if (row.mark || row.note) count += 1;
    return count;
  }
}

function sorted(rows, key, descending) {
  const keyed = rows.map((row) => [key(row), row]);
  const sign = descending ? -1 : 1;
  keyed.sort(([a, left], [b, right]) => {
    if (a === b) return right.suspicion - left.suspicion || compare(left.order, right.order);
    if (a === null || b === null) return a === null ? 1 : -1;
    return sign * compare(a, b);
  });
  return keyed.map(([, row]) => row);
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// A name as its folder, the start and the end of the file's own name: in a narrow column they give way in this order.
function partsOf(name) {
  const file = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1;
  let end = name.length - file > 2 * MAX_ENDING ? name.length - MAX_ENDING : name.length;
  if (/[\udc00-\udfff]/.test(name[end])) end -= 1; // the second half of a character
  return [name.slice(0, file), name.slice(file, end), name.slice(end)];
}

function fromServer(told) {
  const name = visible(told.name);
  const lower = name.toLowerCase();
  return {
    id: told.id,
    name,
    parts: partsOf(name),
    lower,
    order: lower.normalize("NFKD").replace(/\d+/g, (digits) => digits.padStart(12, "0")),
    kind: told.kind,
    label: told.label,
    score: told.fake_probability,
    suspicion: told.fake_probability ?? -1 - LABELS.indexOf(told.label),
    fakeKind: told.fake_kind ?? null,
    declares: told.declares_ai === true ? "AI" : told.declares_ai === false ? "camera" : null,
    remarks: told.remarks ?? [],
    duration: told.duration_s ?? null,
    mark: told.mark ?? null,
    note: told.note ?? "",
    error: told.error ? visible(told.error) : "",
  };
}
