// Planning: settings and what they cost, the search as it runs, the strip of subgoals.

import { address } from "./address.js";
import { post, stream } from "./api.js";
import { corrections } from "./calibration.js";
import { Chart } from "./chart.js";
import { Comparison } from "./compare.js";
import { byId, element, facts, saveText, seconds, short } from "./dom.js";
import { expect, showMarked, unmark } from "./marks.js";
import { numbers } from "./notices.js";
import { PictureView, SUBGOAL_RADIUS } from "./pictures.js";
import { copyButtons } from "./snippet.js";
import { Work } from "./work.js";

const LIMITED = ["samples", "iterations", "deadline_ms"];
const ALTERNATIVES = 3;

export class PlanPanel {
  // planned(plan or null, at once) is told what can be executed now, and whether it is to be.
  constructor(scenes, planned) {
    Object.assign(this, { scenes, planned });
    this.work = new Work("plan", () => this.run(), scenes.views);
    this.chart = new Chart(byId("plan-chart"), { name: "Cost of the search", x: "iteration", y: "cost, pixels" });
    this.spread = new Chart(byId("spread-chart"), {
      name: "Spread of the search", x: "iteration", y: "spread of the elite, σ of the latents", height: 140,
    });
    this.comparison = new Comparison((plan) => this.#follow(plan));
    this.work.form.addEventListener("input", () => this.#estimate());
    byId("plan-again").addEventListener("click", () => this.another());
    byId("plan-others").addEventListener("click", () => this.work.run((signal) => this.#askForOthers(signal)));
    byId("plan-json").addEventListener("click", () => saveText(this.text, `plan-${this.plan.digest.slice(0, 12)}.json`));
    copyButtons(byId("plan-result"), () => ({ path: "/v1/plans", body: this.request }));
  }

  // info: a planner of GET /v1/models.
  use(info) {
    this.model = info;
    this.unit = info.goal === "embedding" ? "" : " px";
    this.chart.rename(this.unit ? "cost, pixels" : "cost, squared moves of a frame");
    for (const name of LIMITED) {
      const field = this.work.form.elements[name];
      Object.assign(field, { min: info.limits[name].min, max: info.limits[name].max });
      field.value = info.defaults[name];
    }
    this.#offerKeyframes(info);
    this.work.restore();
    this.#estimate();
    this.forget();
  }

  // Nothing to choose where a model always plans as many.
  #offerKeyframes({ keyframes, chooses_keyframes: chooses, limits }) {
    const { min, max } = limits.keyframes;
    const counts = Array.from({ length: max - min }, (_, index) => [String(min + index), String(min + index)]);
    const choices = [["", `${keyframes}`], ...(chooses ? [["auto", "as few as it takes"]] : []), ...counts.reverse()];
    const select = this.work.form.elements.keyframes;
    select.replaceChildren(...choices.map(([value, text]) => element("option", { value }, text)));
    select.closest("label").hidden = min === max;
  }

  // Keyframes of the plan as they are asked for: a number, "auto", or nothing.
  #keyframes() {
    const { value } = this.work.form.elements.keyframes;
    return value === "" ? {} : { keyframes: value === "auto" ? value : Number(value) };
  }

  // The most that the plan will have.
  #deepest() {
    return Number(this.#keyframes().keyframes) || this.model.keyframes;
  }

  // Start or goal are others now.
  begin() {
    this.forget();
    this.comparison.clear();
  }

  // The pictures show nothing to plan for.
  refuse() {
    this.work.say("Not planned: a picture was refused. Upload another one, or choose a scene.", "bad");
  }

  // Start, goal or model are others now.
  forget() {
    address.show("plan", false);
    this.work.cancel();
    this.work.say("");
    this.plan = null;
    byId("plan-result").hidden = true;
    this.planned(null);
  }

  // The same search with other random numbers, to be compared.
  async another() {
    const { seed } = this.work.form.elements;
    this.work.enter("seed", (seed.valueAsNumber || 0) + 1);
    await this.run();
  }

  async run() {
    const settings = numbers(this.work.form);
    const { start, goal } = this.scenes.scene;
    if (!start || !goal) {
      const missing = start ? "a goal" : goal ? "a start" : "a start and a goal";
      this.work.notice.show(new Error(`Choose ${missing} picture first: render a scene, or upload.`));
      return;
    }
    if (!settings) return;
    this.request = { model: this.model.name, start: start.base64, goal: goal.base64, ...settings, ...this.#keyframes() };
    this.#begin(start, goal);
    await this.work.run((signal) => this.#search(signal));
    // What has nothing to show does not stay.
    if (!this.history.length && !this.plan) byId("plan-result").hidden = true;
  }

  async #search(signal) {
    this.work.say("Sent.");
    for await (const { event, data, text } of stream("/v1/plans", this.request, signal)) {
      if (event === "queued") this.#queued(data);
      if (event === "iteration") this.#iteration(data);
      if (event === "subgoal") this.#subgoal(data);
      if (event === "result") this.#result(data, text);
    }
  }

  #begin(start, goal) {
    this.plan = null;
    this.planned(null);
    this.history = [];
    this.chart.draw([]);
    this.spread.draw([]);
    facts(byId("plan-facts"), []);
    byId("plan-json").disabled = byId("plan-others").disabled = true;
    const names = Array.from({ length: this.#deepest() }, (_, index) => `Subgoal ${index}`);
    this.subgoals = names.map((name) => new PictureView(name, this.model.image_size));
    const [first, last] = [new PictureView("Start"), new PictureView("Goal")];
    const views = [first, ...this.subgoals, last];
    byId("strip").replaceChildren(...views.map(({ node }) => element("li", {}, node)));
    this.subgoals.forEach((view, index) => unmark(view, `${names[index]}: searching`));
    this.ends = [first, last];
    showMarked(first, start.base64, "Start");
    showMarked(last, goal.base64, "Goal");
    byId("plan-result").hidden = false;
  }

  #queued({ predicted_wait_ms: wait }) {
    this.work.say(wait > 50 ? `Waiting for others, about ${seconds(wait)} …` : "Searching …");
  }

  #iteration(step) {
    this.history.push(step);
    if (step.iteration === 1) this.work.say(`Searching, ${step.iterations} iterations …`);
    this.#draw(step.iterations);
    facts(byId("plan-facts"), [
      ["iteration", `${step.iteration} of ${step.iterations}`],
      ["cheapest candidate", `${short(step.best_cost)}${this.unit}`],
      ["elapsed", seconds(step.elapsed_ms)],
    ]);
  }

  #draw(iterations) {
    const along = (name) => this.history.map((step) => [step.iteration, step[name]]);
    const curves = [
      { name: "mean of all", kind: "second", points: along("mean_cost") },
      { name: "cheapest candidate", kind: "first", points: along("best_cost") },
    ];
    if (this.plan) {
      curves.push({ name: "chosen plan", kind: "chosen", points: [[this.plan.iterations_run, this.plan.cost]] });
    }
    this.chart.draw(curves, { xs: [1, iterations] });
    this.spread.draw([{ name: "σ", kind: "first", points: along("elite_std") }], { xs: [1, iterations] });
  }

  #subgoal({ index, step, image, iteration }) {
    const view = this.subgoals[index];
    view.caption.textContent = `step ${Math.round(step)}`;
    showMarked(view, image, `Subgoal ${index} after iteration ${iteration}`);
  }

  #result(plan, text, execute = false) {
    Object.assign(this, { plan, text });
    // As few as it takes: what was kept free for more is not needed.
    this.subgoals.splice(plan.subgoals.length).forEach(({ node }) => node.closest("li").remove());
    plan.subgoals.forEach(({ image, step, index, object_position: puck, whole }) => {
      const view = this.subgoals[index];
      const after = index > plan.ends_at;
      view.caption.textContent = after ? "after the goal" : `step ${Math.round(step)}${whole ? "" : " · blurred"}`;
      showMarked(view, image, `Subgoal ${index}, step ${Math.round(step)}`, { puck });
    });
    const { start, goal } = this.scenes.scene;
    const corrected = corrections(plan.calibration);
    const how = corrected ? ", as the model sees it" : "";
    const [first, last] = plan.seen ? [plan.seen.start, plan.seen.goal] : [start.base64, goal.base64];
    showMarked(this.ends[0], first, `Start${how}`, { puck: plan.start.object_position });
    showMarked(this.ends[1], last, `Goal${how}`, { puck: plan.goal.object_position });
    if (corrected) this.ends.forEach(({ caption }) => (caption.textContent += how));
    this.scenes.seen(plan);
    this.#draw(plan.iterations);
    expect([first, last, ...plan.subgoals.map(({ image }) => image)]);
    facts(byId("plan-facts"), [
      ["chosen plan", `${short(plan.cost)}${this.unit}`],
      ["cheapest candidate", `${short(plan.cost_history.at(-1))}${this.unit}`],
      ["iterations", `${plan.iterations_run} of ${plan.iterations}${stopped(plan.stop_reason)}`],
      ["waiting, planning", `${seconds(plan.timings.queue_ms)}, ${seconds(plan.timings.plan_ms)}`],
      ...(corrected ? [["corrected", corrected]] : []),
      ["seed", plan.seed],
      ["model", `${plan.model.name}, ${plan.model.sha256.slice(0, 12)}`],
      ["digest", plan.digest.slice(0, 12)],
      ["request", plan.request_id],
    ]);
    byId("plan-json").disabled = byId("plan-others").disabled = false;
    const made = { ...plan, unit: this.unit, text, scene: this.scenes.scene, request: this.request, history: this.history };
    if (made.scene.seed !== null) address.show("plan"); // uploads cannot be made again
    this.work.say(...(this.unit ? verdict : arrival)(plan));
    this.made = made;
    this.comparison.add(made);
    this.planned(made, execute);
  }

  // The same request brings the same plan, and other plans of its search beside it.
  async #askForOthers(signal) {
    const { made } = this;
    const request = { ...made.request, alternatives: ALTERNATIVES };
    const { data, text } = await post("/v1/plans", request, signal);
    const others = data.alternatives.map(({ id, subgoals, cost, ends_at }, index) => ({
      ...made, text, request, id, digest: id, subgoals, cost, ends_at, named: `plan.response.alternatives[${index}].id`,
    }));
    if (others.length) return this.comparison.add({ ...made, request }, ...others);
    this.work.say("The search has no other plan that is as plausible: try more samples, or another seed.");
  }

  // A plan of the comparison takes the place of the last one, and is executed.
  #follow(made) {
    this.work.cancel();
    const planner = byId("planner");
    if (planner.value !== made.model.name) {
      planner.value = made.model.name;
      planner.dispatchEvent(new Event("change"));
    }
    for (const name of [...LIMITED, "seed"]) this.work.enter(name, made.request[name]);
    this.work.enter("keyframes", made.request.keyframes ?? "");
    this.#estimate();
    this.request = made.request;
    this.#begin(made.scene.start, made.scene.goal);
    this.history = made.history;
    this.#result(made, made.text, true);
  }

  #estimate() {
    const { samples, iterations } = this.work.form.elements;
    const [wide, long, deep] = [samples.valueAsNumber || 0, iterations.valueAsNumber || 0, this.#deepest()];
    const [work, limit] = [wide * deep * long, this.model.limits.work];
    byId("plan-work").textContent =
      `${wide} samples × ${deep} keyframes × ${long} iterations = ${short(work)} frames imagined, ` +
      `${Math.round((100 * work) / limit)} % of the limit`;
    byId("plan-work").classList.toggle("over", work > limit);
    Object.assign(byId("plan-meter"), { max: 1, high: 0.8, value: Math.min(1, work / limit) });
  }
}

// In words, and "good" or "bad"; what makes a plan doubtful comes last.
function verdict({ cost, subgoals, timings, warnings }) {
  const done = `Planned in ${seconds(timings.total_ms)}:`;
  const more = "Try more samples or iterations, or another seed.";
  if (cost === null) return [`${done} no candidate shows where the puck would end. ${more}`, "bad"];
  const end = `${subgoals.length} subgoals, the last one ${short(cost)} pixels from the goal.`;
  const far = cost > SUBGOAL_RADIUS ? [`That is too far to count as reached. ${more}`] : [];
  return [[done, end, ...far, ...warnings].join(" "), far.length || warnings.length ? "bad" : "good"];
}

// The same of plans whose cost is no distance in the picture.
function arrival({ cost, ends_at: end, subgoals, timings, warnings }) {
  const done = `Planned in ${seconds(timings.total_ms)}:`;
  if (cost === null) return [`${done} no candidate has a cost. Try more samples or iterations, or another seed.`, "bad"];
  const step = Math.round(subgoals[end].step);
  return [[done, `the goal is reached at subgoal ${end}, in ${step} steps.`, ...warnings].join(" "), warnings.length ? "bad" : "good"];
}

function stopped(reason) {
  if (reason === "deadline") return ", cut by the deadline";
  return reason === "cancelled" ? ", the server was stopping" : "";
}
