"use strict";
// Names come from disks and stores: they reach the page as text alone, what moves or turns letters written out.
(async () => {
  const PAGE = 100;
  const MOST_DOTS = 1500;
  // Okabe and Ito's colours, which all kinds of eyes tell apart; each with a shape of its own.
  const KINDS = {
    "matched": ["#0072b2", "circle"], "by hand": ["#cc79a7", "star"], "linked": ["#009e73", "square"],
    "ambiguous": ["#e69f00", "diamond"], "held back": ["#999933", "hexagon"], "unmatched": ["#d55e00", "x"], "busy": ["#56b4e9", "triangle-up"],
    "unreadable": ["#7f7f7f", "cross"],
  };
  const ORDER = ["unmatched", "ambiguous", "held back", "unreadable", "busy", "by hand", "linked", "matched"];
  const RUNS = "MLflow runs";
  const byId = (id) => document.getElementById(id);
  const clean = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0"));
  // The charts read a little markup in their texts.
  const inChart = (text) => clean(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const number = (value) => value.toLocaleString("en");
  const sure = (value) => value === null ? "" : value.toFixed(6);
  const el = (tag, text = "", kind = "") => {
    const made = document.createElement(tag);
    if (text !== "") made.textContent = clean(text);
    if (kind) made.className = kind;
    return made;
  };
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const data = await unpack(byId("data").textContent);
  const last = (path) => path.slice(path.lastIndexOf("/") + 1);
  const hasOutcome = data.rows.some((row) => row.outcome);
  for (const [at, row] of data.rows.entries()) {
    row.at = at;
    const run = row.case && data.runs[row.case[0]];
    row.confidence = row.case ? row.case[1] : null;
    row.words = [row.path, row.name, row.case && row.case[0], run && run.name, row.why, row.outcome,
      ...row.others.map((one) => one[0])].join(" ").toLowerCase();
  }

  // The table.
  const COLUMNS = [
    ["Found", (row) => row.found, "word", (row) => ORDER.indexOf(row.found)],
    ["Action", (row) => row.action, "word"],
    ["Checkpoint", (row) => last(row.path), "id long"],
    ["Confidence", (row) => sure(row.confidence), "number", (row) => row.confidence === null ? -1 : row.confidence],
    ["Run", (row) => row.case ? row.case[0] : "", "id"],
    ["Why", (row) => row.why, "why"],
  ];
  if (hasOutcome) COLUMNS.splice(2, 0, ["What became of it", (row) => row.outcome, "word"]);
  let shown = [];
  let first = 0;
  let sorting = [0, 1];
  const fillSelect = (id, values) => {
    byId(id).append(new Option("any", ""), ...[...new Set(values)].sort().map((value) => new Option(clean(value), value)));
  };
  fillSelect("found", data.rows.map((row) => row.found));
  fillSelect("action", data.rows.map((row) => row.action));
  const heads = COLUMNS.map(([name, , kind], place) => {
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
    for (const [name, value, kind] of COLUMNS) {
      const cell = el("td", name === "Checkpoint" ? "" : value(row), kind);
      if (name === "Checkpoint") {
        const button = el("button", value(row), "name");
        button.type = "button";
        button.addEventListener("click", () => openCase(row));
        cell.append(button);
      }
      made.append(cell);
    }
    return made;
  };
  const draw = (rows) => document.querySelector("#rows tbody").replaceChildren(...rows.map(line));
  const drawPage = () => {
    const end = Math.min(first + PAGE, shown.length);
    draw(shown.slice(first, end));
    byId("place").textContent = shown.length ? `${number(first + 1)} to ${number(end)} of ${number(shown.length)}` : "";
    byId("back").disabled = first === 0;
    byId("on").disabled = end === shown.length;
    byId("pages").hidden = shown.length <= PAGE;
  };
  const choose = () => {
    const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const below = byId("below").value === "" ? null : Number(byId("below").value);
    shown = data.rows.filter((row) => words.every((word) => row.words.includes(word))
      && (!byId("found").value || row.found === byId("found").value)
      && (!byId("action").value || row.action === byId("action").value)
      && (below === null || row.confidence === null || row.confidence < below));
    const [place, way] = sorting;
    const key = COLUMNS[place][3] || COLUMNS[place][1];
    const keyed = shown.map((row) => [key(row), row]);
    keyed.sort(([a, one], [b, other]) => way * (a < b ? -1 : a > b ? 1 : 0) || (one.path < other.path ? -1 : 1));
    shown = keyed.map(([, row]) => row);
    heads.forEach((head, at) => head.setAttribute("aria-sort", at !== place ? "none" : way > 0 ? "ascending" : "descending"));
    first = 0;
    byId("count").textContent = `${number(shown.length)} of ${number(data.rows.length)} directories`;
    drawPage();
    later(drawTime);
  };
  byId("back").addEventListener("click", () => { first -= PAGE; drawPage(); });
  byId("on").addEventListener("click", () => { first += PAGE; drawPage(); });
  byId("filters").addEventListener("input", () => choose());
  byId("filters").addEventListener("reset", () => setTimeout(choose));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !byId("case").open && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
      event.preventDefault();
      byId("text").focus();
    }
  });

  // The charts.
  let paper = false;
  const look = () => {
    const style = getComputedStyle(document.documentElement);
    const ink = paper ? "#000" : style.getPropertyValue("--ink").trim();
    const grid = paper ? "#bbb" : style.getPropertyValue("--line").trim();
    const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true };
    return { font: { color: ink, size: 13 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", axis,
      hoverlabel: { bgcolor: paper ? "#fff" : style.getPropertyValue("--shade").trim(), font: { color: ink } } };
  };
  const chart = (id, traces, layout) => {
    const { axis, ...rest } = look();
    Plotly.react(id, traces, { margin: { l: 10, r: 10, t: 10, b: 40 }, showlegend: false, hovermode: "closest", ...rest,
      ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis } },
    { displayModeBar: false, responsive: true });
  };
  let waiting = null;
  const later = (work) => { clearTimeout(waiting); waiting = setTimeout(() => window.Plotly && work(), 200); };
  const links = (pairs, name, dash, color) => {
    const x = [], y = [];
    for (const [row, start] of pairs) { x.push(row.stamp, start, null); y.push(row.found, RUNS, null); }
    return { x, y, name, mode: "lines", type: "scatter", hoverinfo: "skip", line: { color, dash, width: 1 }, opacity: 0.5 };
  };
  const drawTime = () => {
    const dated = shown.filter((row) => row.stamp);
    const startOf = (one) => one && data.runs[one[0]] && data.runs[one[0]].start;
    const own = dated.filter((row) => startOf(row.case)).map((row) => [row, startOf(row.case)]);
    const open = dated.flatMap((row) => row.others.filter(startOf).map((one) => [row, startOf(one)]));
    const lanes = ORDER.filter((found) => dated.some((row) => row.found === found));
    const traces = [];
    for (const found of lanes) {
      const pairs = own.filter(([row]) => row.found === found);
      if (pairs.length) traces.push(links(pairs, found, "solid", KINDS[found][0]));
    }
    if (open.length) traces.push(links(open, "candidates", "dot", KINDS.ambiguous[0]));
    for (const found of lanes) {
      const rows = dated.filter((row) => row.found === found);
      const [color, symbol] = KINDS[found];
      // A great many dots are slow and hide one another: then the strokes stand for them.
      const mode = rows.length > MOST_DOTS ? "lines" : "markers";
      const text = rows.map((row) => inChart(`${last(row.path)}\u00a0 ${row.stamp.replace("T", " ")}`)
        + (row.case ? `<br>${inChart(sure(row.confidence))} run ${inChart(row.case[0])}` : "")
        + (row.why ? `<br>${inChart(row.why.slice(0, 100))}` : ""));
      if (mode === "markers") {
        traces.push({ x: rows.map((row) => row.stamp), y: rows.map(() => found), name: found, mode, text, type: "scatter",
          hoverinfo: "text", marker: { color, symbol, size: 9 }, customdata: rows.map((row) => row.at) });
      }
    }
    const ids = new Set([...own.map(([row]) => row.case[0]), ...open.flatMap(([row]) => row.others.map((one) => one[0]))]);
    const runs = [...ids].filter((id) => data.runs[id] && data.runs[id].start);
    if (runs.length && runs.length <= MOST_DOTS) {
      traces.push({ x: runs.map((id) => data.runs[id].start), y: runs.map(() => RUNS), mode: "markers", type: "scatter",
        name: RUNS, hoverinfo: "text", marker: { color: "#7f7f7f", symbol: "line-ns-open", size: 12 },
        text: runs.map((id) => inChart(`run ${id}`) + `<br>${inChart(data.runs[id].name)}, ${inChart(data.runs[id].status)}`) });
    }
    const zone = data.zone || "the time of the machine that wrote them, zone unknown; runs in UTC";
    byId("time-hint").textContent = `Times in ${clean(zone)}.`;
    const told = lanes.map((found) => `${number(dated.filter((row) => row.found === found).length)} ${found}`).join(", ");
    byId("time").setAttribute("aria-label", `Time line of ${number(dated.length)} checkpoints against their runs: ${told}. `
      + "The table below says the same.");
    chart("time", traces, { xaxis: { type: "date" },
      yaxis: { type: "category", categoryorder: "array", categoryarray: [RUNS, ...[...lanes].reverse()] } });
  };
  const BINS = [["below 0.5", 0.5], ["0.5 and up", 0.9], ["0.9 and up", 0.99], ["0.99 and up", 0.999],
    ["0.999 and up", 0.9999], ["0.9999 and up", 0.99999], ["0.99999 and up", Infinity]];
  const drawSure = () => {
    const counts = BINS.map(() => 0);
    let none = 0;
    for (const row of data.rows) {
      if (row.confidence === null) none += 1;
      else counts[BINS.findIndex(([, end]) => row.confidence < end)] += 1;
    }
    const names = ["no run chosen", ...BINS.map(([name]) => name)];
    const values = [none, ...counts];
    byId("sure").setAttribute("aria-label", "Directories by confidence: "
      + names.map((name, place) => `${name}: ${number(values[place])}`).join("; "));
    chart("sure", [{ type: "bar", x: names, y: values, text: values.map(number), textposition: "outside", cliponaxis: false,
      hoverinfo: "skip", marker: { color: names.map((_, place) => place === 0 ? "#d55e00" : "#0072b2"),
        pattern: { shape: names.map((_, place) => place === 0 ? "/" : "") } } }],
    { margin: { l: 10, r: 10, t: 24, b: 40 }, xaxis: { type: "category" }, yaxis: { title: { text: "directories" } } });
  };
  const drawWeight = () => {
    const families = new Map();
    for (const row of data.rows) {
      for (const [bits, family] of row.case ? row.case[2] : []) {
        if (!families.has(family)) families.set(family, []);
        families.get(family).push(bits);
      }
    }
    // Five numbers of each kind: handed every weight, the library would take seconds to find them.
    const five = (values) => [0, 0.25, 0.5, 0.75, 1].map((share) => values[Math.round(share * (values.length - 1))]);
    const told = [...families].map(([family, bits]) => [family, five(Float64Array.from(bits).sort())])
      .sort((a, b) => a[1][2] - b[1][2]);
    byId("weight").setAttribute("aria-label", "Weight of evidence in bits, by its kind, middle value: "
      + told.map(([family, bits]) => `${family}: ${bits[2].toFixed(1)}`).join("; "));
    chart("weight", told.map(([family, [low, q1, median, q3, high]]) => ({ type: "box", y: [clean(family)], orientation: "h",
      lowerfence: [low], q1: [q1], median: [median], q3: [q3], upperfence: [high], hoverinfo: "x",
      marker: { color: median < 0 ? "#d55e00" : "#0072b2" } })),
    { xaxis: { title: { text: "bits: against, left of 0; for, right of it" } } });
  };

  // A case.
  const table = (label, head, lines) => {
    const made = el("table");
    const top = document.createElement("tr");
    for (const text of head) { const cell = el("th", text); cell.scope = "col"; top.append(cell); }
    made.append(el("thead"), el("tbody"));
    made.tHead.append(top);
    for (const [cells, kind] of lines) {
      const row = el("tr", "", kind);
      cells.forEach((text) => row.append(el("td", text)));
      made.tBodies[0].append(row);
    }
    const wide = el("div", "", "wide");
    wide.tabIndex = 0;
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", label);
    wide.append(made);
    return wide;
  };
  const bitsOf = (bits) => `${bits > 0 ? "+" : ""}${bits.toFixed(1)}`;
  const showRun = (body, title, one, charts) => {
    const run = data.runs[one[0]];
    body.append(el("h3", `${title} ${one[0]}`));
    const words = run ? [run.name, run.experiment, run.status, run.start && `started ${run.start.replace("T", " ")}`] : [];
    body.append(el("p", [...words, one[1] === null ? "not weighed by the planner" : `confidence ${sure(one[1])}`]
      .filter(Boolean).join(", ")));
    if (!one[2].length) return;
    const place = el("div", "", "chart");
    place.id = `fall-${charts.length}`;
    place.style.height = `${90 + 34 * (one[2].length + 1)}px`;
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", "Weights, summed up from the prior; the table below says the same.");
    body.append(place, table(`Evidence of ${title} ${one[0]}`, ["Bits", "Kind", "What"], one[2].map(([bits, family, text]) => [[family ? bitsOf(bits) : "", family, text], ""])));
    charts.push([place.id, one[2].filter(([, family]) => family)]);
  };
  const waterfall = (id, lines) => {
    const sorted = [...lines].sort((a, b) => (b[1] === "prior") - (a[1] === "prior") || b[0] - a[0]);
    const sum = sorted.reduce((total, [bits]) => total + bits, 0);
    chart(id, [{ type: "waterfall", orientation: "h", y: [...sorted.map(([, family]) => clean(family)), "in sum"],
      x: [...sorted.map(([bits]) => bits), sum], measure: [...sorted.map(() => "relative"), "total"],
      text: [...sorted.map(([bits]) => bitsOf(bits)), bitsOf(sum)], textposition: "outside", cliponaxis: false,
      hoverinfo: "skip", connector: { line: { width: 1, color: "#7f7f7f" } }, increasing: { marker: { color: "#0072b2" } },
      decreasing: { marker: { color: "#d55e00" } }, totals: { marker: { color: "#7f7f7f" } } }],
    { margin: { l: 10, r: 60, t: 10, b: 40 }, xaxis: { title: { text: "bits; ten make a thousand times likelier" } },
      yaxis: { type: "category", autorange: "reversed" } });
  };
  const compare = (body, cases) => {
    const runs = cases.map((one) => data.runs[one[0]]);
    const keys = [...new Set(runs.flatMap((run) => run ? [...Object.keys(run.params), ...Object.keys(run.metrics)] : []))].sort();
    const lines = keys.map((key) => {
      const values = runs.map((run) => run ? run.params[key] ?? run.metrics[key] ?? "" : "");
      return [[key, ...values], new Set(values).size > 1 ? "differs" : ""];
    });
    if (!lines.length) return;
    lines.sort((a, b) => (b[1] > a[1]) - (b[1] < a[1]) || (a[0][0] < b[0][0] ? -1 : 1));
    body.append(el("h3", cases.length > 1 ? "Params and metrics, differing ones first" : "Params and metrics"));
    body.append(table("Values", ["Key", ...cases.map((one) => one[0].slice(0, 8))], lines));
  };
  const openCase = (row) => {
    const body = byId("case-body");
    const charts = [];
    byId("case-title").textContent = clean(last(row.path));
    body.replaceChildren();
    const facts = el("dl", "", "facts");
    for (const [name, text] of [["Directory", row.path], ["Found", row.found], ["Action", row.action],
      ["Becomes", row.name], ["What became of it", row.outcome], ["Why", row.why]]) {
      if (text) facts.append(el("dt", name), el("dd", text));
    }
    body.append(facts, ...row.doubts.map((text) => el("p", `Doubt: ${text}`, "doubt")));
    if (row.case) showRun(body, "Run", row.case, charts);
    if (row.proposal) showRun(body, "The planner had chosen run", row.proposal, charts);
    for (const one of row.others) showRun(body, "Candidate", one, charts);
    compare(body, [row.case, row.proposal, ...row.others].filter(Boolean));
    byId("case").showModal();
    byId("case").scrollTop = 0;
    charts.forEach(([id, lines]) => waterfall(id, lines));
  };

  // The rest.
  if (data.command) {
    byId("next").hidden = false;
    byId("command").textContent = clean(data.command);
  }
  if (data.changes.length) {
    byId("changes").hidden = false;
    document.querySelector("#changes tbody").append(...data.changes.map((change) => {
      const row = document.createElement("tr");
      row.append(...[change.place, change.before, change.after].map((text) => el("td", text, "id")), el("td", change.what));
      return row;
    }));
  }
  const drawAll = () => { drawTime(); drawSure(); drawWeight(); };
  choose();
  document.documentElement.dataset.ready = "table";
  performance.mark("table");
  // The table is of use before the charts are: their library is large and stands at the end.
  const begin = () => {
    drawAll();
    byId("time").on("plotly_click", (event) => {
      const at = event.points[0].customdata;
      if (at !== undefined) openCase(data.rows[at]);
    });
    document.documentElement.dataset.ready = "all";
    performance.mark("all");
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin);
  else setTimeout(begin);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { paper = true; draw(shown); drawAll(); });
  addEventListener("afterprint", () => { paper = false; drawPage(); drawAll(); });
})();
