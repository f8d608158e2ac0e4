// What opens when an entry of a table is chosen.
const SEED_COLOURS = ["currentColor", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#56B4E9"];
const terms = (numbers) => el("dl", { class: "facts" }, numbers.map((k) =>
  el("div", null, el("dt", null, data.terms[k][0]), el("dd", null, data.terms[k][1]))));

function seedCurves(entry) {
  const finished = entry.seeds.filter((seed) => seed.curves).map(({ seed, curves }, k) => (
    { name: `seed ${seed}`, look: { colour: SEED_COLOURS[k % SEED_COLOURS.length] }, curves }));
  const figures = Object.entries(data.curves).map(([name, words]) => {
    const lines = finished.filter(({ curves }) => curves[name])
      .map((seed) => ({ ...seed, epochs: data.epochs[seed.curves.epoch], values: seed.curves[name] }));
    return lines.length ? curveChart(words, lines) : null;
  });
  return figures.some(Boolean) ? [legend(finished), el("div", { class: "charts" }, figures)]
    : [el("p", null, "This page has no curves of these seeds.")];
}

function confusion(entry, criterion) {
  const counts = entry.confusions[criterion];
  if (!counts) return el("p", null, "No confusion matrix is recorded for this criterion.");
  if (counts.largest) {
    return tableOf("Most frequent confusions, all seeds together",
      [`${data.test_labels} class`, "predicted", "images"],
      counts.largest.map((row) => row.map(String)));
  }
  const rows = counts.matrix.map((row, k) => {
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    return [String(k), ...row.map((count) => {
      const cell = el("td", { title: `${(100 * count / sum).toFixed(1)} %` }, String(count));
      cell.style.setProperty("--share", (0.6 * count / sum).toFixed(3));
      return cell;
    })];
  });
  const caption = `Test images, all seeds: rows are ${data.test_labels} classes, columns predicted`;
  const head = [data.test_labels, ...counts.matrix.map((_, k) => String(k))];
  return tableOf(caption, head, rows, "confusion");
}

const says = ({ state, reason }) => [state || "finished", reason].filter(Boolean).join(": ");
// Accuracies have their epoch behind a blank.
const seedRow = (seed) => [seed.seed, says(seed), ...data.seed_head.slice(2).map((_, k) =>
  ((seed.row || [])[k] || "–").replace(/ (\d+)$/, " (epoch $1)"))].map(String);

function commands({ method, setting, seeds }) {
  const [start, end] = data.command;
  const line = `${start} ${data.settings[setting].only} ${data.methods[method].only} ${end}`;
  return [el("pre", null, line), el("details", null, el("summary", null, "One seed"),
    el("pre", null, seeds.map(({ seed }) => `${line} --only seed=${seed}`).join("\n")))];
}

const origins = (entry) => [terms(entry.origin), ...entry.seeds
  .filter(({ origin }) => origin && origin.length).map(({ seed, origin }) =>
    el("details", null, el("summary", null, `Seed ${seed}`), terms(origin)))];
const names = ({ method, setting, seeds }) => seeds.map(({ seed, key }) =>
  `${data.settings[setting].stem}__${data.methods[method].label}__s${seed}__${key}`).join("\n");
const logs = (entry) => entry.seeds.filter((seed) => seed.details || seed.log).map((seed) =>
  el("details", null, el("summary", null, `Seed ${seed.seed}: ${says(seed)}`),
    ...[seed.details, seed.log].filter(Boolean).map((text) => el("pre", null, text))));

function openEntry(place, { criterion }) {
  const entry = data.entries[place];
  const part = (title, ...nodes) => (nodes.length ? [el("h3", null, title), ...nodes] : []);
  byId("explorer-title").textContent =
    `${data.methods[entry.method].name}: ${data.settings[entry.setting].name}`;
  byId("explorer-body").replaceChildren(
    tableOf("Seeds: test accuracy in %", data.seed_head, entry.seeds.map(seedRow)),
    ...part("Logs", ...logs(entry)),
    ...part("Make it again", ...commands(entry)),
    ...part("Curves of each seed", ...seedCurves(entry)),
    ...part(`Confusion matrix, ${byId("criterion").selectedOptions[0].textContent}`,
      confusion(entry, criterion)),
    ...part("Configuration", terms(entry.config)),
    ...part("Provenance", ...origins(entry)),
    ...part("Its cells", el("pre", null, names(entry))));
  byId("explorer").showModal();
  byId("explorer").scrollTop = 0;
}
