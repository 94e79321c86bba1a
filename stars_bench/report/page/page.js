// ---------------------------------------------------------------------------------------------------- tables

const heads = (table) => [...table.tHead.rows].at(-1).cells;

function sortBy(table, column, heading) {
  const descending = heading.getAttribute("aria-sort") !== "descending";
  for (const other of heads(table)) other.removeAttribute("aria-sort");
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
    const rows = [...body.rows].filter((row) => !row.classList.contains("apart"));
    for (const row of rows) {
      const fits = row.querySelector("th").textContent.toLowerCase().includes(wanted);
      row.hidden = !fits || [...hidden].some((kind) => kind in row.dataset);
    }
    body.hidden = rows.every((row) => row.hidden);
  }
}

for (const board of document.querySelectorAll(".board")) {
  const table = board.querySelector("table");
  [...heads(table)].forEach((heading, column) =>
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

/** A canvas that plays one clip after another: `play(clip or undefined, layout, name)`. */
function stage() {
  const canvas = make("canvas", { tabindex: 0, role: "img", "aria-label": "skeleton: drag or use the arrow keys to turn" });
  const caption = make("figcaption", {}, "Point at a dot: its clip plays here.");
  const view = sensorView();
  let shown = null;
  const redraw = () => shown?.draw();
  turnable(canvas, view, redraw);
  document.addEventListener("theme", redraw);
  const player = new Player(1, 30, (frame) => { if (shown) { shown.frame = frame; shown.draw(); } });
  const play = (clip, layout, name) => {
    player.play(false);
    shown?.forget();
    shown = null;
    caption.textContent = clip ? name : `${name}: no skeleton was kept`;
    canvas.width = 0; // empties it
    if (!clip) return;
    shown = new Skeletons(canvas, layout, clip, view);
    [player.frames, player.rate] = [clip.frames, clip.rate];
    player.go(0);
    player.play(!quiet);
  };
  return { figure: make("figure", { class: "stage" }, caption, canvas), play };
}

/** Dots of clips: hovering, tapping, or the arrow keys once the map has the focus, name the clip and play it. */
function showMap(section) {
  choose(section, "Map", data.maps.map((map) => map.title), (_, chosen) => {
    const map = data.maps[chosen];
    const kept = data.skeletons[map.data];
    const [xs, ys] = [map.points.map((point) => point[0]), map.points.map((point) => point[1])];
    const [x0, y1] = [Math.min(...xs), Math.max(...ys)];
    const [wide, high] = [Math.max(...xs) - x0, y1 - Math.min(...ys)];
    const scale = 600 / Math.max(wide, high);
    const classes = [...new Set(map.labels)].sort((a, b) => a - b);
    const svg = draw("svg", { viewBox: `-10 -10 ${wide * scale + 20} ${high * scale + 20}`, tabindex: 0, role: "application",
      "aria-label": "map of clips; arrow keys go from clip to clip" });
    const told = make("p", { class: "told", "aria-live": "polite" }, map.caption);
    const { figure, play } = stage();
    let at = -1;
    const dots = map.points.map((point, i) => {
      const dot = draw("circle", { cx: (point[0] - x0) * scale, cy: (y1 - point[1]) * scale, r: 3.5,
        fill: colour(classes.indexOf(map.labels[i])) });
      dot.append(draw("title", {}, map.names[i]));
      for (const name of ["pointerenter", "click"]) dot.addEventListener(name, () => point_at(i));
      return dot;
    });
    const point_at = (i) => {
      if (i === at) return;
      if (at >= 0) dots[at].setAttribute("r", 3.5);
      at = i;
      dots[i].setAttribute("r", 7);
      told.textContent = `${map.names[i]}: ${map.labels[i] + 1} ${map.classes[map.labels[i]] ?? ""}`;
      if (kept) play(kept.clips[map.names[i]], kept.layout, map.names[i]);
    };
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      point_at((at + step + dots.length) % dots.length);
    });
    svg.append(...dots);
    section.querySelector(".figure").replaceChildren(make("div", { class: kept ? "map" : "" }, svg, ...(kept ? [figure] : [])), told,
      key(classes.map((one) => `${one + 1} ${map.classes[one] ?? ""}`)));
  });
}

for (const [name, show] of Object.entries({ curves: showCurves, confusions: showConfusion, maps: showMap, shots: showShots })) {
  const section = document.getElementById(name);
  if (section) show(section);
}
