// Line charts in SVG, small enough to be drawn anew whenever a number arrives or there is another width to fill.

import { element, short, svg } from "./dom.js";

const MARGIN = { left: 46, right: 12, top: 26, bottom: 36 };

export class Chart {
  // name is read aloud; x and y name the axes; height in pixels.
  constructor(node, { name, x, y, height = 230 }) {
    this.names = { name, x, y };
    this.height = height;
    this.deep = height - MARGIN.top - MARGIN.bottom;
    this.picture = svg("svg", { role: "img", class: "plot", height });
    this.legend = element("ul", { class: "legend" });
    node.replaceChildren(this.picture, this.legend);
    this.width = 560;
    this.draw([]);
    new ResizeObserver(([{ contentRect }]) => {
      if (!contentRect.width || contentRect.width === this.width) return;
      this.width = contentRect.width;
      this.draw(this.series, { xs: this.xs, at: this.at, levels: this.levels, marks: this.marks });
    }).observe(node);
  }

  // The y axis means something else from now on.
  rename(y) {
    this.names.y = y;
    this.draw([]);
  }

  // series: [{name, kind, points: [[x, y | null], ...]}]; kind is a class of the style sheet.
  // xs: [least, most] to leave room for what is still to come; at: where the cursor is; levels: [{name, y}],
  // values to compare with; marks: [{name, x}], what happens on the way.
  draw(series, { xs = null, at = null, levels = [], marks = [] } = {}) {
    Object.assign(this, { series, xs, levels, marks });
    this.picture.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const range = ranges(series, xs, levels);
    const across = this.width - MARGIN.left - MARGIN.right;
    this.toX = (x) => MARGIN.left + ((x - range.x[0]) / (range.x[1] - range.x[0])) * across;
    this.toY = (y) => MARGIN.top + (1 - (y - range.y[0]) / (range.y[1] - range.y[0])) * this.deep;
    this.cursorLine = svg("path", { class: "cursor" });
    this.picture.replaceChildren(
      ...this.#axes(range),
      ...levels.flatMap((level) => this.#level(level)),
      ...marks.flatMap((mark) => this.#mark(mark)),
      ...series.map((one) => this.#line(one)),
      ...series.flatMap((one) => (one.points.length <= 30 ? this.#dots(one) : [])),
      this.cursorLine,
    );
    this.#label();
    this.cursor(at);
  }

  // Marks a place on the x axis and writes the values there into the legend; null: the last values.
  cursor(x) {
    this.at = x;
    const known = x !== null && this.series.length > 0;
    this.cursorLine.setAttribute("d", known ? `M${this.toX(x)} ${MARGIN.top}v${this.deep}` : "");
    this.legend.replaceChildren(
      ...this.series.map((one) => {
        const point = known ? one.points.find(([at]) => at === x) : one.points.findLast(([, y]) => y !== null);
        const value = point ? ` ${short(point[1])}` : "";
        return element("li", { class: one.kind }, element("span", {}, one.name), element("b", {}, value));
      }),
    );
  }

  #axes(range) {
    const parts = [];
    for (const y of ticks(range.y, Math.max(3, this.deep / 40))) {
      const at = this.toY(y);
      parts.push(svg("path", { d: `M${MARGIN.left} ${at}H${this.width - MARGIN.right}`, class: "grid" }));
      parts.push(svg("text", { x: MARGIN.left - 7, y: at + 4, class: "tick y" }, short(y)));
    }
    for (const x of ticks(range.x, this.width / 70).filter(Number.isInteger)) {
      parts.push(svg("text", { x: this.toX(x), y: this.height - 20, class: "tick x" }, short(x)));
    }
    parts.push(svg("text", { x: this.width - MARGIN.right, y: this.height - 5, class: "end" }, this.names.x));
    parts.push(svg("text", { x: 0, y: 13 }, this.names.y));
    return parts;
  }

  #level({ name, y }) {
    const at = this.toY(y);
    return [
      svg("path", { d: `M${MARGIN.left} ${at}H${this.width - MARGIN.right}`, class: "level" }),
      svg("text", { x: MARGIN.left + 4, y: at - 4 }, name),
    ];
  }

  #mark({ name, x }) {
    const at = this.toX(x);
    return [
      svg("path", { d: `M${at} ${MARGIN.top}v${this.deep}`, class: "mark" }),
      svg("text", { x: at + 3, y: MARGIN.top + 11 }, name),
    ];
  }

  #line({ points, kind }) {
    let pen = "M";
    const steps = points.map(([x, y]) => {
      if (y === null) {
        pen = "M";
        return "";
      }
      const step = `${pen}${this.toX(x).toFixed(1)} ${this.toY(y).toFixed(1)}`;
      pen = "L";
      return step;
    });
    return svg("path", { d: steps.join(""), class: `line ${kind}` });
  }

  #dots({ points, kind }) {
    return points
      .filter(([, y]) => y !== null)
      .map(([x, y]) => svg("circle", { cx: this.toX(x), cy: this.toY(y), r: 3, class: `dot ${kind}` }));
  }

  #label() {
    const last = this.series.map(({ name, points }) => `${name} ${short(points.at(-1)?.[1])}`);
    const beside = this.levels.map(({ name }) => `; line: ${name}`).join("");
    const said = last.length
      ? `${this.names.name}; last values: ${last.join(", ")}${beside}`
      : `${this.names.name}: no data yet`;
    this.picture.setAttribute("aria-label", said);
  }
}

function ranges(series, xs, levels) {
  const points = series.flatMap(({ points }) => points.filter(([, y]) => y !== null));
  const across = [...(xs ?? []), ...points.map(([x]) => x)];
  const up = [...points.map(([, y]) => y), ...levels.map(({ y }) => y)];
  return { x: wide(across), y: padded(wide([...up, 0])) };
}

// [least, most] with a distance between them.
function wide(values) {
  if (!values.length) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return high > low ? [low, high] : [low, low + 1];
}

function padded([low, high]) {
  const room = 0.06 * (high - low);
  return [low < 0 ? low - room : low, high + room];
}

// About so many round numbers within a range.
function ticks([low, high], wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
