// A chart of the last hour as SVG: lines, or bars for what is counted. A table on the page holds the same numbers for
// those who cannot see it.

const NAMESPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [400, 130, 52, 8, 20];

/** @typedef {(number|null)[]} Values */
/** @typedef {{name: string, values: Values}} Line */

/**
 * @param {string} tag  @param {Record<string, string|number>} attributes  @param {...(Node|string)} children
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

export class Chart {
  #picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  #bars;

  /** @param {string} title  @param {string[]} names of its lines, if there are several  @param {boolean} bars */
  constructor(title, names, bars) {
    this.#bars = bars;
    this.element = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.append(title);
    names.forEach((name, number) => {
      const mark = svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" });
      mark.append(svg("rect", { class: `line-${number}`, width: 10, height: 10 }));
      const label = document.createElement("span");
      label.append(mark, name);
      caption.append(label);
    });
    this.element.append(caption, this.#picture);
  }

  /**
   * @param {Values[]} lines  @param {[string, string]} ends  the first and the last time
   * @param {(value: number) => string} format  @param {string} description  for screen readers
   */
  update(lines, ends, format, description) {
    const most = Math.max(0, ...lines.flat().map((value) => value ?? 0)) || 1;
    const step = (WIDTH - LEFT) / Math.max(lines[0]?.length ?? 1, 1);
    /** @param {number} value */
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
    const grid = [0, most].flatMap((value) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 6, y: y(value), dy: 4, "text-anchor": "end" }, format(value)),
    ]);
    const times = [
      svg("text", { x: LEFT, y: HEIGHT - 4 }, ends[0]),
      svg("text", { x: WIDTH, y: HEIGHT - 4, "text-anchor": "end" }, ends[1]),
    ];
    const drawn = lines.flatMap((values, number) =>
      this.#bars
        ? values.flatMap((value, place) =>
            value
              ? svg("rect", {
                  class: `line-${number}`,
                  x: (LEFT + place * step).toFixed(1),
                  y: y(value).toFixed(1),
                  width: (step * 0.8).toFixed(1),
                  height: Math.max(y(0) - y(value), 1).toFixed(1),
                })
              : [],
          )
        : stretches(values).map((stretch) => {
            const points = stretch.map(
              ([place, value]) => `${(LEFT + (place + 0.5) * step).toFixed(1)},${y(value).toFixed(1)}`,
            );
            // A point alone would not be seen: a short line.
            if (points.length === 1)
              points.push(`${(LEFT + (stretch[0][0] + 1) * step).toFixed(1)},${points[0].split(",")[1]}`);
            return svg("polyline", { class: `line-${number}`, points: points.join(" ") });
          }),
    );
    this.#picture.setAttribute("aria-label", description);
    this.#picture.replaceChildren(...grid, ...times, ...drawn);
  }
}

/** The places with values, in stretches without a gap. @param {Values} values  @returns {[place: number, value: number][][]} */
export function stretches(values) {
  /** @type {[number, number][][]} */
  const found = [];
  let open = false;
  values.forEach((value, place) => {
    if (value !== null) {
      if (!open) found.push([]);
      found[found.length - 1].push([place, value]);
    }
    open = value !== null;
  });
  return found;
}
