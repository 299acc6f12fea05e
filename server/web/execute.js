// The closed loop of pushing: what the robot does beside the subgoal it pursues.

import { address } from "./address.js";
import { stream } from "./api.js";
import { way } from "./compare.js";
import { byId, element, short } from "./dom.js";
import { numbers } from "./notices.js";
import { Watch } from "./watch.js";
import { Work } from "./work.js";

// Table units, as in the reply's success and strict_success.
const [SUCCESS, STRICT_SUCCESS] = [0.3, 0.15];
const LEVELS = [
  { name: `success: below ${SUCCESS.toFixed(2)}`, y: SUCCESS },
  { name: `strict: below ${STRICT_SUCCESS.toFixed(2)}`, y: STRICT_SUCCESS },
];

export class ExecutePanel {
  // executed(plan, words) is told how it ended; another() plans with another seed.
  constructor({ executed, another }) {
    Object.assign(this, { executed, another });
    this.work = new Work("execute", () => this.run());
    const axes = { name: "Distance of the puck from its goal", x: "step", y: "distance, table units" };
    const request = () => ({ path: "/v1/episodes", body: this.request, plan: this.planned.request, named: this.planned.named });
    this.watch = new Watch("execute", ["Executed", "Pursued"], axes, request);
    this.advice = byId("execute-advice");
  }

  // model: the world model that the learned servo looks ahead with; deadline: the longest there may be, in ms.
  use(environment, model, deadline) {
    Object.assign(this, { environment, model, deadline });
    const { servo } = this.work.form.elements;
    this.work.restore();
    servo.options[0].disabled = !model;
    if (!model) servo.value = "simulator";
  }

  // plan: with the scene it is for; null: none.
  plan(plan) {
    this.planned = plan;
    address.show("execute", false);
    this.work.cancel();
    this.work.say("");
    this.advice.hidden = true;
    this.watch.result.hidden = true;
    this.work.button.disabled = !plan;
    byId("execute-hint").textContent = plan ? announced(plan) : "Plan first; then the robot is driven through the subgoals.";
  }

  async run() {
    const settings = numbers(this.work.form);
    if (!settings || !this.planned) return;
    const { start, goal, seed } = this.planned.scene;
    const servo = this.work.form.elements.servo.value;
    this.request = {
      environment: this.environment.name,
      ...(seed === null ? { start: start.base64, goal: goal.base64 } : { seed }),
      plan: this.planned.id,
      servo,
      ...(servo === "learned" ? { model: this.model.name } : {}),
      ...settings,
      deadline_ms: this.deadline,
    };
    Object.assign(this, { distances: [], trail: [], marks: [] });
    this.advice.hidden = true;
    this.watch.begin();
    await this.work.run((signal) => this.#follow(signal));
    this.watch.end();
  }

  async #follow(signal) {
    this.work.say("Setting up the simulator …");
    for await (const { event, data, text } of stream("/v1/episodes", this.request, signal)) {
      if (event === "queued" && data.predicted_wait_ms > 50) this.work.say("Waiting for others …");
      if (event === "frame") this.#frame(data);
      if (event === "result") this.#result(data, text);
    }
  }

  #frame(frame) {
    if (frame.step === 0) this.work.say("Driving …");
    const { name } = this.#pursued(frame);
    if (this.marks.at(-1)?.name !== name) this.marks.push({ name, x: Math.max(0, frame.step - 1) });
    if (frame.object_position) this.trail = [...this.trail, frame.object_position];
    this.watch.add(this.#step(frame));
    this.distances.push([frame.step, frame.distance]);
    this.watch.plot([{ name: "distance", kind: "first", points: this.distances }], {
      xs: [0, 20],
      levels: LEVELS,
      marks: this.marks,
    });
  }

  // What a step is after. The last keyframe stands for the goal, and the goal picture is better known.
  #pursued({ subgoal }) {
    const { subgoals, scene, goal } = this.planned;
    const pursued = subgoals[subgoal];
    return !pursued || subgoal === subgoals.length - 1
      ? { name: "goal", title: "goal", image: scene.goal.base64, place: goal.object_position }
      : { name: String(subgoal), title: `subgoal ${subgoal}`, image: pursued.image, place: pursued.object_position };
  }

  #step(frame) {
    const { title, image, place } = this.#pursued(frame);
    const paths = [{ points: way(this.planned), kind: "path" }, { points: this.trail, kind: "trail" }];
    return {
      x: frame.step,
      pictures: [
        { image: frame.image, label: `Executed, step ${frame.step}`, target: place, paths },
        { image, label: `Pursued at step ${frame.step}: ${title}`, caption: `Pursued: ${title}`, puck: place },
      ],
    };
  }

  #result(episode, text) {
    this.watch.finish(`episode-${episode.digest.slice(0, 12)}`, text);
    // Neither uploads nor alternatives can be made again from the address.
    if (this.planned.scene.seed !== null && !this.planned.named) address.show("execute");
    const words = verdict(episode);
    this.work.say(words, episode.success ? "good" : "bad");
    this.executed(this.planned, `${episode.success ? "success" : "no success"}, ${short(episode.distance)} from the goal`);
    if (!episode.success) this.#advise(episode);
  }

  // What to try, and why.
  #advise({ servo, pursued, subgoals, steps, stop_reason: reason }) {
    const last = pursued.at(-1) ?? 0;
    const aim = last < subgoals.length - 1 ? `subgoal ${last} of ${subgoals.length}` : "the goal";
    const where = reason === "steps" ? `All ${steps} steps were used; the last ones were after ${aim}.` : "";
    const act = (name, words, todo) =>
      element("li", {}, element("button", { type: "button", onclick: todo }, name), ` ${words}`);
    const physics = () => {
      this.work.enter("servo", "simulator");
      this.run();
    };
    this.advice.replaceChildren(
      element("p", {}, `${where} What to try:`.trim()),
      element(
        "ul", {},
        act("Another plan", "the same search with another seed, to be compared with this plan.", () => this.another()),
        servo === "learned" ? act("True physics", "a servo that knows the world: is it the plan, or the model?", physics) : null,
      ),
    );
    this.advice.hidden = false;
  }
}

export const END = {
  deadline: " The deadline cut the episode.",
  cancelled: " The server is stopping and cut the episode.",
  diverged: " The simulation broke down.",
};

function announced({ scene, model, seed, subgoals }) {
  const source = scene.seed === null ? "what the pictures show" : `seed ${scene.seed}`;
  return (
    `The simulator is set up from ${source}; the robot is driven through the ${subgoals.length} subgoals that ` +
    `${model.name} planned with seed ${seed}.`
  );
}

function verdict({ success, strict_success: strict, distance, initial_distance: before, steps, stop_reason: reason }) {
  const grade = success ? (strict ? "Success, also by the strict measure" : "Success") : "No success";
  const cut = END[reason] ?? "";
  const needed = success ? "" : `, and ${SUCCESS.toFixed(2)} would do`;
  return (
    `${grade}: the puck is ${short(distance)} from its goal after ${steps} steps, ` +
    `${short(before)} at the start${needed}.${cut}`
  );
}
