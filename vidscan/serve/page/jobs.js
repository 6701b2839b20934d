// Draws the queue: in place, so that a button stays under the pointer and keeps the focus.

import { CANCELLABLE } from "./queue.js";
import { byId, clock, make } from "./text.js";

const MAX_LISTED = 40;
const ORDER = [...CANCELLABLE, "failed"];
const STATES = { queued: "queued", waiting: "waiting to be uploaded" };

export class Jobs {
  constructor(queue) {
    this.queue = queue;
    this.items = new Map();
    byId("cancel-all").addEventListener("click", () => queue.cancelAll());
    byId("clear-failed").addEventListener("click", () => queue.clear());
  }

  draw() {
    const jobs = [...this.queue.jobs.values()].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const failed = this.queue.in("failed").length;
    byId("queue").hidden = !jobs.length;
    byId("queue-words").textContent = summary(jobs, failed);
    byId("cancel-all").hidden = jobs.length - failed < 2;
    byId("clear-failed").hidden = !failed;
    byId("jobs-left-out").hidden = jobs.length <= MAX_LISTED;
    byId("jobs-left-out").textContent = `and ${(jobs.length - MAX_LISTED).toLocaleString("en")} more`;
    this.list(jobs.slice(0, MAX_LISTED));
  }

  list(jobs) {
    const keys = new Set(jobs.map((job) => job.key));
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      item.remove();
      this.items.delete(key);
    }
    jobs.forEach((job, place) => {
      const item = this.items.get(job.key) ?? this.item(job);
      if (byId("jobs").children[place] !== item) byId("jobs").insertBefore(item, byId("jobs").children[place] ?? null);
      fill(item, job);
    });
  }

  item({ key, name }) {
    const stop = make("button", { type: "button" });
    stop.addEventListener("click", () => {
      const job = this.queue.jobs.get(key);
      if (job?.state === "failed") this.queue.clear([job]);
      else if (job) this.queue.cancel(job);
    });
    const bar = make("progress", { max: "1", "aria-label": `Progress of ${name}` });
    const item = make("li", {}, make("bdi", { class: "job" }, name), make("span", { class: "state" }), bar, stop);
    this.items.set(key, item);
    return item;
  }
}

function fill(item, job) {
  const [, words, bar, stop] = item.children;
  const failed = job.state === "failed";
  item.className = job.state;
  words.textContent = failed ? job.error || "failed" : STATES[job.state] ?? progress(job);
  bar.hidden = !["running", "uploading"].includes(job.state);
  const done = fraction(job);
  if (done === null) bar.removeAttribute("value");
  else bar.value = done;
  stop.textContent = failed ? "Clear" : "Cancel";
  stop.setAttribute("aria-label", `${stop.textContent} ${job.name}`);
}

function summary(jobs, failed) {
  const running = jobs.find((job) => job.state === "running");
  const waiting = jobs.length - failed - (running ? 1 : 0);
  return [
    running ? `Scanning ${running.name}: ${progress(running)}` : waiting ? "Waiting for the scanner" : "",
    waiting ? `${waiting.toLocaleString("en")} waiting` : "",
    failed ? `${failed.toLocaleString("en")} failed` : "",
  ].filter(Boolean).join(" · ");
}

// How far a job is, in words.
function progress(job) {
  if (job.state === "uploading") return `uploading, ${Math.floor(100 * job.fraction)}%`;
  const { reached_s: reached, duration_s: duration } = job.progress ?? {};
  const at = reached == null ? "" : duration ? `${clock(reached)} of ${clock(duration)}` : clock(reached);
  const of = job.sources > 1 ? `${job.finished.toLocaleString("en")} of ${job.sources.toLocaleString("en")} done` : "";
  return [of, at].filter(Boolean).join(", ") || "scanning";
}

// The same from 0 to 1; null where nobody knows.
function fraction(job) {
  if (job.state === "uploading") return job.fraction;
  const { reached_s: reached, duration_s: duration } = job.progress ?? {};
  const part = duration ? Math.min(1, reached / duration) : null;
  if (job.sources > 1) return (job.finished + (part ?? 0)) / job.sources;
  return part;
}
