// What was dropped or chosen, as files: folders are walked, and what is no medium in them is counted.

import { counted, visible } from "./text.js";

const MAX_ENDINGS = 8;

// Gives {files, skipped}; must be called while the drop is being handled, since the browser forgets it then.
// suffixes is a promise of the endings that are scanned.
export async function dropped(transfer, suffixes) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = collection(await suffixes);
  for (const entry of entries) {
    if (entry instanceof File) found.files.push(entry);
    else if (entry?.isFile) found.files.push(await fileOf(entry));
    else if (entry) for await (const file of inFolder(entry)) found.take(file);
  }
  return found;
}

export async function chosen(list, suffixes, { folder }) {
  const files = [...list];
  const found = collection(await suffixes);
  for (const file of files) {
    if (folder) found.take(file);
    else found.files.push(file);
  }
  return found;
}

// A sentence on the files of a folder that were skipped for their endings, or "".
export function skippedWords(skipped) {
  if (!skipped.size) return "";
  const ordered = [...skipped].sort((a, b) => b[1] - a[1]);
  const named = ordered.slice(0, MAX_ENDINGS).map(([ending, count]) => `${count} ${visible(ending) || "without an ending"}`);
  const more = ordered.length > MAX_ENDINGS ? ` and ${ordered.length - MAX_ENDINGS} more kinds` : "";
  const total = ordered.reduce((sum, [, count]) => sum + count, 0);
  return `${counted(total, "file")} skipped, by their endings no clip or still: ${named.join(", ")}${more}`;
}

function collection(suffixes) {
  const known = new Set(suffixes);
  return {
    files: [],
    skipped: new Map(),
    take(file) {
      const ending = /[^.](\.[^.]*)$/.exec(file.name)?.[1].toLowerCase() ?? "";
      if (known.has(ending)) this.files.push(file);
      else this.skipped.set(ending, (this.skipped.get(ending) ?? 0) + 1);
    },
  };
}

async function* inFolder(entry) {
  if (entry.isFile) {
    yield fileOf(entry);
    return;
  }
  const reader = entry.createReader();
  const entries = [];
  let some;
  do {
    some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    entries.push(...some);
  } while (some.length);
  entries.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  for (const each of entries) yield* inFolder(each);
}

function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
