// The closed loop of a DM Control task: actions chosen by the reward that a world model predicts.

import { stream } from "./api.js";
import { short } from "./dom.js";
import { END } from "./execute.js";
import { numbers } from "./notices.js";
import { Watch } from "./watch.js";
import { Work } from "./work.js";

export class LoopPanel {
  constructor() {
    this.work = new Work("loop", () => this.run());
    const axes = { name: "True reward", x: "step", y: "reward" };
    const request = () => ({ path: "/v1/episodes", body: this.request });
    this.watch = new Watch("loop", ["Executed"], axes, request);
  }

  use(environment, model) {
    Object.assign(this, { environment, model });
    this.work.cancel();
    this.work.say("");
    this.watch.result.hidden = true;
    const { steps } = this.work.form.elements;
    steps.max = environment.steps;
    steps.value = Math.min(100, environment.steps);
  }

  async run() {
    const settings = numbers(this.work.form);
    if (!settings) return;
    const { name } = this.environment;
    const deadline = this.model.limits.deadline_ms.max;
    this.request = { environment: name, model: this.model.name, ...settings, deadline_ms: deadline };
    this.rewards = [];
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

  #frame({ step, image, reward }) {
    if (step === 0) this.work.say("Driving …");
    this.watch.add({ x: step, pictures: [{ image, label: `Executed, step ${step}` }] });
    this.rewards.push([step, reward]);
    this.watch.plot([{ name: "true reward", kind: "first", points: this.rewards }], [0, this.request.steps]);
  }

  #result({ rewards, steps, stop_reason: reason, digest }, text) {
    this.watch.finish(`episode-${digest.slice(0, 12)}`, text);
    const total = rewards.reduce((sum, reward) => sum + reward, 0);
    this.work.say(`Return ${short(total)} in ${steps} steps, ${short(total / steps)} per step.${END[reason] ?? ""}`);
  }
}
