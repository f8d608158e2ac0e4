// The controls: criterion, metric and methods act on the tables, the sentences and the figures.
const state = () =>
  Object.fromEntries(["criterion", "metric", "group"].map((id) => [id, byId(id).value]));
// Numbers of `entries.value`: tenths of a percent, then thousandths.
function valueOf(entry) {
  const of = entry.values[byId("criterion").selectedIndex][byId("metric").selectedIndex];
  if (!of) return null;
  const [tenths, spread, rest, half, seeds] = of;
  const mean = tenths / 10 + rest / 1000;
  return { tenths, mean, seeds, counts: seeds === entry.planned && data.methods[entry.method].rival,
    text: (tenths / 10).toFixed(1) + (half < 0 ? "" : ` ± ${(spread / 10).toFixed(1)}`),
    ends: half < 0 ? [] : [Math.max(0, mean - half / 1000), Math.min(100, mean + half / 1000)] };
}
const inGroup = (method, { group }) => !group || data.methods[method].group === group;

const valueIn = (cell) => [...cell.querySelectorAll(".entry")]
  .map((button) => valueOf(data.entries[button.dataset.entry]))[0];

function markBest(table) {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  for (let column = 1; column < table.tHead.rows[0].cells.length; column += 1) {
    const values = rows.map((row) => valueIn(row.cells[column]));
    const means = values.map((value) => (value && value.counts ? value.tenths : -1));
    const best = Math.max(0, ...means);
    rows.forEach((row, k) => row.cells[column].classList.toggle("best", means[k] === best));
  }
}

function showTables(now) {
  for (const row of all(".results tbody tr")) row.hidden = !inGroup(row.dataset.method, now);
  for (const button of all(".entry")) {
    const entry = data.entries[button.dataset.entry];
    const value = valueOf(entry);
    button.querySelector(".value").textContent = value ? value.text : "–";
    const words = [data.methods[entry.method].name, data.settings[entry.setting].name,
      value ? value.text : "no value", `${entry.done} of ${entry.planned} seeds`,
      entry.failed && `${entry.failed} failed`, entry.stale && "stale"];
    button.setAttribute("aria-label", words.filter(Boolean).join(", "));
  }
  for (const table of all(".results")) {
    markBest(table);
    sortRows(table);
  }
}

function sortRows(table) {
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.ariaSort !== "none");
  const order = heads[column] && heads[column].ariaSort === "descending" ? -1 : 1;
  const key = (row) => {
    if (column < 0) return Number(row.dataset.method);
    if (column === 0) return row.cells[0].textContent.toLowerCase();
    return (valueIn(row.cells[column]) || { mean: null }).mean;
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => (a === null) - (b === null) // without a value: last
    || order * (a < b ? -1 : Number(a > b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function sortBy(head) {
  const table = head.closest("table");
  const falls = head.ariaSort === "none" ? head.cellIndex > 0 : head.ariaSort === "ascending";
  for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
  head.ariaSort = falls ? "descending" : "ascending";
  sortRows(table);
  byId("shown").textContent =
    `${words(state())} Sorted by ${head.textContent.trim()}, ${head.ariaSort}.`;
}

function words(now) {
  const [metric, criterion] = ["metric", "criterion"]
    .map((id) => byId(id).selectedOptions[0].title);
  const shown = data.methods.filter((_, k) => inGroup(k, now)).length;
  return `${metric} in %, ${criterion}. ${shown} of ${data.methods.length} methods shown.`;
}

const told = ({ text, ends, seeds }) => `${text}${ends.length ? ", 95 % interval " : ""}${
  ends.map((end) => end.toFixed(1)).join(" to ")}, seeds: ${seeds}`;
const empty = (title) =>
  el("figure", null, el("figcaption", null, title), el("p", null, "Nothing to show yet."));
const entriesOf = (setting, now) => data.entries.filter((entry) =>
  entry.setting === setting && inGroup(entry.method, now));
const ofMethod = (method) => ({ name: data.methods[method].name, look: data.methods[method] });

function settingCharts(now) {
  return data.settings.map((setting, k) => {
    const mine = entriesOf(k, now).map((entry) => [entry.method, valueOf(entry)])
      .filter(([, value]) => value).sort(([, a], [, b]) => b.mean - a.mean);
    const series = mine.map(([method, value], place) => ({ ...ofMethod(method),
      points: [[value.mean, -place, told(value), ...value.ends]] }));
    if (!series.length) return empty(setting.name);
    const [low, high] = rangeOf(series.flatMap(({ points: [[x, , , ...ends]] }) => [x, ...ends]));
    return chart({
      title: setting.name, left: 124, height: 20 * series.length + 46,
      rows: series.map((one) => one.look.short),
      x: { low, high, ticks: ticksOf(low, high, 5), words: "%" },
      y: { low: -series.length + 0.5, high: 0.5, ticks: series.map((_, place) => -place) },
    }, series);
  });
}

function rateCharts(now) {
  return data.families.map((family) => {
    const series = data.methods.map((_, method) => ({ ...ofMethod(method),
      points: family.settings.flatMap((k) => {
        const entry = entriesOf(k, now).find((each) => each.method === method);
        const [value, { rate, noise }] = [entry && valueOf(entry), data.settings[k]];
        return value ? [[rate, value.mean, `${noise}: ${told(value)}`, ...value.ends]] : [];
      }) })).filter((one) => one.points.length);
    if (!series.length) return empty(family.name);
    const points = series.flatMap((one) => one.points);
    const [low, high] = rangeOf(points.flatMap(([, y, , ...ends]) => [y, ...ends]));
    const rates = family.settings.map((k) => data.settings[k].rate);
    return chart({ title: family.name, joined: true, upright: true,
      x: { low: Math.min(...rates) - 2, high: Math.max(...rates) + 2,
        ticks: [...new Set(rates)], words: "noise rate in %" },
      y: { low, high, ticks: ticksOf(low, high) } }, series);
  });
}

function curveCharts(now) {
  const name = byId("curve").value;
  return data.settings.map((setting, k) => {
    const lines = entriesOf(k, now).filter(({ curves }) => curves && curves[name])
      .map(({ method, curves }) =>
        ({ ...ofMethod(method), epochs: data.epochs[curves.epoch], values: curves[name] }));
    return lines.length ? curveChart(setting.name, lines) : empty(setting.name);
  });
}

function legendOf(now) {
  const shown = data.methods.map((_, k) => ofMethod(k)).filter((_, k) => inGroup(k, now));
  const grey = shown.filter(({ look }) => !look.colour);
  return legend([...shown.filter(({ look }) => look.colour),
    ...(grey.length ? [{ name: `${grey.length} others`, look: {} }] : [])]);
}

function show() {
  const now = state();
  showTables(now);
  byId("findings").replaceChildren(
    ...data.findings[now.criterion][now.metric].map((text) => el("li", null, text)));
  byId("shown").textContent = words(now);
  byId("legend").replaceChildren(legendOf(now));
  byId("settings").replaceChildren(...settingCharts(now));
  byId("rates").replaceChildren(...rateCharts(now));
  byId("curves").replaceChildren(...curveCharts(now));
}

byId("rates-part").hidden = !data.families.length;
for (const select of all("select")) select.addEventListener("change", show);
document.addEventListener("click", (event) => {
  const sorter = event.target.closest(".results thead button");
  if (sorter) sortBy(sorter.closest("th"));
  const entry = event.target.closest(".entry");
  if (entry) openEntry(entry.dataset.entry, state());
});
byId("close").addEventListener("click", () => byId("explorer").close());
byId("explorer").addEventListener("close", hideTip);
show();
