// What opens when an entry of a table is chosen.
const SEED_COLOURS = ["currentColor", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#56B4E9"];

const terms = (pairs) => el("dl", { class: "facts" }, pairs.map(([term, text]) =>
  el("div", null, el("dt", null, term), el("dd", null, text))));

function seedCurves(entry) {
  const finished = entry.seeds.filter((seed) => seed.curves).map(({ seed, curves }, k) => (
    { name: `seed ${seed}`, look: { colour: SEED_COLOURS[k % SEED_COLOURS.length] }, curves }));
  const figures = Object.entries(data.curves).map(([name, words]) => {
    const lines = finished.filter(({ curves }) => curves[name])
      .map((seed) => ({ ...seed, epochs: seed.curves.epoch, values: seed.curves[name] }));
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
      ["true class", "predicted", "images"], counts.largest.map((row) => row.map(String)));
  }
  const rows = counts.matrix.map((row, k) => {
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    return [String(k), ...row.map((count) => {
      const cell = el("td", { title: `${(100 * count / sum).toFixed(1)} %` }, String(count));
      cell.style.setProperty("--share", (0.6 * count / sum).toFixed(3));
      return cell;
    })];
  });
  return tableOf("Test images, all seeds together: rows are true classes, columns predicted ones",
    ["true", ...counts.matrix.map((_, k) => String(k))], rows, "confusion");
}

const commands = (entry) => [el("pre", null, entry.command),
  el("details", null, el("summary", null, "One seed"), el("pre", null,
    entry.seeds.map(({ seed }) => `${entry.command} --only seed=${seed}`).join("\n")))];

function origins(entry) {
  const of = (origin) => entry.seeds.filter((each) => each.origin === origin);
  const found = [...data.origins.keys()].filter((origin) => of(origin).length);
  return found.map((origin) => el("details", null,
    el("summary", null, `Seeds ${of(origin).map((each) => each.seed).join(", ")}`),
    terms(data.origins[origin])));
}

const logs = (entry) => entry.seeds.filter((seed) => seed.details || seed.log).map((seed) =>
  el("details", null, el("summary", null, `Seed ${seed.seed}: ${seed.row[1]}`),
    ...[seed.details, seed.log].filter(Boolean).map((text) => el("pre", null, text))));

function openEntry(place, { criterion }) {
  const entry = data.entries[place];
  const part = (title, ...nodes) => (nodes.length ? [el("h3", null, title), ...nodes] : []);
  byId("explorer-title").textContent =
    `${data.methods[entry.method].name}: ${data.settings[entry.setting].name}`;
  byId("explorer-body").replaceChildren(
    tableOf("Seeds: test accuracy in %", data.seed_head, entry.seeds.map((seed) => seed.row)),
    ...part("Logs", ...logs(entry)),
    ...part("Make it again", ...commands(entry)),
    ...part("Curves of each seed", ...seedCurves(entry)),
    ...part(`Confusion matrix, ${byId("criterion").selectedOptions[0].textContent}`,
      confusion(entry, criterion)),
    ...part("Configuration", terms([...entry.config, ...data.protocols[entry.protocol]])),
    ...part("Provenance", ...origins(entry)),
    ...part("Its cells", el("pre", null, entry.seeds.map((seed) => seed.name).join("\n"))));
  byId("explorer").showModal();
  byId("explorer").scrollTop = 0;
}
