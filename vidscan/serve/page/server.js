// What the server tells: everything at first and after every break, then each change as it comes.

import { address, ask } from "./api.js";

const AGAIN_MS = 3000;

export class Server {
  // onAbout, onAll(results, scans), onScan, onResult, onMark, onState(words), onError(error)
  constructor(listener) {
    this.listener = listener;
    this.held = null; // what came while everything was being fetched
    document.addEventListener("visibilitychange", () => this.turn());
    this.turn();
  }

  // A window out of sight does not listen: browsers allow six connections to one server, for all windows.
  turn() {
    if (document.hidden) {
      this.source?.close();
      this.source = null;
    } else if (!this.source) this.listen();
  }

  listen() {
    clearTimeout(this.timer);
    this.source = new EventSource(address("/events"));
    this.source.addEventListener("open", () => this.fetchAll());
    this.source.addEventListener("error", () => this.onBreak());
    for (const [kind, name] of [["scan", "onScan"], ["result", "onResult"], ["mark", "onMark"]]) {
      this.source.addEventListener(kind, (event) => this.take(name, JSON.parse(event.data)));
    }
  }

  take(name, data) {
    if (this.held) this.held.push([name, data]);
    else this.listener[name](data);
  }

  async fetchAll() {
    this.held = [];
    try {
      const [about, results, scans] = await Promise.all([ask("/about"), ask("/results"), ask("/scans")]);
      this.listener.onAbout(about);
      this.listener.onAll(results, scans);
      this.listener.onState("");
    } catch (error) {
      this.listener.onError(error);
      this.timer = setTimeout(() => this.source?.readyState === EventSource.OPEN && this.fetchAll(), AGAIN_MS);
    }
    const held = this.held;
    this.held = null;
    for (const [name, data] of held) this.listener[name](data);
  }

  // The browser tries again by itself after a break, but not after a refusal.
  async onBreak() {
    this.listener.onState("Not connected, trying again …");
    if (this.source?.readyState !== EventSource.CLOSED) return;
    this.source = null;
    this.timer = setTimeout(() => this.turn(), AGAIN_MS);
    try {
      await ask("/scans");
    } catch (error) {
      this.listener.onError(error);
    }
  }
}
