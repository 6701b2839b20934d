// Words and numbers as the reports show them, and elements made without markup.

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

// Text on one line, with what a browser would hide or reorder written as an escape, as report/escape.py does.
export function visible(text) {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0);
    if (SHORT[character]) return SHORT[character];
    if (code < 0x100) return `\\x${hexadecimal(code, 2)}`;
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hexadecimal(code - 0xdc00, 2)}`;
    return code < 0x10000 ? `\\u${hexadecimal(code, 4)}` : `\\U${hexadecimal(code, 8)}`;
  });
}

function hexadecimal(code, digits) {
  return code.toString(16).padStart(digits, "0");
}

// Two decimals, never a certain 0.00 or 1.00.
export function score(probability) {
  if (probability === null) return "—";
  if (probability < 0.005) return "<0.01";
  return probability >= 0.995 ? ">0.99" : probability.toFixed(2);
}

// Seconds as m:ss.s, or h:mm:ss.s from an hour on.
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

// An element with attributes and children; a text among the children stays text.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}
