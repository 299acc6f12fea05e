// The closed loop of pushing: what the robot does beside the subgoal it pursues.

import { stream } from "./api.js";
import { byId, short } from "./dom.js";
import { numbers } from "./notices.js";
import { Watch } from "./watch.js";
import { Work } from "./work.js";

export class ExecutePanel {
  constructor() {
    this.work = new Work("execute", () => this.run());
    const axes = { name: "Distance of the puck from its goal", x: "step", y: "distance, table units" };
    const request = () => ({ path: "/v1/episodes", body: this.request, plan: this.planned.request });
    this.watch = new Watch("execute", ["Executed", "Pursued"], axes, request);
  }

  // model: the world model that the learned servo looks ahead with; deadline: the longest there may be, in ms.
  use(environment, model, deadline) {
    Object.assign(this, { environment, model, deadline });
    const { servo } = this.work.form.elements;
    servo.options[0].disabled = !model;
    if (!model) servo.value = "simulator";
  }

  // plan: with the scene it is for; null: none.
  plan(plan) {
    this.planned = plan;
    this.path = plan ? [plan.start, ...plan.subgoals, plan.goal].map(({ object_position: puck }) => puck) : [];
    this.work.cancel();
    this.work.say("");
    this.watch.result.hidden = true;
    this.work.button.disabled = !plan;
    const scene = plan?.scene.seed === null ? "what the pictures show" : `seed ${plan?.scene.seed}`;
    byId("execute-hint").textContent = plan
      ? `The simulator is set up from ${scene}; the robot is driven through the ${plan.subgoals.length} subgoals.`
      : "Plan first; then the robot is driven through the subgoals.";
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
    this.distances = [];
    this.watch.begin();
    await this.work.run((signal) => this.#follow(signal));
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
    this.watch.add(this.#step(frame));
    this.distances.push([frame.step, frame.distance]);
    this.#plot();
  }

  #step({ step, image, subgoal }) {
    const pursued = this.planned.subgoals[subgoal];
    // The last keyframe stands for the goal, and the goal picture is better known.
    const last = !pursued || subgoal === this.planned.subgoals.length - 1;
    const target = last ? this.planned.goal.object_position : pursued.object_position;
    const name = last ? "goal" : `subgoal ${subgoal}`;
    return {
      x: step,
      pictures: [
        { image, label: `Executed, step ${step}`, target, path: this.path },
        {
          image: last ? this.planned.scene.goal.base64 : pursued.image,
          label: `Pursued at step ${step}: ${name}`,
          caption: `Pursued: ${name}`,
          puck: target,
        },
      ],
    };
  }

  #plot() {
    this.watch.plot([{ name: "distance", kind: "first", points: this.distances }], [0, 20]);
  }

  #result(episode, text) {
    this.watch.finish(`episode-${episode.digest.slice(0, 12)}`, text);
    this.work.say(verdict(episode));
  }
}

export const END = {
  deadline: " The deadline cut the episode.",
  cancelled: " The server is stopping and cut the episode.",
  diverged: " The simulation broke down.",
};

function verdict({ success, strict_success: strict, distance, initial_distance: before, steps, stop_reason: reason }) {
  const grade = success ? (strict ? "Success, also by the strict measure" : "Success") : "No success";
  const cut = END[reason] ?? "";
  return `${grade}: the puck is ${short(distance)} from its goal after ${steps} steps, ${short(before)} at the start.${cut}`;
}
