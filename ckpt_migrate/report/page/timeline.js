// Checkpoints against runs, in the zone of the stamps. What is settled stands above the runs, what is not below them.
const RUNS = "MLflow runs";
const DATES = { year: "{yyyy}", month: "{MMM} {yyyy}", day: "{d} {MMM}", hour: "{HH}:{mm}", minute: "{HH}:{mm}", second: "{HH}:{mm}:{ss}" };
const extent = { from: 0, to: 0 };
let timed = [];
// What the marks stand for, by the number that they bear: the library copies all that it is handed.
let meanings = [];
const meaning = (told) => meanings.push(told) - 1;
const drawTime = (rows = passes()) => {
  timed = rows.filter((row) => row.at !== null);
  byId("zoom").hidden = !timed.length;
  byId("time-how").hidden = !timed.length;
  byId("time-hint").hidden = !timed.length;
  if (!timed.length) return empty("time", "No directory that fits the filters has a time stamp.");
  const every = data.rows.flatMap((row) => [row.at, startOf(row.case), ...row.others.map(startOf)]).filter((at) => at !== null);
  const low = every.reduce((a, b) => Math.min(a, b));
  const high = every.reduce((a, b) => Math.max(a, b));
  const margin = Math.max((high - low) * .02, 60000);
  Object.assign(extent, { from: low - margin, to: high + margin });
  return drawWindow();
};
const drawWindow = () => {
  if (!timed.length) return;
  const from = filter.from === null ? extent.from : filter.from;
  const to = filter.to === null ? extent.to : filter.to;
  const present = [...KINDS.keys()].filter((found) => timed.some((row) => row.found === found));
  const settled = present.filter((found) => ["linked", "by hand", "matched"].includes(found));
  const lanes = [...settled, RUNS, ...present.filter((found) => !settled.includes(found))];
  const without = data.rows.filter((row) => row.at === null).length;
  byId("time-hint").textContent = clean(`${plainTime(from).slice(0, 16)} to ${plainTime(to).slice(0, 16)}, `
    + (data.zone ? `times in ${data.zone}.` : "times as the machine wrote them, its zone unknown; those of runs in UTC.")
    + (without ? ` In the table alone, for want of a stamp: ${number(without)}.` : ""));
  const isNarrow = byId("time").clientWidth < 600 && !isOnPaper;
  const width = (isOnPaper ? 680 : byId("time").clientWidth) - (isNarrow ? 90 : 150);
  const toPixel = (ms) => (ms - from) / (to - from) * width;
  const isNear = (ms) => ms >= from - (to - from) && ms <= to + (to - from);
  const colors = look();
  const counts = new Map(present.map((found) => [found, timed.filter((row) => row.found === found).length]));
  describe("time", `Time line of ${number(timed.length)} checkpoints against their runs: `
    + `${[...counts].map(([found, count]) => `${number(count)} ${found}`).join(", ")}. The table below says the same.`);

  const groups = new Map(present.map((found) => [found, cluster(timed.filter((row) => row.found === found && isNear(row.at))
    .map((row) => ({ x: row.at, row })), toPixel, 26)]));
  const linked = new Map();
  const link = (group, found, one, isOpen) => {
    const at = startOf(one);
    if (at === null || !isNear(at)) return;
    if (!linked.has(one[0])) linked.set(one[0], { x: at, id: one[0], ends: [] });
    linked.get(one[0]).ends.push({ group, found, isOpen });
  };
  for (const [found, list] of groups) {
    for (const group of list) {
      for (const { row } of group.members) {
        if (row.case) link(group, found, row.case, false);
        for (const one of row.others) link(group, found, one, true);
      }
    }
  }
  const runs = cluster([...linked.values()], toPixel, linked.size > 60 ? 26 : 8);
  // A line for each pair of a group and a group, however many are in them.
  const lines = new Map();
  for (const run of runs) {
    const ends = new Map();
    for (const { group, found, isOpen } of run.members.flatMap((member) => member.ends)) {
      if (!ends.has(group)) ends.set(group, [found, isOpen]);
      else if (!isOpen) ends.get(group)[1] = false;
    }
    for (const [group, [found, isOpen]] of ends) {
      const key = `${found}${isOpen ? "?" : ""}`;
      if (!lines.has(key)) lines.set(key, { found, isOpen, path: [] });
      lines.get(key).path.push([group.x, found], [run.x, RUNS], ["-", "-"]);
    }
  }
  meanings = [];
  const axis = axisLook(colors);
  const tellGroup = (found, { members, from: first, to: final }) => members.length === 1
    ? tellRow(members[0].row)
    : [`${number(members.length)} ${found}`, `${plainTime(first)} to ${plainTime(final)}`, "Click to look closer."];
  const marks = [...groups].map(([found, list]) => ({
    type: "scatter", name: found, symbol: `path://${KINDS.get(found)[2]}`, itemStyle: { color: colorOf(found), opacity: 1 }, cursor: "pointer", z: 4,
    data: list.map((group) => ({ value: [group.x, found], at: meaning({ group, found }), symbolSize: sizeOf(group.members.length),
      label: { show: group.members.length > 1, position: settled.includes(found) ? "top" : "bottom", distance: 3, color: colors.ink, fontSize: 11, formatter: () => short(group.members.length) } })),
  }));
  chart("time", 64 + 52 * lanes.length, {
    grid: { left: 8, right: 20, top: 16, bottom: isOnPaper ? 8 : 40, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: { backgroundColor: colors.shade, borderColor: colors.line, textStyle: { color: colors.ink, fontSize: 13 }, confine: true,
      formatter: ({ data: { at } }) => {
        const { group, found, run } = meanings[at];
        return tip(run ? tellRuns(run) : tellGroup(found, group));
      } },
    xAxis: { ...axis, type: "time", min: extent.from, max: extent.to, axisLabel: { ...axis.axisLabel, hideOverlap: true, formatter: DATES } },
    yAxis: { ...axis, type: "category", inverse: true, data: lanes, axisLabel: { ...axis.axisLabel, interval: 0, lineHeight: 14,
      formatter: (lane) => lane === RUNS ? lane : `${lane}${isNarrow ? "\n" : " "}(${number(counts.get(lane))})` } },
    // No zoom inside the chart: it would keep the wheel from scrolling the page.
    dataZoom: [{ type: "slider", show: !isOnPaper, filterMode: "none", startValue: from, endValue: to, height: 18, bottom: 8, showDetail: false, showDataShadow: false, brushSelect: false,
        borderColor: colors.line, backgroundColor: "transparent", fillerColor: "rgba(128,128,128,.2)", handleStyle: { color: colors.soft }, moveHandleSize: 0 }],
    series: [
      ...[...lines.values()].map(({ found, isOpen, path }) => ({ type: "line", silent: true, showSymbol: false, data: path, connectNulls: false, z: 2,
        lineStyle: { color: colorOf(found), width: 1.2, type: isOpen ? "dashed" : "solid", opacity: .7 } })),
      { type: "scatter", name: RUNS, symbol: "rect", itemStyle: { color: colors.soft }, z: 3,
        data: runs.map((run) => ({ value: [run.x, RUNS], at: meaning({ run }), symbolSize: [Math.min(3 + 1.5 * Math.log2(run.members.length), 12), 18] })) },
      ...marks],
  }, wireTime);
};
const short = (count) => count < 1000 ? String(count) : `${(count / 1000).toFixed(count < 10000 ? 1 : 0)}k`;
const tellRow = (row) => [last(row.path), `${row.stamp.replace("T", " ")}, ${row.found}`,
  row.case && `run ${row.case[0]}${row.confidence === null ? "" : `, confidence ${sure(row.confidence)}`}`,
  startOf(row.case) !== null && data.zone && `stamp ${apartWords((row.at - startOf(row.case)) / 1000)} its run's start`,
  row.others.length && `${number(row.others.length)} candidates`, row.why && row.why.slice(0, 120), "Click for the case."];
const tellRuns = ({ members, from, to }) => {
  if (members.length > 1) return [`${number(members.length)} runs`, `begun ${plainTime(from)} to ${plainTime(to)}`];
  const run = data.runs[members[0].id];
  return [`run ${members[0].id}`, run.name, `${run.status}, begun ${plainTime(from)}`];
};
const apartWords = (seconds) => {
  const size = Math.abs(seconds);
  const words = size < 120 ? `${size.toFixed(0)} s` : size < 7200 ? `${(size / 60).toFixed(0)} min` : size < 2 * 86400 ? `${(size / 3600).toFixed(1)} h` : `${(size / 86400).toFixed(0)} days`;
  return `${words} ${seconds < 0 ? "before" : "after"}`;
};
// The part of the time that is shown is a filter of the table, too.
const lookAt = (from, to) => {
  const least = Math.min(30000, (extent.to - extent.from) / 2);
  const middle = (from + to) / 2;
  const half = Math.max((to - from) / 2, least);
  const isAll = middle - half <= extent.from && middle + half >= extent.to;
  filter.from = isAll ? null : Math.max(middle - half, extent.from);
  filter.to = isAll ? null : Math.min(middle + half, extent.to);
  choose({ isZoom: true });
  drawWindow();
};
const wireTime = (made) => {
  made.on("click", ({ data: { at } }) => {
    const { group } = meanings[at];
    if (!group) return;
    const { members, from, to } = group;
    if (members.length === 1) openCase(members[0].row);
    else lookAt(from - (to - from) * .1, to + (to - from) * .1);
  });
  let pending = null;
  made.on("datazoom", () => {
    clearTimeout(pending);
    pending = setTimeout(() => {
      const { startValue, endValue } = made.getOption().dataZoom[0];
      lookAt(startValue, endValue);
    }, 120);
  });
};
const startTime = () => {
  const steps = { "zoom-in": [.25, .25], "zoom-out": [-.5, -.5], "zoom-earlier": [-.5, .5], "zoom-later": [.5, -.5] };
  for (const [id, [left, right]] of Object.entries(steps)) {
    byId(id).addEventListener("click", () => {
      const from = filter.from === null ? extent.from : filter.from;
      const to = filter.to === null ? extent.to : filter.to;
      lookAt(from + left * (to - from), to - right * (to - from));
    });
  }
  byId("zoom-all").addEventListener("click", () => lookAt(extent.from, extent.to));
};
