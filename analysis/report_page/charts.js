// One kind of chart: series of points [x, y, words, low, high] in data units, joined or not.
const WIDTH = 360;

function ticksOf(low, high, most = 6) {
  const rough = (high - low || 1) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((size) => size >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, k) => Number(((first + k) * step).toPrecision(12)));
}

function rangeOf(values) {
  const known = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = (high - low || 1) * 0.06;
  return [low - room, high + room];
}

const scale = (low, high, from, to) => (value) => from + (value - low) / (high - low) * (to - from);

// options: title; x and y: {low, high, ticks, words}; rows: names in place of the ticks of y;
// joined: by lines; upright: intervals are of y, and points are marked.
function chart(options, series) {
  const { left = 38, height = 220, rows = null } = options;
  const [bottom, right] = [height - 34, WIDTH - 10];
  const x = scale(options.x.low, options.x.high, left, right);
  const y = scale(options.y.low, options.y.high, bottom, 8);
  const root = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "group",
    "aria-label": options.title });
  const text = (words, at, line, anchor, kind) =>
    root.append(svg("text", { x: at, y: line, "text-anchor": anchor, class: kind }, String(words)));
  for (const tick of options.x.ticks) {
    root.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 8, y2: bottom }));
    text(tick, x(tick), bottom + 14, "middle");
  }
  for (const [k, tick] of options.y.ticks.entries()) {
    root.append(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    if (rows) text(rows[k], 0, y(tick) + 4, "start", "name");
    else text(tick, left - 5, y(tick) + 4, "end");
  }
  text(options.x.words, (left + right) / 2, height - 4, "middle");
  // Grey ones first, so that those in colour lie on top of them.
  const ordered = [...series].sort((a, b) => Boolean(a.look.colour) - Boolean(b.look.colour));
  listen(root, ordered.flatMap((one) => drawSeries(root, one, x, y, options)));
  return el("figure", null, el("figcaption", null, options.title), root);
}

function drawSeries(root, one, x, y, { joined, upright }) {
  const stroke = colourOf(one.look);
  const told = one.points.filter(([px, py]) => Number.isFinite(px) && Number.isFinite(py));
  const points = told.map(([px, py, words]) =>
    ({ x: x(px), y: y(py), text: `${one.name}: ${words}` }));
  if (!points.length) return points;
  const shown = points.length > 12 ? [points[0], points.at(-1)] : points;
  const node = svg("g", { class: "series", tabindex: 0, role: "img",
    "aria-label": shown.map((point) => point.text).join("; ") });
  root.append(node);
  if (joined) {
    const d = `M${points.map((point) => `${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join("L")}`;
    node.append(svg("path", { class: "line", d, stroke, "stroke-dasharray": one.look.dash }));
  }
  for (const [k, [px, py, , low, high]] of told.entries()) {
    if (Number.isFinite(low)) {
      const ends = upright ? { x1: x(px), x2: x(px), y1: y(low), y2: y(high) }
        : { x1: x(low), x2: x(high), y1: y(py), y2: y(py) };
      node.append(svg("line", { class: "range", stroke, ...ends }));
    }
    if (!joined || upright || points.length === 1) {
      node.append(svg("circle", { cx: points[k].x, cy: points[k].y, r: 3.5, fill: stroke }));
    }
  }
  let at = 0;
  const tell = () => {
    const box = root.getBoundingClientRect();
    const zoom = box.width / WIDTH;
    showTip(points[at].text, box.left + points[at].x * zoom, box.top + points[at].y * zoom);
  };
  node.addEventListener("focus", tell);
  node.addEventListener("blur", hideTip);
  node.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    at = (at + move + points.length) % points.length;
    tell();
  });
  return points;
}

function listen(root, points) {
  root.addEventListener("pointermove", (event) => {
    const box = root.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const zoom = box.width / WIDTH;
    const far = points.map((point) => Math.hypot(point.x * zoom - px, point.y * zoom - py));
    const least = Math.min(...far);
    if (least < 18) showTip(points[far.indexOf(least)].text, event.clientX, event.clientY);
    else hideTip();
  });
  root.addEventListener("pointerleave", hideTip);
}

const colourOf = (look) => look.colour || "var(--grey)";
const legend = (series) => el("div", { class: "legend" }, series.map(({ name, look }) =>
  el("span", null, svg("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, svg("path", {
    class: "line", d: "M0 5H26", stroke: colourOf(look), "stroke-dasharray": look.dash })), name)));

// Curves over epochs: lines are {name, look, epochs, values in tenths of a percent}.
function curveChart(title, lines) {
  const series = lines.map((line) => ({ ...line, points: line.epochs.map((epoch, k) => {
    const value = line.values[k] === null ? NaN : line.values[k] / 10;
    return [epoch, value, `epoch ${epoch}: ${value.toFixed(1)} %`];
  }) }));
  const all = series.flatMap((one) => one.points);
  const [low, high] = rangeOf(all.map((point) => point[1]));
  const [first, last] = [1, Math.max(2, ...all.map((point) => point[0]))];
  const ticks = ticksOf(first, last).filter(Number.isInteger);
  return chart({ title, joined: true, x: { low: first, high: last, ticks, words: "epoch" },
    y: { low, high, ticks: ticksOf(low, high) } }, series);
}
