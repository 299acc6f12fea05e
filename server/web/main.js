// The page as a whole: what the server has, what is chosen, which panels are to be seen.

import { address } from "./address.js";
import { get, key } from "./api.js";
import { byId, fill } from "./dom.js";
import { ExecutePanel } from "./execute.js";
import { ForeseePanel } from "./foresee.js";
import { LoopPanel } from "./loop.js";
import { rememberToggles, useModel, watchToggles } from "./marks.js";
import { Notice } from "./notices.js";
import { PlanPanel } from "./plan.js";
import { Scenes } from "./scenes.js";

const EXAMPLE = 3; // seed of the scene that is there for the first visit

const execute = new ExecutePanel({
  executed: (plan, words) => plans.comparison.executed(plan, words),
  another: () => plans.another(),
});
const scenes = new Scenes(() => plans.begin(), () => plans.refuse());
const plans = new PlanPanel(scenes, (plan, now) => {
  execute.plan(plan);
  if (now && chosen().kind === "push") execute.run();
});
const foresee = new ForeseePanel();
const loop = new LoopPanel();
const notice = new Notice(byId("start-notice"), { retry: () => start() });
let models = new Map();
let environments = [];
let foreseeing = null; // the model that foresees clips

async function start() {
  notice.clear();
  light("waiting", "Looking for the server …");
  try {
    const [listed, known] = await Promise.all([get("/v1/models"), get("/v1/environments")]);
    models = new Map(listed.models.map((model) => [model.name, model]));
    environments = [...known.environments, ...withoutSimulator(listed.models)];
    byId("key-panel").hidden = true;
    const wanted = { first: !["environment", "scene"].some(address.get), shown: address.shown(), scene: address.get("scene") };
    const able = environments.find(({ planners }) => planners.length);
    fill(byId("environment"), environments.map(({ name }) => [name, name]), address.get("environment") ?? able?.name);
    choose();
    await ready();
    await bring(wanted);
  } catch (error) {
    light("bad", error.status === 401 ? "A key is needed" : "Not available");
    if (error.status !== 401) notice.show(error);
  }
}

// Worlds that the server only knows models of: start and goal are pictures that somebody brings.
function withoutSimulator(known) {
  const planners = known.filter(({ goal }) => goal === "embedding");
  const acting = known.filter(({ control }) => control?.some(({ objective }) => objective === "keypoints"));
  const names = (list) => list.map(({ name }) => name);
  if (!planners.length) return [];
  return [{ name: "your pictures", kind: "pictures", gallery: [], planners: names(planners), controllers: names(acting) }];
}

// Models are warmed up before they answer; asks until that is done.
async function ready() {
  for (;;) {
    try {
      await get("/readyz");
      return light("ready", `Ready, ${models.size} models`);
    } catch (error) {
      if (error.status !== 503) throw error;
      light("waiting", error.detail);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

// Makes again what the address says; whoever comes without finds a finished example.
async function bring({ first, shown, scene }) {
  if (chosen().kind === "pictures") return; // they cannot be made again from the address
  if (chosen().kind !== "push") {
    if (shown.has("clip") && foreseeing) await foresee.run();
    if (shown.has("loop")) await loop.run();
    return;
  }
  if (!plans.model || (scene === null && !first)) return;
  if (!(await scenes.render(first ? EXAMPLE : Number(scene)))) return;
  address.set({ environment: chosen().name });
  if (first || shown.has("plan")) await plans.run();
  if (plans.plan && shown.has("execute")) await execute.run();
}

function chosen() {
  return environments.find(({ name }) => name === byId("environment").value) ?? environments[0];
}

function choose() {
  const environment = chosen();
  const { kind } = environment;
  document.querySelectorAll("[data-for]").forEach((node) => (node.hidden = !node.dataset.for.split(" ").includes(kind)));
  fill(byId("planner"), environment.planners.map((name) => [name, name]), address.get("planner"));
  fill(byId("world-model"), environment.controllers.map((name) => [name, name]), address.get("model"));
  chooseModels(true);
}

// anew: everything is to be as models have it, whatever was chosen before.
function chooseModels(anew = false) {
  const environment = chosen();
  const world = models.get(byId("world-model").value) ?? null;
  useModel(world);
  if (environment.kind !== "dmc") {
    const planner = models.get(byId("planner").value);
    if (!planner) return notice.show(new Error("No planner is loaded: start the server with one, such as keyin-push."));
    if (environment.kind === "push") execute.use(environment, world, planner.limits.deadline_ms.max);
    if (anew || plans.model !== planner) plans.use(planner);
    scenes.use(environment, planner.image_size);
    return;
  }
  byId("dmc").hidden = !world;
  if (world) {
    // Control models act, and foresee no pictures.
    const every = [world, ...environment.controllers.map((name) => models.get(name))];
    foreseeing = every.find((model) => model?.kind === "world-model") ?? null;
    byId("clip-title").closest("section").hidden = !foreseeing;
    if (foreseeing) foresee.use(environment, foreseeing);
    loop.use(environment, world);
  } else {
    notice.show(new Error(`No model that acts in ${environment.name} is loaded.`));
  }
}

function light(state, words) {
  byId("server-light").className = `light ${state}`;
  byId("server-status").textContent = words;
}

byId("environment").addEventListener("change", () => {
  notice.clear();
  address.clear();
  rememberToggles();
  for (const form of document.forms) form.reset();
  choose();
  address.set({ environment: chosen().name });
  bring({ first: true, shown: new Set(), scene: null });
});
for (const [id, name] of [["planner", "planner"], ["world-model", "model"]]) {
  byId(id).addEventListener("change", ({ target }) => {
    address.set({ [name]: target.value });
    chooseModels();
  });
}
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(byId("key").value.trim());
  byId("key").value = "";
  start();
});
document.addEventListener("unauthorized", ({ detail }) => {
  byId("key-said").textContent = detail.sent ? "That key was refused." : "";
  key.set("");
  byId("key-panel").hidden = false;
  byId("key").focus();
});
// A file that is dropped beside the pictures would take the place of the page.
for (const event of ["dragover", "drop"]) document.addEventListener(event, (one) => one.preventDefault());
watchToggles();
start();
