// What stands around the table, and the order of the beginning: the table is of use before the charts are.
if (data.command) {
  byId("next").hidden = false;
  byId("command").textContent = clean(data.command);
}
const startChanges = () => {
  if (!data.changes.length) return;
  byId("changes").hidden = false;
  byId("changes-count").textContent = `(${number(data.changes.length)})`;
  const draw = (changes) => document.querySelector("#changes tbody").replaceChildren(...changes.map((change) => {
    const row = document.createElement("tr");
    const says = el("td");
    if (change.before || change.after) says.append(difference(change.before, change.after));
    row.append(el("td", change.place, "id"), says, el("td", change.what));
    return row;
  }));
  const list = paged(byId("change-pages"), draw);
  const words = data.changes.map((change) => Object.values(change).join(" ").toLowerCase());
  const fill = () => {
    const wanted = byId("change-text").value.toLowerCase();
    list.fill(data.changes.filter((_, at) => words[at].includes(wanted)));
  };
  byId("change-text").addEventListener("input", fill);
  fill();
  addEventListener("beforeprint", () => { byId("changes-details").open = true; list.whole(); });
  addEventListener("afterprint", list.again);
};
const drawAll = () => {
  if (!data.rows.length) return;
  drawTime();
  drawSure();
  drawApart();
  drawWeight();
  falls.forEach((fall) => byId(fall[0]) && byId("case").open && waterfall(fall));
};
startTable();
startCase();
startChanges();
document.documentElement.dataset.ready = "table";
performance.mark("table");

const library = document.createElement("script");
library.textContent = await unpack("library");
document.head.append(library);
startTime();
drawAll();
DARK.addEventListener("change", drawAll);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width || isOnPaper) return;
  width = innerWidth;
  later(drawAll);
});
addEventListener("beforeprint", () => { isOnPaper = true; pages.whole(); drawAll(); });
addEventListener("afterprint", () => { isOnPaper = false; pages.again(); drawAll(); });
document.documentElement.dataset.ready = "all";
performance.mark("all");
