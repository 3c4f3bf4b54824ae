// What the page knows. Names come from disks and stores: they reach the page as text alone, and what has no glyph of
// its own (control characters, what turns the direction of writing or joins letters) is written out.
const byId = (id) => document.getElementById(id);
const clean = (text) => String(text).replace(/[\p{C}\p{Z}]/gu, (char) => {
  if (char === " ") return char;
  const code = char.codePointAt(0).toString(16);
  return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
});
const number = (value) => value.toLocaleString("en");
const sure = (value) => value === null ? "" : value.toFixed(6);
const last = (path) => path.slice(path.lastIndexOf("/") + 1);
const el = (tag, text = "", kind = "") => {
  const made = document.createElement(tag);
  if (text !== "") made.textContent = clean(text);
  if (kind) made.className = kind;
  return made;
};
const unpack = (id) => {
  const packed = atob(byId(id).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at += 1) bytes[at] = packed.charCodeAt(at);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};

// What can be found of a directory: a shape of its own each, in a box of 20 by 20, and a colour for light and dark.
// What stands before the runs is settled; what comes after them waits for a person, or for a run to end.
const KINDS = new Map(Object.entries({
  "linked": ["#00795a", "#3cc79b", "M3 3H17V17H3Z"],
  "by hand": ["#a8447c", "#e09cc4", "M10 1L12.6 7.2L19 7.8L14.1 12.2L15.6 19L10 15.3L4.4 19L5.9 12.2L1 7.8L7.4 7.2Z"],
  "matched": ["#0067a3", "#5aa9e0", "M10 2A8 8 0 1 0 10 18A8 8 0 1 0 10 2Z"],
  "ambiguous": ["#a36700", "#f0b840", "M10 0L20 10L10 20L0 10Z"],
  "held back": ["#66661a", "#c9c95c", "M5 2H15L20 10L15 18H5L0 10Z"],
  "unmatched": ["#b84a00", "#f58549", "M4 1L10 7L16 1L19 4L13 10L19 16L16 19L10 13L4 19L1 16L7 10L1 4Z"],
  "busy": ["#2b7fae", "#8fd0f7", "M10 1L19 18H1Z"],
  "unreadable": ["#666666", "#a6a6a6", "M7 1H13V7H19V13H13V19H7V13H1V7H7Z"],
}));
const FIRST_OF_ALL = ["unmatched", "ambiguous", "held back", "unreadable", "busy", "by hand", "linked", "matched"];
const ON_PAPER = matchMedia("print");
const DARK = matchMedia("(prefers-color-scheme: dark)");
let isOnPaper = false;
const isDark = () => DARK.matches && !isOnPaper && !ON_PAPER.matches;
const colorOf = (found) => KINDS.get(found)[isDark() ? 1 : 0];
const glyph = (found) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  made.setAttribute("viewBox", "0 0 20 20");
  made.setAttribute("aria-hidden", "true");
  made.setAttribute("class", "glyph");
  const [light, dark, shape] = KINDS.get(found);
  path.setAttribute("d", shape);
  path.style.fill = `light-dark(${light}, ${dark})`;
  made.append(path);
  return made;
};

const data = JSON.parse(await unpack("data"));
const hasOutcome = data.rows.some((row) => row.outcome);
// A stamp is local time without a zone, and the runs' starts are given in the same: both are read as if in UTC.
const instant = (text) => text ? Date.parse(`${text}Z`) : null;
const plainTime = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
for (const run of Object.values(data.runs)) run.at = instant(run.start);
const startOf = (one) => one && data.runs[one[0]] ? data.runs[one[0]].at : null;
for (const row of data.rows) {
  const run = row.case && data.runs[row.case[0]];
  row.at = instant(row.stamp);
  row.confidence = row.case ? row.case[1] : null;
  row.key = hasOutcome ? row.outcome : row.symbol;
  row.words = [row.path, row.name, row.case && row.case[0], run && run.name, run && run.experiment, row.why, row.outcome,
    ...row.others.map((one) => one[0])].join(" ").toLowerCase();
}
