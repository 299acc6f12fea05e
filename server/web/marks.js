// What is drawn over pictures: pucks that a plan names, and the keypoints that a world model finds.

import { address } from "./address.js";
import { post } from "./api.js";
import { byId } from "./dom.js";
import { bitmapOf } from "./pictures.js";

const views = new Map();
const found = new Map();
const waiting = new Set();
const MARKS = ["puck", "keypoints"];
const toggle = (name) => byId(`show-${name}`);
let model = null;
let asking = false;

// The model whose keypoints are shown.
export function useModel(info) {
  model = info;
  waiting.clear();
  refresh();
}

// Shows a picture with its marks; puck: where it is, target: where it should go, paths: where it is to come
// or came along, keypoints: if they are known without asking.
export async function showMarked(view, base64, label, { puck, target, paths, keypoints = null } = {}) {
  views.set(view, { base64, keypoints, pucks: { puck, target, paths } });
  await view.show(base64, label);
  if (views.get(view)?.base64 === base64) paint(view);
}

export function unmark(view, label) {
  views.delete(view);
  view.clear(label);
}

// The address remembers which marks are shown, unless they are those of the first visit.
export function watchToggles() {
  const said = address.get("marks")?.split(".");
  for (const name of MARKS) {
    if (said) toggle(name).checked = said.includes(name);
    toggle(name).addEventListener("change", () => {
      rememberToggles();
      refresh();
    });
  }
}

export function rememberToggles() {
  const shown = MARKS.filter((name) => toggle(name).checked).join(".");
  address.set({ marks: shown === MARKS[0] ? null : shown });
}

// Finds keypoints of pictures that will be looked at soon.
export function expect(pictures) {
  if (toggle("keypoints").checked) pictures.forEach(want);
}

function refresh() {
  byId("marks-status").textContent = "";
  repaint();
}

// Pictures that are no longer part of the page are forgotten.
function repaint() {
  views.forEach((_, view) => (view.node.isConnected ? paint(view) : views.delete(view)));
}

function paint(view) {
  const { base64, pucks, keypoints } = views.get(view);
  const points = toggle("keypoints").checked ? (keypoints ?? known(base64)) : [];
  view.mark({ ...(toggle("puck").checked ? pucks : {}), keypoints: points });
}

function known(base64) {
  const points = found.get(`${model?.name} ${base64}`);
  if (!points) want(base64);
  return points ?? [];
}

function want(base64) {
  if (!model || found.has(`${model.name} ${base64}`)) return;
  waiting.add(base64);
  if (!asking) ask();
}

// One request after the other, as many pictures in each as the model takes.
async function ask() {
  asking = true;
  await null; // whoever else wants some in this turn is asked for too
  try {
    while (waiting.size) {
      const asked = model;
      const frames = await fitting([...waiting].slice(0, asked.limits.frames.max), asked.image_size);
      const { data } = await post("/v1/keypoints", { model: asked.name, frames });
      frames.forEach((base64, index) => {
        found.set(`${asked.name} ${base64}`, data.keypoints[index]);
        waiting.delete(base64);
      });
      repaint();
    }
    byId("marks-status").textContent = "";
  } catch (error) {
    waiting.clear();
    byId("marks-status").textContent = `No keypoints: ${error.detail ?? error.message}`;
  } finally {
    asking = false;
  }
}

// Pictures of another size are not this model's.
async function fitting(pictures, size) {
  const sizes = await Promise.all(pictures.map(async (base64) => (await bitmapOf(base64)).width));
  pictures.filter((_, index) => sizes[index] !== size).forEach((base64) => waiting.delete(base64));
  const kept = pictures.filter((_, index) => sizes[index] === size);
  if (!kept.length) throw new Error(`pictures are not ${size} × ${size}.`);
  return kept;
}
