// Plans of one scene side by side: where their ways part, what they cost, what came of following them.

import { Chart } from "./chart.js";
import { byId, element, facts, fill, seconds, short } from "./dom.js";
import { showMarked } from "./marks.js";
import { PictureView } from "./pictures.js";

const SIDES = ["first", "second"];
const MOST = 12; // plans that are kept

export class Comparison {
  // follow(plan) makes a plan the one that is executed.
  constructor(follow) {
    this.both = new PictureView("Both ways, the second one dashed");
    byId("compare-both").replaceChildren(this.both.node);
    const axes = {
      name: "Cheapest candidates of both searches", x: "iteration", y: "cost of the cheapest candidate", height: 190,
    };
    this.chart = new Chart(byId("compare-chart"), axes);
    this.sides = SIDES.map((side) => new Side(side, () => this.#draw(), follow));
    this.clear();
  }

  // The scene is another one now.
  clear() {
    this.made = [];
    this.count = 0;
    byId("compare").hidden = true;
  }

  // alternatives: other plans of the same search. The same plan made again is no other one.
  add(plan, ...alternatives) {
    const before = this.made.length;
    const entry = this.#entry(plan, () => `Plan ${(this.count += 1)}`);
    const others = alternatives.map((other, index) => this.#entry(other, () => `${entry.name}, alternative ${index + 1}`));
    if (this.made.length < 2 || this.made.length === before) return;
    const pair = others.length ? [entry, others[0]] : this.made.slice(-2);
    this.made = this.made.filter((one, index) => index >= this.made.length - MOST || pair.includes(one));
    this.sides.forEach((side, index) => side.offer(this.made, pair[index]));
    byId("compare").hidden = false;
    this.#draw();
  }

  // What came of following a plan.
  executed(plan, outcome) {
    const entry = this.made.find((one) => one.plan.digest === plan.digest);
    if (entry) entry.outcome = outcome;
    if (this.made.length > 1) this.sides.forEach((side) => side.show());
  }

  #entry(plan, name) {
    const known = this.made.find((one) => one.plan.digest === plan.digest);
    const entry = known ?? { name: name(), plan, outcome: null };
    if (!known) this.made.push(entry);
    return entry;
  }

  #draw() {
    this.sides.forEach((side) => side.show());
    const entries = this.sides.map(({ entry }) => entry);
    const { scene, start, goal } = entries[0].plan;
    const paths = entries.map(({ plan }, index) => ({ points: way(plan), kind: `way ${SIDES[index]}` }));
    const marks = { puck: start.object_position, target: goal.object_position, paths };
    showMarked(this.both, scene.start.base64, `Start with the ways of ${entries.map(({ name }) => name).join(" and ")}`, marks);
    const curves = entries.map(({ name, plan }, index) => ({
      name, kind: SIDES[index], points: plan.cost_history.map((cost, i) => [i + 1, cost]),
    }));
    this.chart.draw(curves);
    // Plans of one search share its curve.
    byId("compare-chart").hidden = entries[0].plan.cost_history === entries[1].plan.cost_history;
  }
}

class Side {
  constructor(side, changed, follow) {
    this.select = element("select", { onchange: () => this.#choose(changed) });
    this.strip = element("ol", { class: "strip", tabindex: 0, "aria-label": `Subgoals of the ${side} plan` });
    this.facts = element("dl", { class: "facts" });
    this.button = element("button", { type: "button", onclick: () => follow(this.entry.plan) });
    const label = element("label", { class: side }, `The ${side} `, this.select);
    byId(`compare-${side}`).replaceChildren(label, this.strip, this.facts, element("div", { class: "actions" }, this.button));
  }

  offer(made, entry) {
    Object.assign(this, { made, entry });
    fill(this.select, made.map(({ name, plan }, index) => [String(index), `${name}: ${plan.model.name}, seed ${plan.seed}`]));
    this.select.value = String(made.indexOf(entry));
  }

  show() {
    const { plan, outcome } = this.entry;
    const views = plan.subgoals.map(({ step }) => new PictureView(`step ${Math.round(step)}`));
    this.strip.replaceChildren(...views.map(({ node }) => element("li", {}, node)));
    plan.subgoals.forEach(({ image, index, object_position: puck }, i) =>
      showMarked(views[i], image, `Subgoal ${index}`, { puck }));
    this.button.textContent = plan.unit ? "Execute this plan" : "Show this plan";
    facts(this.facts, [
      ...(plan.unit ? inPixels(plan) : [["cost", short(plan.cost)], ["goal", `in ${Math.round(plan.subgoals[plan.ends_at].step)} steps`]]),
      ["whole pictures", `${plan.subgoals.filter(({ whole }) => whole).length} of ${plan.subgoals.length}`],
      ["search", `${plan.samples} samples × ${plan.iterations_run} iterations, ${seconds(plan.timings.plan_ms)}`],
      ...(plan.unit ? [["executed", outcome ?? "not yet"]] : []),
    ]);
  }

  #choose(changed) {
    this.entry = this.made[Number(this.select.value)];
    changed();
  }
}

// Of plans for something that is seen in the pictures.
function inPixels(plan) {
  return [
    ["last subgoal", plan.cost === null ? "shows no puck" : `${short(plan.cost)} px from the goal`],
    ["length of the way", `${short(lengthOf(way(plan)))} px in ${Math.round(plan.subgoals.at(-1).step)} steps`],
  ];
}

// Where a plan wants the puck, from start to goal: [{x, y}, ...].
export function way({ start, subgoals, goal }) {
  return [start, ...subgoals, goal].map(({ object_position: puck }) => puck).filter(Boolean);
}

function lengthOf(points) {
  return points.slice(1).reduce((total, { x, y }, i) => total + Math.hypot(x - points[i].x, y - points[i].y), 0);
}
