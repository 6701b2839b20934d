// What is uploaded, waits and is scanned: one job for each, with its progress and a way to stop it.

import { ask, upload } from "./api.js";
import { visible } from "./text.js";

export const CANCELLABLE = ["running", "uploading", "queued", "waiting"];

export class Queue {
  constructor(onChange) {
    this.jobs = new Map(); // by the server's id, or a symbol of our own until it has one
    this.gone = new Set(); // scans that are over, or that were cleared away here
    this.early = []; // what the server told before it answered the upload that it is about
    this.busy = false; // with an upload, or with waiting until the server takes the next
    this.changed = onChange;
    addEventListener("beforeunload", (event) => {
      if (this.in("waiting", "uploading").length) event.preventDefault();
    });
  }

  in(...states) {
    return [...this.jobs.values()].filter((job) => states.includes(job.state));
  }

  add(files) {
    for (const file of files) {
      const key = Symbol(file.name);
      this.jobs.set(key, { key, file, name: visible(file.name), state: "waiting" });
    }
    this.pump();
    this.changed();
  }

  // Uploads go one after the other, in the order in which they were added.
  pump() {
    const [next] = this.in("waiting");
    if (next && !this.busy) this.send(next);
  }

  async send(job) {
    this.busy = true;
    Object.assign(job, { state: "uploading", fraction: 0 });
    const { promise, abort } = upload(job.file, (fraction) => {
      job.fraction = fraction;
      this.changed();
    });
    job.abort = abort;
    try {
      const { id, again } = await promise;
      if (again) {
        job.state = "waiting";
        await new Promise((resolve) => setTimeout(resolve, 1000 * again));
      } else {
        this.jobs.delete(job.key);
        if (!this.jobs.has(id) && !this.gone.has(id)) this.told({ id, name: job.file.name, state: "queued" });
      }
    } catch (error) {
      if (this.jobs.has(job.key)) Object.assign(job, { state: "failed", error: error.message });
    }
    this.busy = false;
    for (const scan of this.early.splice(0)) this.told(scan);
    this.pump();
    this.changed();
  }

  // All scans as the server lists them; uploads of this window stay, and what is newer than the list.
  replace(scans) {
    const newest = Math.max(0, ...scans.map((scan) => scan.id));
    for (const key of this.jobs.keys()) if (typeof key !== "symbol" && key <= newest) this.jobs.delete(key);
    for (const scan of scans) this.told(scan);
    this.changed();
  }

  told(scan) {
    const sent = this.in("uploading").some((job) => job.fraction === 1);
    if (sent && !this.jobs.has(scan.id)) this.early.push(scan);
    else if (scan.state === "done" || scan.state === "cancelled") {
      this.jobs.delete(scan.id);
      this.gone.add(scan.id);
    } else if (!this.gone.has(scan.id)) {
      this.jobs.set(scan.id, { ...scan, key: scan.id, name: visible(scan.name), error: visible(scan.error?.message ?? scan.error ?? "") });
    }
    this.changed();
  }

  async cancel(job) {
    this.jobs.delete(job.key);
    this.changed();
    if (typeof job.key === "symbol") {
      job.abort?.();
      return;
    }
    this.gone.add(job.key);
    try {
      await ask(`/scans/${encodeURIComponent(job.key)}`, { method: "DELETE" });
    } catch (error) {
      this.jobs.set(job.key, { ...job, state: "failed", error: error.message });
      this.changed();
    }
  }

  cancelAll() {
    for (const job of this.in(...CANCELLABLE)) this.cancel(job);
  }

  clear(failed = this.in("failed")) {
    for (const job of failed) {
      this.jobs.delete(job.key);
      this.gone.add(job.key);
    }
    this.changed();
  }
}
