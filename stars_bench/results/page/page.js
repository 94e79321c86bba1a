"use strict";
// Every text of the data goes through textContent or an attribute, never through innerHTML.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function draw(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

const colour = (place) => `hsl(${(place * 137.5 + 210) % 360} 65% 52%)`;
const digits = (value) => Number(value.toPrecision(4)).toString();

// ---------------------------------------------------------------------------------------------------- tables

function sortBy(table, column, heading) {
  const descending = heading.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const sign = descending ? -1 : 1;
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const isEmpty = (row) => ["", "–"].includes(row.cells[column].textContent);
  const compare = (a, b) => {
    if (isEmpty(a) !== isEmpty(b)) return isEmpty(a) ? 1 : -1; // nothing measured: last, whatever the order
    const [x, y] = [key(a), key(b)];
    return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
  };
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("apart"));
    body.append(...rows.sort(compare));
  }
}

function filter(board) {
  const wanted = board.querySelector("input[type=search]").value.trim().toLowerCase();
  const hidden = new Set([...board.querySelectorAll("[data-hides]:checked")].map((box) => box.dataset.hides));
  for (const body of board.querySelectorAll("tbody")) {
    body.hidden = hidden.has("published") && body.className === "published";
    for (const row of body.rows) {
      if (row.classList.contains("apart")) continue;
      const fits = row.cells[0].textContent.toLowerCase().includes(wanted);
      row.hidden = !fits || (hidden.has("marked") && "marked" in row.dataset);
    }
  }
}

for (const board of document.querySelectorAll(".board")) {
  const table = board.querySelector("table");
  [...table.tHead.rows[0].cells].forEach((heading, column) =>
    heading.querySelector("button").addEventListener("click", () => sortBy(table, column, heading)));
  for (const input of board.querySelectorAll("input")) input.addEventListener("input", () => filter(board));
}

// ------------------------------------------------------------------------------------------------ provenance

const dialog = document.getElementById("provenance");
document.addEventListener("click", (event) => {
  const button = event.target.closest(".cell");
  if (!button) return;
  const cell = data.cells[button.dataset.cell];
  dialog.querySelector("h2").textContent = cell.title;
  dialog.querySelector("div").replaceChildren(...cell.records.map((record) =>
    make("dl", {}, ...record.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))));
  dialog.showModal();
});

// --------------------------------------------------------------------------------------------------- figures

/** A choice above a figure; calls `show` with the chosen option, now and at every change. */
function choose(section, name, options, show) {
  const select = make("select");
  options.forEach((option, place) => select.append(make("option", { value: place }, option)));
  section.querySelector(".controls").append(make("label", {}, `${name} `, select));
  select.addEventListener("change", () => show(options[select.value], Number(select.value)));
  show(options[0], 0);
}

/** A line chart of series {title, points: [[x, y, low, high]]}, with axes and a key. */
function lines(series, xName, yName) {
  const [width, height, left, bottom] = [640, 320, 56, 36];
  const points = series.flatMap((one) => one.points);
  const xs = points.map((point) => point[0]);
  const ys = points.flatMap((point) => [point[1], point[2], point[3]]).filter((value) => value != null);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const x = (value) => left + ((value - x0) / (x1 - x0 || 1)) * (width - left - 12);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0 || 1)) * (height - bottom - 12);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${yName} over ${xName}` });
  for (let i = 0; i <= 4; i++) {
    const [xValue, yValue] = [x0 + ((x1 - x0) * i) / 4, y0 + ((y1 - y0) * i) / 4];
    svg.append(draw("line", { x1: left, x2: width - 12, y1: y(yValue), y2: y(yValue), class: "axis" }));
    svg.append(draw("text", { x: left - 6, y: y(yValue) + 4, "text-anchor": "end" }, digits(yValue)));
    svg.append(draw("text", { x: x(xValue), y: height - bottom + 16, "text-anchor": "middle" }, digits(xValue)));
  }
  svg.append(draw("text", { x: width / 2, y: height - 4, "text-anchor": "middle" }, `${xName} (${yName} above)`));
  series.forEach((one, place) => {
    const at = one.points.filter((point) => point[1] != null);
    const line = draw("polyline", {
      points: at.map((point) => `${x(point[0])},${y(point[1])}`).join(" "), class: "line", stroke: colour(place) });
    line.append(draw("title", {}, one.title));
    svg.append(line);
    for (const [at_x, at_y, low, high] of at) {
      if (low != null) svg.append(draw("line", { x1: x(at_x), x2: x(at_x), y1: y(low), y2: y(high), stroke: colour(place) }));
      if (at.length > 60) continue;
      const dot = draw("circle", { cx: x(at_x), cy: y(at_y), r: 2.5, fill: colour(place) });
      dot.append(draw("title", {}, `${one.title}: ${digits(at_y)} at ${at_x}`));
      svg.append(dot);
    }
  });
  return [svg, key(series.map((one) => one.title))];
}

function key(titles) {
  return make("ul", { class: "key" }, ...titles.map((title, place) => {
    const dot = make("i");
    dot.style.background = colour(place);
    return make("li", {}, dot, title);
  }));
}

function showCurves(section) {
  const stages = [...new Set(data.curves.flatMap((curve) => Object.keys(curve.values).map((name) => `${curve.stage}: ${name}`)))];
  choose(section, "Stage and quantity", stages, (chosen) => {
    const [stage, name] = chosen.split(": ");
    const series = data.curves.filter((curve) => curve.stage === stage && curve.values[name]).map((curve) => ({
      title: curve.title, points: curve.epochs.map((epoch, i) => [epoch, curve.values[name][i]]) }));
    section.querySelector(".figure").replaceChildren(...lines(series, "epoch", name));
  });
}

function showShots(section) {
  section.querySelector(".figure").append(...lines(data.shots, "labelled clips a class", "top-1 accuracy in %"));
}

/** Classes that occur, their names, and what is confused with what. */
function showConfusion(section) {
  choose(section, "Result", data.confusions.map((one) => one.title), (_, place) => {
    const one = data.confusions[place];
    const names = data.classes[one.dataset];
    const named = (number) => `${number + 1} ${names[number] ?? ""}`;
    const figure = section.querySelector(".figure");
    figure.replaceChildren();
    let accuracies = (one.perClass ?? []).map((value, number) => [number, value]).filter(([, value]) => value != null);
    if (one.counts) {
      const rows = new Map();
      for (let i = 0; i < one.counts.length; i += 3) {
        const [truth, told, clips] = one.counts.slice(i, i + 3);
        if (!rows.has(truth)) rows.set(truth, new Map());
        rows.get(truth).set(told, clips);
      }
      const total = (row) => [...row.values()].reduce((sum, clips) => sum + clips, 0);
      accuracies = [...rows].map(([truth, row]) => [truth, (100 * (row.get(truth) ?? 0)) / total(row)]);
      figure.append(...matrix(rows, total, named));
    }
    accuracies.sort((a, b) => a[1] - b[1]);
    figure.append(make("h3", {}, "Accuracy of each class, worst first"), make("ul", { class: "bars" },
      ...accuracies.map(([number, value]) => make("li", {}, make("span", {}, named(number)),
        make("meter", { min: 0, max: 100, value, "aria-label": named(number) }), make("b", {}, value.toFixed(1))))));
  });
}

function matrix(rows, total, named) {
  const classes = [...new Set([...rows.keys(), ...[...rows.values()].flatMap((row) => [...row.keys()])])].sort((a, b) => a - b);
  const place = new Map(classes.map((number, i) => [number, i]));
  const [side, left] = [560, 40];
  const step = side / classes.length;
  const svg = draw("svg", { viewBox: `0 0 ${side + left} ${side + left}`, role: "img", "aria-label": "confusion matrix" });
  svg.append(draw("rect", { x: left, y: 0, width: side, height: side, fill: "none", class: "axis" }));
  const told = make("p", { class: "told", "aria-live": "polite" }, "Rows are true classes, columns predicted ones.");
  const confused = [];
  for (const [truth, row] of rows) {
    for (const [as, clips] of row) {
      const share = clips / total(row);
      const text = `${named(truth)} told as ${named(as)}: ${clips} of ${total(row)} clips (${(100 * share).toFixed(1)} %)`;
      const cell = draw("rect", { x: left + place.get(as) * step, y: place.get(truth) * step, width: step, height: step,
        fill: truth === as ? "hsl(210 70% 50%)" : "hsl(10 75% 52%)", "fill-opacity": 0.12 + 0.88 * share });
      cell.append(draw("title", {}, text));
      cell.addEventListener("pointerenter", () => { told.textContent = text; });
      svg.append(cell);
      if (truth !== as) confused.push([share, text]);
    }
  }
  const every = Math.ceil(classes.length / 30);
  classes.forEach((number, i) => {
    if (i % every) return;
    svg.append(draw("text", { x: left - 4, y: (i + 0.5) * step + 4, "text-anchor": "end" }, String(number + 1)));
    svg.append(draw("text", { x: left + (i + 0.5) * step, y: side + 14, "text-anchor": "middle" }, String(number + 1)));
  });
  confused.sort((a, b) => b[0] - a[0]);
  const list = make("ol", {}, ...confused.slice(0, 10).map(([, text]) => make("li", {}, text)));
  return [svg, told, make("h3", {}, "Most confused"), list];
}

/** Dots of clips: hovering, or the arrow keys once the map has the focus, name the clip. */
function showMap(section) {
  choose(section, "Map", data.maps.map((map) => map.title), (_, chosen) => {
    const map = data.maps[chosen];
    const [xs, ys] = [map.points.map((point) => point[0]), map.points.map((point) => point[1])];
    const [x0, y1] = [Math.min(...xs), Math.max(...ys)];
    const scale = 600 / Math.max(Math.max(...xs) - x0, y1 - Math.min(...ys));
    const classes = [...new Set(map.labels)].sort((a, b) => a - b);
    const svg = draw("svg", { viewBox: "-10 -10 620 620", tabindex: 0, role: "application",
      "aria-label": "map of clips; arrow keys go from clip to clip" });
    const told = make("p", { class: "told", "aria-live": "polite" }, map.caption);
    let at = -1;
    const dots = map.points.map((point, i) => {
      const dot = draw("circle", { cx: (point[0] - x0) * scale, cy: (y1 - point[1]) * scale, r: 3.5,
        fill: colour(classes.indexOf(map.labels[i])) });
      dot.append(draw("title", {}, map.names[i]));
      dot.addEventListener("pointerenter", () => point_at(i));
      return dot;
    });
    const point_at = (i) => {
      if (at >= 0) dots[at].setAttribute("r", 3.5);
      at = i;
      dots[i].setAttribute("r", 7);
      told.textContent = `${map.names[i]}: ${map.labels[i] + 1} ${map.classes[map.labels[i]] ?? ""}`;
    };
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      point_at((at + step + dots.length) % dots.length);
    });
    svg.append(...dots);
    section.querySelector(".figure").replaceChildren(svg, told, key(classes.map((one) => `${one + 1} ${map.classes[one] ?? ""}`)));
  });
}

for (const [name, show] of Object.entries({ curves: showCurves, confusions: showConfusion, maps: showMap, shots: showShots })) {
  const section = document.getElementById(name);
  if (section) show(section);
}

// ----------------------------------------------------------------------------------------------------- theme

const theme = document.getElementById("theme");
function turn(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.setAttribute("aria-pressed", dark);
}
theme.setAttribute("aria-pressed", matchMedia("(prefers-color-scheme: dark)").matches);
theme.addEventListener("click", () => turn(theme.getAttribute("aria-pressed") !== "true"));
