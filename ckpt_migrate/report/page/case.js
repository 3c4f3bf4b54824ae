// A case: all that speaks for and against, and where the candidates differ.
const table = (label, head, lines, kinds = []) => {
  const made = el("table");
  const top = document.createElement("tr");
  head.forEach((text, at) => {
    const cell = el("th", text, kinds[at]);
    cell.scope = "col";
    top.append(cell);
  });
  made.append(el("thead"), el("tbody"));
  made.tHead.append(top);
  for (const [cells, kind] of lines) {
    const row = el("tr", "", kind);
    row.append(...cells.map((text, at) => el("td", text, kinds[at])));
    made.tBodies[0].append(row);
  }
  const wide = el("div", "", "wide");
  wide.tabIndex = 0;
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", clean(label));
  wide.append(made);
  return wide;
};
const likely = (bits) => 1 / (1 + 2 ** -bits);
const percent = (share) => share > .999999 ? "> 99.9999 %" : share < .000001 ? "< 0.0001 %"
  : share < .999 ? `${Number((100 * share).toPrecision(share < .5 ? 2 : 3))} %` : `${(Math.floor(share * 1e6) / 1e4).toFixed(4)} %`;
const inOrder = (lines) => [...lines].filter(([, family]) => family).sort((a, b) => (b[1] === "prior") - (a[1] === "prior") || b[0] - a[0]);
const showRun = (body, title, one, falls) => {
  const run = data.runs[one[0]];
  const head = el("h3", `${title} `);
  head.append(el("code", one[0]));
  body.append(head);
  const words = run ? [run.name, run.experiment && `experiment ${run.experiment}`, run.status, run.at !== null && `started ${plainTime(run.at)}`] : [];
  body.append(el("p", [...words, one[1] === null ? "not weighed by the planner" : `confidence ${sure(one[1])}`].filter(Boolean).join(", ")));
  const told = one[2].filter(([, family]) => !family).map(([, , text]) => el("p", text));
  const lines = inOrder(one[2]);
  body.append(...told);
  if (!lines.length) return;
  const place = el("div", "", "chart");
  place.id = `fall-${falls.length}`;
  body.append(place);
  falls.push([place.id, lines]);
  let sum = 0;
  body.append(table(`Evidence of ${title} ${one[0]}`, ["Bits", "Kind", "What", "Probability so far"], lines.map(([bits, family, text]) => {
    sum += bits;
    return [[bitsOf(bits), family, text, percent(likely(sum))], ""];
  }), ["number", "word", "", "number"]));
};
// Bars of a stack cannot cross 0, so that each is drawn from a bare part and one part on either side.
const waterfall = ([id, lines]) => {
  const colors = look();
  const axis = axisLook(colors);
  let sum = 0;
  const steps = lines.map(([bits, family]) => {
    const from = sum;
    sum += bits;
    return { name: clean(family), from, to: sum, bits };
  });
  steps.push({ name: "in sum", from: 0, to: sum, bits: sum, isSum: true });
  const low = Math.min(0, ...steps.map((step) => step.to));
  const high = Math.max(0, ...steps.map((step) => step.to));
  const room = (high - low) * .09 + 1;
  const range = { min: Math.floor((low - room) / 10) * 10, max: Math.ceil((high + room) / 10) * 10, interval: high - low > 80 ? 20 : 10 };
  const style = ({ bits, isSum }) => isSum ? { color: colors.soft } : bits < 0 ? { color: colors.against, decal: HATCH } : { color: colors.for };
  const part = (value) => steps.map((step) => ({ value: value(step), itemStyle: style(step) }));
  const over = ({ from, to }) => [Math.max(Math.min(from, to), 0), Math.max(from, to, 0)];
  const under = ({ from, to }) => [Math.min(Math.max(from, to), 0), Math.min(from, to, 0)];
  const bare = { type: "bar", silent: true, stack: "fall", itemStyle: { color: "transparent" }, barWidth: "62%" };
  describe(id, `Weights in bits, summed up from the prior: ${steps.map((step) => `${step.name} ${bitsOf(step.bits)}`).join(", ")}. The table below says the same.`);
  chart(id, 84 + 28 * steps.length, {
    tooltip: { show: false },
    grid: { left: 8, right: 24, top: 26, bottom: 44, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: [{ ...axis, ...range, type: "value", name: "bits: ten make a thousand times likelier" },
      { ...axis, ...range, type: "value", position: "top", splitLine: { show: false }, axisLabel: { ...axis.axisLabel, hideOverlap: true, formatter: (bits) => percent(likely(bits)) } }],
    yAxis: { ...axis, type: "category", inverse: true, data: steps.map((step) => step.name), splitLine: { show: false }, axisLabel: { ...axis.axisLabel, interval: 0 } },
    series: [
      { ...bare, data: steps.map((step) => over(step)[0]) },
      { ...bare, data: steps.map((step) => under(step)[0]) },
      { ...bare, data: part((step) => over(step)[1] - over(step)[0]) },
      { ...bare, data: part((step) => under(step)[1] - under(step)[0]) },
      { type: "scatter", silent: true, symbolSize: 1, itemStyle: { color: "transparent", opacity: 1 }, data: steps.map((step) => ({ value: [Math.max(step.from, step.to), step.name],
        label: { show: true, position: "right", color: colors.ink, formatter: () => bitsOf(step.bits) } })),
        markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colors.ink, type: "solid", width: 1 }, data: [{ xAxis: 0 }] } },
    ],
  });
};
const compare = (body, cases) => {
  const runs = cases.map((one) => data.runs[one[0]]);
  const keys = [...new Set(runs.flatMap((run) => run ? [...Object.keys(run.params), ...Object.keys(run.metrics)] : []))].sort();
  if (!keys.length) return;
  const lines = keys.map((key) => [key, ...runs.map((run) => run ? run.params[key] ?? run.metrics[key] ?? "(none)" : "(unknown)")]);
  const differing = lines.filter(([, ...values]) => new Set(values).size > 1);
  const alike = lines.filter(([, ...values]) => new Set(values).size === 1);
  const head = ["Key", ...cases.map((one) => one[0].slice(0, 8))];
  body.append(el("h3", cases.length > 1 ? "Where these runs differ" : "Params and metrics"));
  if (cases.length === 1) {
    body.append(table("Params and metrics", head, alike.map((cells) => [cells, ""])));
    return;
  }
  if (differing.length) body.append(table("Where these runs differ", head, differing.map(([key, ...values]) => [[`≠ ${key}`, ...values], "differs"])));
  else body.append(el("p", "In none of the params and metrics that the plan holds."));
  if (alike.length) {
    const more = el("details");
    more.append(el("summary", `${number(alike.length)} alike`), table("Alike", head, alike.map((cells) => [cells, ""])));
    body.append(more);
  }
};
// Old and new, one below the other, the part that differs marked.
const difference = (before, after) => {
  const made = el("div", "", "difference");
  let start = 0;
  while (start < before.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < Math.min(before.length, after.length) - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  for (const [sign, tag, text] of [["−", "del", before], ["+", "ins", after]]) {
    if (!text && tag === "ins") continue;
    const row = el("div", `${sign} `, "id");
    row.append(el("span", text.slice(0, start)), el(tag, text.slice(start, text.length - end)), el("span", text.slice(text.length - end)));
    made.append(row);
  }
  return made;
};
let open = null;
const closeCharts = () => {
  for (const [id, made] of drawn) {
    if (!id.startsWith("fall-")) continue;
    made.dispose();
    drawn.delete(id);
  }
};
let falls = [];
const openCase = (row) => {
  const body = byId("case-body");
  closeCharts();
  open = row;
  falls = [];
  byId("case-title").textContent = clean(last(row.path));
  body.replaceChildren();
  const facts = el("dl", "", "facts");
  for (const [name, text] of [["Directory", row.path], ["Stamp", row.at !== null && `${plainTime(row.at)}, ${data.zone || "zone unknown"}`],
    ["Apply", hasOutcome ? "" : row.action === "skip" ? `skip: ${data.symbols[row.symbol]}` : `${row.action}, and write ${data.manifests.join(" and ")}`], ["What became of it", row.outcome], ["Why", row.why]]) {
    if (text) facts.append(el("dt", name), el("dd", text));
  }
  const found = el("dd");
  foundCell(found, row);
  facts.firstChild.before(el("dt", "Found"), found);
  body.append(facts, ...row.doubts.map((text) => el("p", `Doubt: ${text}`, "doubt")));
  if (row.name) body.append(difference(last(row.path), row.name));
  if (row.case) showRun(body, "Run", row.case, falls);
  if (row.proposal) showRun(body, "The planner had chosen run", row.proposal, falls);
  for (const one of row.others) showRun(body, "Candidate", one, falls);
  compare(body, [row.case, row.proposal, ...row.others].filter(Boolean));
  const at = shown.indexOf(row);
  byId("case-back").disabled = at <= 0;
  byId("case-on").disabled = at === -1 || at === shown.length - 1;
  byId("case-place").textContent = at === -1 ? "" : `${number(at + 1)} of ${number(shown.length)}`;
  if (!byId("case").open) byId("case").showModal();
  byId("case").scrollTop = 0;
  if (window.echarts) falls.forEach(waterfall);
};
const step = (way) => {
  const at = shown.indexOf(open) + way;
  if (at < 0 || at >= shown.length) return;
  pages.turnTo(at);
  openCase(shown[at]);
};
const startCase = () => {
  byId("case-back").addEventListener("click", () => step(-1));
  byId("case-on").addEventListener("click", () => step(1));
  byId("case").addEventListener("close", () => {
    closeCharts();
    const name = [...document.querySelectorAll("#rows button.name")].find((one) => one.textContent === clean(last(open.path)));
    if (name) name.focus();
  });
};
