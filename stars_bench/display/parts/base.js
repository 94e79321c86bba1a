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

// ----------------------------------------------------------------------------------------------------- theme

// The button says what it does: which theme a click turns to.
const theme = document.getElementById("theme");
const preferred = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (preferred.matches ? "dark" : "light")) === "dark";
function showTheme() {
  theme.textContent = isDark() ? "light theme" : "dark theme";
  document.dispatchEvent(new Event("theme"));
}
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
preferred.addEventListener("change", showTheme);
showTheme();
