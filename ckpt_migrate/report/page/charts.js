// What the charts share, and those that sum up. Their library takes text as text; its tooltips are made of nodes here.
const drawn = new Map();
const look = () => {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return isOnPaper ? { ink: "#000", soft: "#333", line: "#bbb", shade: "#fff", for: "#0067a3", against: "#b84a00" }
    : { ink: read("--ink"), soft: read("--soft"), line: read("--line"), shade: read("--shade"), for: read("--for"), against: read("--against") };
};
const HATCH = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 4], rotation: -Math.PI / 4, color: "rgba(255,255,255,.55)" };
const axisLook = ({ ink, line }) => ({
  axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, splitLine: { show: true, lineStyle: { color: line, opacity: .6 } },
  axisLabel: { color: ink, fontSize: 12 }, nameTextStyle: { color: ink, fontSize: 12 }, nameLocation: "middle", nameGap: 28,
});
const chart = (id, height, option, wire = null) => {
  const place = byId(id);
  place.hidden = false;
  place.style.height = `${height}px`;
  const width = isOnPaper ? 680 : undefined;
  let made = drawn.get(id);
  if (!made || made.getDom() !== place) {
    place.replaceChildren();
    made = echarts.init(place, null, { renderer: "svg", width });
    drawn.set(id, made);
    if (wire) wire(made);
  }
  made.resize({ width: width || "auto", height });
  const { ink, line, shade } = look();
  made.setOption({
    animation: false, useUTC: true, textStyle: { fontFamily: "system-ui, sans-serif", color: ink },
    tooltip: { backgroundColor: shade, borderColor: line, textStyle: { color: ink, fontSize: 13 }, confine: true },
    grid: { left: 8, right: 24, top: 12, bottom: 44, outerBoundsMode: "same", outerBoundsContain: "axisLabel" }, ...option,
  }, { replaceMerge: ["series", "yAxis"] });
  return made;
};
const empty = (id, text) => {
  const made = drawn.get(id);
  if (made) made.dispose();
  drawn.delete(id);
  const place = byId(id);
  place.removeAttribute("role");
  place.removeAttribute("aria-label");
  place.style.height = "auto";
  place.replaceChildren(el("p", text, "hint"));
};
const describe = (id, text) => {
  byId(id).setAttribute("role", "img");
  byId(id).setAttribute("aria-label", clean(text));
};
const tip = (lines) => {
  const made = el("div", "", "tip");
  made.append(...lines.filter(Boolean).map((text) => el("div", text)));
  return made;
};
// Points on a line that would hide one another become one, told by its number: no two are nearer than `gap` pixels.
const cluster = (points, toPixel, gap) => {
  const made = [];
  for (const point of [...points].sort((a, b) => a.x - b.x)) {
    made.push({ x: point.x, from: point.x, to: point.x, members: [point] });
    while (made.length > 1 && toPixel(made[made.length - 1].x) - toPixel(made[made.length - 2].x) < gap) {
      const other = made.pop();
      const one = made[made.length - 1];
      one.x += (other.x - one.x) * other.members.length / (one.members.length + other.members.length);
      // Ever the fewer into the more: else ten thousand points at one place are copied ten thousand times.
      const [few, many] = one.members.length < other.members.length ? [one.members, other.members] : [other.members, one.members];
      for (const member of few) many.push(member);
      one.to = other.to;
      one.members = many;
    }
  }
  return made;
};
const sizeOf = (count) => Math.min(10 + 2 * Math.log2(count), 24);
const bars = (id, told, names, values, isHatched) => {
  describe(id, told + names.map((name, place) => `${name}: ${number(values[place])}`).join("; "));
  const colors = look();
  const axis = axisLook(colors);
  chart(id, 56 + 26 * names.length, {
    tooltip: { show: false },
    grid: { left: 8, right: 56, top: 8, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: { type: "value", show: false },
    yAxis: { ...axis, type: "category", inverse: true, data: names, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, interval: 0 } },
    series: [{ type: "bar", silent: true, barWidth: "62%", data: values.map((value, place) => ({ value, itemStyle: isHatched(place)
      ? { color: colors.against, decal: HATCH } : { color: colors.for } })),
    label: { show: true, position: "right", color: colors.ink, formatter: ({ value }) => number(value) } }],
  });
};
const BINS = [[.99999, "from 0.99999"], [.9999, "from 0.9999"], [.999, "from 0.999"], [.99, "from 0.99"], [.9, "from 0.9"], [.5, "from 0.5"],
  [0, "below 0.5"]];
const drawSure = () => {
  const counts = BINS.map(() => 0);
  let none = 0;
  for (const row of data.rows) {
    if (row.confidence === null) none += 1;
    else counts[BINS.findIndex(([low]) => row.confidence >= low)] += 1;
  }
  return bars("sure", "Directories by confidence: ", [...BINS.map(([, name]) => name), "no run, or unweighed"], [...counts, none],
    (place) => place === BINS.length);
};
const APART = [["over a day before", -86400], ["over an hour before", -3600], ["over a minute before", -60], ["up to a minute before", -10], ["within 10 seconds", 10],
  ["up to a minute after", 60], ["up to an hour after", 3600], ["up to a day after", 86400], ["over a day after", Infinity]];
const drawApart = () => {
  const apart = data.rows.filter((row) => row.at !== null && startOf(row.case) !== null).map((row) => (row.at - startOf(row.case)) / 1000);
  if (!apart.length || !data.zone) return empty("apart", data.zone ? "No directory here has both a stamp and a run whose start is known." : "The zone of the stamps is not known, so they cannot be held against the runs' starts.");
  const counts = APART.map(() => 0);
  for (const seconds of apart) counts[APART.findIndex(([, end]) => seconds < end || (end === 10 && seconds === 10))] += 1;
  return bars("apart", "Directories by how far their stamp lies from the start of their run: ", APART.map(([name]) => name), counts,
    (place) => place < 3 || place > 5);
};
const drawWeight = () => {
  const families = new Map();
  for (const row of data.rows) {
    for (const [bits, family] of row.case ? row.case[2] : []) {
      if (!family) continue;
      if (!families.has(family)) families.set(family, []);
      families.get(family).push({ x: bits });
    }
  }
  if (!families.size) return empty("weight", "No run has been weighed for any directory here.");
  const middle = (points) => points.map((point) => point.x).sort((a, b) => a - b)[Math.floor(points.length / 2)];
  const told = [...families].map(([family, points]) => [clean(family), points, middle(points)]).sort((a, b) => b[2] - a[2]);
  describe("weight", `Weight of evidence in bits, by its kind, middle value: ${told.map(([family, , bits]) => `${family}: ${bits.toFixed(1)}`).join("; ")}`);
  const every = told.flatMap(([, points]) => points.map((point) => point.x));
  const low = every.reduce((a, b) => Math.min(a, b), 0);
  const high = every.reduce((a, b) => Math.max(a, b), 0);
  const width = Math.max((isOnPaper ? 680 : byId("weight").clientWidth) - 110, 100);
  const toPixel = (bits) => (bits - low) / (high - low || 1) * width;
  const colors = look();
  const axis = axisLook(colors);
  const dots = told.flatMap(([family, points]) => cluster(points, toPixel, 20).map((one) => ({ value: [one.x, family], told: [one.members.length, one.from, one.to],
    symbol: one.x < 0 ? "diamond" : "circle", symbolSize: Math.min(7 + 1.6 * Math.log2(one.members.length), 19),
    itemStyle: { color: one.x < 0 ? colors.against : colors.for, opacity: .85 } })));
  return chart("weight", 64 + 30 * told.length, {
    tooltip: { backgroundColor: colors.shade, borderColor: colors.line, textStyle: { color: colors.ink, fontSize: 13 }, confine: true, formatter: ({ data: { told: [count, from, to] } }) => tip([`${number(count)} directories`,
      from === to ? `${bitsOf(from)} bits` : `${bitsOf(from)} to ${bitsOf(to)} bits`]) },
    xAxis: { ...axis, type: "value", name: "bits: against, left of 0; for, right of it", min: Math.floor(low / 10) * 10, max: Math.ceil(high / 10) * 10 },
    yAxis: { ...axis, type: "category", inverse: true, data: told.map(([family]) => family), axisLabel: { ...axis.axisLabel, interval: 0 } },
    series: [{ type: "scatter", data: dots, markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colors.ink, type: "solid", width: 1 }, data: [{ xAxis: 0 }] } }],
  });
};
const bitsOf = (bits) => `${bits > 0 ? "+" : bits < 0 ? "−" : ""}${Math.abs(bits).toFixed(1)}`;
