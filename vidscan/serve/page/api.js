// The server, by its REST. Every failure is an Error whose message is for a person.

import { visible } from "./text.js";

const ROOT = "api/v1";
const STRANGER = "vidscan does not know this browser (any more): open the address that “vidscan serve” printed.";
export const GONE = "vidscan does not answer: is “vidscan serve” still running?";

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`${ROOT}${path}`, { credentials: "same-origin", ...options });
  } catch {
    throw new Error(GONE);
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(reason(answer.status, text));
  return text ? JSON.parse(text) : null;
}

export function send(method, path, body) {
  return ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

// Uploads one file. Gives {promise, abort}; the promise is of {id}, or of {again: seconds} where the queue is full.
export function upload(file, onProgress) {
  const request = new XMLHttpRequest();
  const promise = new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded / (event.total || 1)));
    request.addEventListener("error", () => reject(new Error(GONE)));
    request.addEventListener("abort", () => reject(new Error("cancelled")));
    request.addEventListener("load", () => {
      if (request.status === 429 || request.status === 503) resolve({ again: Number(request.getResponseHeader("Retry-After")) || 2 });
      else if (request.status >= 300) reject(new Error(reason(request.status, request.responseText)));
      else resolve(JSON.parse(request.responseText));
    });
    const form = new FormData();
    form.append("file", file, file.name);
    request.open("POST", `${ROOT}/scans`);
    request.send(form);
  });
  return { promise, abort: () => request.abort() };
}

export function address(path) {
  return `${ROOT}${path}`;
}

function reason(status, text) {
  if (status === 401) return STRANGER;
  try {
    const { error } = JSON.parse(text);
    return visible(typeof error === "string" ? error : error.message);
  } catch {
    return `vidscan answered with status ${status}, without a reason.`;
  }
}
