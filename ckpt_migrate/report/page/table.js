// The table of directories, its filters, and the counts above everything, which are filters, too.
const PAGE = 100;
const filter = { key: null, from: null, to: null };
let shown = [];
let sorting = [0, 1];

// Pages of a long list: `draw` gets what is on the page.
const paged = (nav, draw) => {
  const [back, place, on] = nav.children;
  const state = { list: [], first: 0 };
  const show = () => {
    const { list, first } = state;
    const end = Math.min(first + PAGE, list.length);
    draw(list.slice(first, end));
    place.textContent = list.length ? `${number(first + 1)} to ${number(end)} of ${number(list.length)}` : "";
    back.disabled = first === 0;
    on.disabled = end === list.length;
    nav.hidden = list.length <= PAGE;
  };
  back.addEventListener("click", () => { state.first -= PAGE; show(); });
  on.addEventListener("click", () => { state.first += PAGE; show(); });
  return {
    fill: (list) => { state.list = list; state.first = 0; show(); },
    turnTo: (at) => { state.first = at - at % PAGE; show(); },
    whole: () => draw(state.list),
    again: show,
  };
};

// A name may be broken where its parts meet.
const breakable = (name) => clean(name).split("_").flatMap((part, at) => at ? [document.createElement("wbr"), `_${part}`] : [part]);
const nameCell = (cell, row) => {
  const button = el("button", "", "name");
  button.append(...breakable(last(row.path)));
  button.type = "button";
  button.addEventListener("click", () => openCase(row));
  cell.append(button);
  if (row.name) {
    const becomes = el("div", "", "becomes");
    const arrow = el("span", "→ ");
    arrow.setAttribute("aria-hidden", "true");
    becomes.append(arrow, el("span", "becomes ", "unseen"), ...breakable(row.name));
    cell.append(becomes);
  }
};
const together = (cell, ...parts) => {
  const made = el("div");
  made.append(...parts);
  cell.append(made);
};
const runCell = (cell, row) => {
  if (!row.case) return;
  const run = data.runs[row.case[0]];
  cell.append(el("div", row.case[0], "id"));
  if (run && run.name) together(cell, ...breakable(run.name));
};
const foundCell = (cell, row) => together(cell, glyph(row.found), row.found);
// Why not, or who chose; of what the planner matched, the strongest that speaks for it.
const whyOf = (row) => {
  if (row.why || !row.case) return row.why;
  const [bits, family, text] = row.case[2].reduce((a, b) => b[0] > a[0] ? b : a, [0, "", ""]);
  return bits > 0 ? `${family} ${bitsOf(bits)}: ${text}` : "";
};
const whyCell = (cell, row) => {
  const words = [...row.doubts.map((text) => `Doubt: ${text}`), whyOf(row)].filter(Boolean).join(". ");
  cell.append(el("div", words, row.doubts.length ? "brief doubt" : "brief"));
};
// A column: its name, how its cells look, what it is sorted by, what fills a cell.
const COLUMNS = [
  ["Found", "word", (row) => FIRST_OF_ALL.indexOf(row.found), foundCell],
  ["Apply", "word", (row) => row.action, (cell, row) => together(cell, el("code", row.symbol), ` ${row.action}`)],
  ["Checkpoint", "id long", (row) => last(row.path), nameCell],
  ["Confidence", "number", (row) => row.confidence === null ? -1 : row.confidence, (cell, row) => together(cell, sure(row.confidence))],
  ["Run", "run", (row) => row.case ? row.case[0] : "", runCell],
  ["Why", "why", whyOf, whyCell],
];
if (hasOutcome) COLUMNS.splice(1, 1, ["What became of it", "outcome", (row) => row.outcome, (cell, row) => cell.append(el("span", row.outcome))]);

const heads = COLUMNS.map(([name, kind], place) => {
  const head = el("th", "", kind === "number" ? "number" : "");
  const button = el("button", name);
  head.scope = "col";
  button.type = "button";
  button.addEventListener("click", () => {
    sorting = [place, sorting[0] === place ? -sorting[1] : 1];
    choose();
  });
  head.append(button);
  return head;
});
document.querySelector("#rows thead tr").append(...heads);
const line = (row) => {
  const made = document.createElement("tr");
  for (const [name, kind, , fill] of COLUMNS) {
    const cell = el("td", "", kind);
    cell.dataset.label = name;
    fill(cell, row);
    if (!cell.textContent) cell.classList.add("empty");
    made.append(cell);
  }
  return made;
};
const pages = paged(byId("pages"), (rows) => document.querySelector("#rows tbody").replaceChildren(...rows.map(line)));

const tallies = () => {
  const counts = new Map();
  for (const row of data.rows) counts.set(row.key, (counts.get(row.key) || 0) + 1);
  const keys = hasOutcome ? [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || (a < b ? -1 : 1)) : Object.keys(data.symbols).filter((key) => counts.has(key));
  byId("tallies").replaceChildren(...keys.map((key) => {
    const button = el("button", "", "tally");
    button.type = "button";
    button.setAttribute("aria-pressed", String(filter.key === key));
    button.append(el("strong", number(counts.get(key))), ...hasOutcome ? [] : [el("code", key)],
      el("span", hasOutcome ? key : data.symbols[key]));
    button.addEventListener("click", () => {
      filter.key = filter.key === key ? null : key;
      [...byId("tallies").children].forEach((one) => one.setAttribute("aria-pressed", String(one === button && filter.key !== null)));
      choose();
    });
    return button;
  }));
};

const passes = () => {
  const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const below = byId("below").value === "" ? null : Number(byId("below").value);
  const found = byId("found").value;
  const action = byId("action").value;
  return data.rows.filter((row) => words.every((word) => row.words.includes(word))
    && (filter.key === null || row.key === filter.key)
    && (!found || row.found === found)
    && (!action || row.action === action)
    && (below === null || row.confidence === null || row.confidence < below));
};
const isInWindow = (row) => filter.from === null || (row.at !== null && row.at >= filter.from && row.at <= filter.to);
const choose = ({ isZoom = false } = {}) => {
  const passed = passes();
  const [place, way] = sorting;
  const keyed = passed.filter(isInWindow).map((row) => [COLUMNS[place][2](row), row]);
  keyed.sort(([a, one], [b, other]) => way * (a < b ? -1 : a > b ? 1 : 0) || (one.path < other.path ? -1 : 1));
  shown = keyed.map(([, row]) => row);
  heads.forEach((head, at) => head.setAttribute("aria-sort", at !== place ? "none" : way > 0 ? "ascending" : "descending"));
  const when = filter.from === null ? "" : ", of the time that the time line shows";
  byId("count").textContent = `${number(shown.length)} of ${number(data.rows.length)} directories${when}`;
  pages.fill(shown);
  byId("none").hidden = shown.length > 0;
  byId("none").textContent = data.rows.length ? "None fits these filters." : "There is nothing in this plan to rename, to repair or to decide.";
  if (!isZoom) later(() => drawTime(passed));
};
let waiting = null;
const later = (work) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => window.echarts && work(), 150);
};
const startTable = () => {
  const fill = (id, values) => byId(id).append(new Option("any", ""), ...[...new Set(values)].sort().map((value) => new Option(clean(value), value)));
  fill("found", data.rows.map((row) => row.found));
  fill("action", data.rows.map((row) => row.action));
  byId("filters").addEventListener("input", () => choose());
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(() => {
    Object.assign(filter, { key: null, from: null, to: null });
    tallies();
    choose();
  }));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !byId("case").open && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
      event.preventDefault();
      byId("text").focus();
    }
  });
  tallies();
  choose();
  // A page of nothing says so, once.
  if (!data.rows.length) document.querySelectorAll(".full").forEach((one) => { one.hidden = true; });
};
