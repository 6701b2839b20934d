// A person's own finding on a source: shown at once, taken back with a word where the server refuses it.

import { send } from "./api.js";

export class Marks {
  // onChange(row), onRefusal(text); results holds the rows.
  constructor(results, { onChange, onRefusal }) {
    this.results = results;
    this.onChange = onChange;
    this.onRefusal = onRefusal;
    this.underway = new Map(); // by source: {sent: promise, count, kept: what the server last had}
  }

  // Sets the mark and the note of a source. Requests of one source go one after the other.
  async set(row, mark, note) {
    const { id } = row;
    const state = this.underway.get(id) ?? { sent: Promise.resolve(), count: 0, kept: { mark: row.mark, note: row.note } };
    this.underway.set(id, state);
    state.count += 1;
    this.wanted(row, { mark, note });
    state.sent = state.sent.then(() => send("PUT", `/results/${encodeURIComponent(id)}/mark`, { mark, note })).then(
      () => Object.assign(state, { kept: { mark, note }, failed: null }),
      (error) => Object.assign(state, { failed: error }),
    );
    await state.sent;
    state.count -= 1;
    if (state.count) return;
    this.underway.delete(id);
    if (!state.failed) return;
    const now = this.results.rows.get(id);
    if (now) this.wanted(now, state.kept);
    this.onRefusal(`The mark of ${row.name} was not kept: ${state.failed.message}`);
  }

  // What another window or the server says; what is underway here has the last word.
  told({ id, mark, note }) {
    const row = this.results.rows.get(id);
    if (row && !this.underway.has(id)) this.wanted(row, { mark, note: note ?? "" });
  }

  // Rows that were read anew get what is still underway.
  again() {
    for (const [id, { mine }] of this.underway) {
      const row = this.results.rows.get(id);
      if (row && mine) Object.assign(row, mine);
    }
  }

  wanted(row, state) {
    const underway = this.underway.get(row.id);
    if (underway) underway.mine = state;
    Object.assign(row, { mark: state.mark, note: state.note });
    this.onChange(row);
  }
}
