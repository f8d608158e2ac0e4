// The controls: criterion, metric and methods act on the tables, the sentences and the figures.
const state = () =>
  Object.fromEntries(["criterion", "metric", "group"].map((id) => [id, byId(id).value]));
const valueOf = (entry, { criterion, metric }) => (entry.values[criterion] || {})[metric];
const inGroup = (method, { group }) => !group || data.methods[method].group === group;

const valueIn = (cell, now) => {
  const button = cell.querySelector(".entry");
  return button && valueOf(data.entries[button.dataset.entry], now);
};

function markBest(table, now) {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  for (let column = 1; column < table.tHead.rows[0].cells.length; column += 1) {
    const means = rows.map((row) => {
      const value = valueIn(row.cells[column], now);
      const counts = value && value[4] && data.methods[row.dataset.method].rival;
      return counts ? Number(value[1].toFixed(1)) : -1;
    });
    const best = Math.max(0, ...means);
    rows.forEach((row, k) => row.cells[column].classList.toggle("best", means[k] === best));
  }
}

function showTables(now) {
  for (const row of document.querySelectorAll(".results tbody tr")) {
    row.hidden = !inGroup(row.dataset.method, now);
  }
  for (const button of document.querySelectorAll(".entry")) {
    const entry = data.entries[button.dataset.entry];
    const value = valueOf(entry, now);
    button.querySelector(".value").textContent = value ? value[0] : "–";
    const words = [data.methods[entry.method].name, data.settings[entry.setting].name,
      value ? value[0] : "no value", `${entry.done} of ${entry.planned} seeds`];
    if (entry.failed) words.push(`${entry.failed} failed`);
    if (entry.stale) words.push("stale");
    button.setAttribute("aria-label", words.join(", "));
  }
  for (const table of document.querySelectorAll(".results")) {
    markBest(table, now);
    sortRows(table, now);
  }
}

function sortRows(table, now) {
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.ariaSort !== "none");
  const order = heads[column] && heads[column].ariaSort === "descending" ? -1 : 1;
  const key = (row) => {
    if (column < 0) return Number(row.dataset.method);
    if (column === 0) return row.cells[0].textContent.toLowerCase();
    const value = valueIn(row.cells[column], now);
    return value ? value[1] : null;
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // without a value: last
    return order * (a < b ? -1 : Number(a > b));
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function sortBy(head) {
  const table = head.closest("table");
  const falls = head.ariaSort === "none" ? head.cellIndex > 0 : head.ariaSort === "ascending";
  for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
  head.ariaSort = falls ? "descending" : "ascending";
  sortRows(table, state());
  byId("shown").textContent =
    `${words(state())} Sorted by ${head.textContent.trim()}, ${head.ariaSort}.`;
}

function words(now) {
  const [metric, criterion] = ["metric", "criterion"]
    .map((id) => byId(id).selectedOptions[0].title);
  const shown = data.methods.filter((_, k) => inGroup(k, now)).length;
  return `${metric} in %, ${criterion}. ${shown} of ${data.methods.length} methods shown.`;
}

const told = ([text, , low, high, , seeds]) => `${text}${low === null ? ""
  : `, 95 % interval ${low.toFixed(1)} to ${high.toFixed(1)}`}, seeds: ${seeds}`;
const empty = (title) =>
  el("figure", null, el("figcaption", null, title), el("p", null, "Nothing to show yet."));
const entriesOf = (setting, now) => data.entries.filter((entry) =>
  entry.setting === setting && inGroup(entry.method, now));
const ofMethod = (method) => ({ name: data.methods[method].name, look: data.methods[method] });

function settingCharts(now) {
  return data.settings.map((setting, k) => {
    const mine = entriesOf(k, now).filter((entry) => valueOf(entry, now));
    mine.sort((a, b) => valueOf(b, now)[1] - valueOf(a, now)[1]);
    const series = mine.map((entry, place) => {
      const value = valueOf(entry, now);
      return { ...ofMethod(entry.method),
        points: [[value[1], -place, told(value), value[2], value[3]]] };
    });
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
        const value = entry && valueOf(entry, now);
        if (!value) return [];
        const { rate, noise } = data.settings[k];
        return [[rate, value[1], `${noise}: ${told(value)}`, value[2], value[3]]];
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
        ({ ...ofMethod(method), epochs: curves.epoch, values: curves[name] }));
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
for (const select of document.querySelectorAll("select")) select.addEventListener("change", show);
document.addEventListener("click", (event) => {
  const sorter = event.target.closest(".results thead button");
  if (sorter) sortBy(sorter.closest("th"));
  const entry = event.target.closest(".entry");
  if (entry) openEntry(entry.dataset.entry, state());
});
byId("close").addEventListener("click", () => byId("explorer").close());
byId("explorer").addEventListener("close", hideTip);
show();
