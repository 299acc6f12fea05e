// Pictures: decoding, resizing, drawing large with what was found in them.

import { element, svg } from "./dom.js";

const decoded = new Map();
// Pixels: a puck that is nearer has reached its subgoal.
export const SUBGOAL_RADIUS = 2;

// A PNG or JPEG in base64 as a bitmap; the same text is decoded once.
export function bitmapOf(base64) {
  if (!decoded.has(base64)) {
    if (decoded.size > 2000) decoded.clear();
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    decoded.set(base64, createImageBitmap(new Blob([bytes])));
  }
  return decoded.get(base64);
}

// A file that a person chose -> {base64, note}; scaled to the model's size where it has another one.
// Throws an Error in words if it is no picture.
export async function readFile(file, size) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read. Choose a PNG or JPEG file.`);
  }
  const fits = bitmap.width === size && bitmap.height === size;
  if (fits && file.type === "image/png") return { base64: await base64Of(file), note: `${file.name}, as it is` };
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = element("canvas", { width: size, height: size });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const [left, top] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  context.drawImage(bitmap, left, top, side, side, 0, 0, size, size);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const cut = bitmap.width === bitmap.height ? "" : ", cut to the square in the middle";
  const scaled = fits
    ? "sent as PNG"
    : `${bitmap.width} × ${bitmap.height} pixels${cut}, scaled here to ${size} × ${size}, the model's size`;
  return { base64: await base64Of(blob), note: `${file.name}: ${scaled}` };
}

async function base64Of(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

// Hues far apart for neighbours in the list.
export const keypointColor = (index) => `hsl(${(index * 137.5) % 360} 90% 60%)`;

// A picture drawn large, with marks over it. Positions are in pixels, (0, 0) the centre of the top left one.
export class PictureView {
  constructor(caption, size = 64) {
    this.size = size;
    this.canvas = element("canvas", { width: size, height: size, role: "img", "aria-label": `${caption}: empty` });
    this.marks = svg("svg", { "aria-hidden": "true" });
    this.caption = element("figcaption", {}, caption);
    this.node = element(
      "figure", { class: "picture empty" }, element("div", { class: "screen" }, this.canvas, this.marks), this.caption,
    );
    this.#scale(size);
  }

  // Draws a picture; one that is asked for later wins over one that is decoded later.
  async show(base64, label) {
    this.wanted = base64;
    const bitmap = await bitmapOf(base64);
    if (this.wanted !== base64) return;
    if (bitmap.width !== this.size) this.#scale(bitmap.width);
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.node.classList.remove("empty");
    if (label) this.canvas.setAttribute("aria-label", label);
  }

  clear(label) {
    this.wanted = null;
    this.canvas.getContext("2d").clearRect(0, 0, this.size, this.size);
    this.node.classList.add("empty");
    this.canvas.setAttribute("aria-label", label);
    this.mark({});
  }

  // puck, target: {x, y} or null; paths: [{points: [{x, y}, ...], kind}], kind is a class of the style
  // sheet; keypoints: [{x, y, scale}].
  mark({ puck = null, target = null, paths = [], keypoints = [] }) {
    this.marks.replaceChildren(
      ...paths.filter(({ points }) => points.length).map(pathMark),
      ...keypoints.map((point, index) => keypointMark(point, index)),
      ...(target ? [svg("circle", { cx: target.x, cy: target.y, r: SUBGOAL_RADIUS, class: "target" })] : []),
      ...(puck ? puckMarks(puck) : []),
    );
  }

  #scale(size) {
    this.size = size;
    Object.assign(this.canvas, { width: size, height: size });
    this.marks.setAttribute("viewBox", `-0.5 -0.5 ${size} ${size}`);
  }
}

function pathMark({ points, kind }) {
  return svg("polyline", { points: points.map(({ x, y }) => `${x},${y}`).join(" "), class: kind });
}

function puckMarks({ x, y }) {
  return [
    svg("circle", { cx: x, cy: y, r: 4.2, class: "puck-edge" }),
    svg("circle", { cx: x, cy: y, r: 4.2, class: "puck" }),
    svg("path", { d: `M${x - 1.2} ${y}h2.4M${x} ${y - 1.2}v2.4`, class: "puck" }),
  ];
}

function keypointMark({ x, y, scale }, index) {
  const strength = Math.max(0.15, Math.min(1, scale));
  return svg("circle", { cx: x, cy: y, r: 1.3, class: "keypoint", fill: keypointColor(index), opacity: strength });
}
