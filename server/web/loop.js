// The closed loop of a DM Control task: actions chosen by the reward that a model predicts, or by its value.

import { address } from "./address.js";
import { post, stream } from "./api.js";
import { Chart } from "./chart.js";
import { byId, short } from "./dom.js";
import { END } from "./execute.js";
import { numbers } from "./notices.js";
import { Watch } from "./watch.js";
import { Work } from "./work.js";

export class LoopPanel {
  constructor() {
    this.work = new Work("loop", () => this.run());
    const axes = { name: "Reward, true and predicted", x: "step", y: "reward per step" };
    const request = () => ({ path: "/v1/episodes", body: this.request });
    this.watch = new Watch("loop", ["Executed"], axes, request);
    const value = { name: "Value, forecast and what came", x: "step", y: "discounted rewards to come" };
    this.value = new Chart(byId("loop-value-chart"), value);
  }

  use(environment, model) {
    Object.assign(this, { environment, model });
    this.work.cancel();
    this.work.say("");
    this.watch.result.hidden = true;
    address.show("loop", false);
    const { steps } = this.work.form.elements;
    steps.max = environment.steps;
    steps.value = Math.min(100, environment.steps);
    this.work.restore();
    byId("loop-hint").textContent = explained(environment);
  }

  async run() {
    const settings = numbers(this.work.form);
    if (!settings) return;
    const { name } = this.environment;
    const deadline = this.model.limits.deadline_ms.max;
    this.request = { environment: name, model: this.model.name, ...settings, deadline_ms: deadline };
    this.rewards = [];
    byId("loop-value").hidden = true;
    this.watch.begin();
    await this.work.run((signal) => this.#follow(signal));
    this.watch.end();
  }

  async #follow(signal) {
    this.work.say("Setting up the simulator …");
    for await (const { event, data, text } of stream("/v1/episodes", this.request, signal)) {
      if (event === "queued" && data.predicted_wait_ms > 50) this.work.say("Waiting for others …");
      if (event === "frame") this.#frame(data);
      if (event === "result") await this.#result(data, text, signal);
    }
  }

  #frame({ step, image, reward }) {
    if (step === 0) this.work.say("Driving …");
    this.watch.add({ x: step, pictures: [{ image, label: `Executed, step ${step}` }] });
    this.rewards.push([step, reward]);
    this.#plot([]);
  }

  #plot(predicted) {
    const curves = [{ name: "true", kind: "second", points: this.rewards }];
    if (predicted.length) curves.push({ name: `predicted, ${this.#ahead()} steps at a time`, kind: "first", points: predicted });
    this.watch.plot(curves, { xs: [0, this.request.steps], levels: rewardLevels(this.environment) });
  }

  async #result(episode, text, signal) {
    this.watch.finish(`episode-${episode.digest.slice(0, 12)}`, text);
    address.show("loop");
    if (episode.forecast) this.#foretold(episode);
    if (this.model.kind === "world-model") {
      this.work.say("Predicting rewards …");
      this.#plot(await this.#predict(episode, signal));
    }
    this.work.say(...verdict(episode, this.environment));
  }

  #foretold({ forecast, rewards, discount }) {
    byId("loop-value").hidden = false;
    const points = (values) => values.map((value, step) => [step, value]);
    const came = discounted(rewards, discount, forecast);
    const curves = [
      { name: "forecast", kind: "first", points: points(forecast) },
      { name: "what came", kind: "second", points: points(came) },
    ];
    this.value.draw(curves, { xs: [0, this.request.steps] });
  }

  #ahead() {
    const { horizon } = this.model.tasks.find(({ name }) => name === this.environment.name) ?? { horizon: 1 };
    return Math.min(horizon, this.model.limits.steps.max);
  }

  // What the model expected while it acted: from frames that it had seen, as far ahead as it looks.
  async #predict({ frames, actions }, signal) {
    const points = [];
    const ahead = this.#ahead();
    for (let from = 0; from < actions.length; from += ahead) {
      const first = Math.max(0, from + 1 - this.model.limits.frames.max);
      const { data } = await post("/v1/rewards", {
        model: this.model.name,
        task: this.environment.name,
        frames: frames.slice(first, from + 1),
        past_actions: actions.slice(first, from),
        actions: [actions.slice(from, from + ahead)],
      }, signal);
      data.rewards[0].forEach((reward, index) => points.push([from + index + 1, reward]));
    }
    return points;
  }
}

// At every step the rewards from then on, each worth discount times the one before; the last forecast stands for all
// that comes after the last step but one.
export function discounted(rewards, discount, forecast) {
  const came = [...forecast];
  for (let step = came.length - 2; step >= 0; step -= 1) came[step] = rewards[step] + discount * came[step + 1];
  return came;
}

// Mean rewards per step of whole episodes, to compare with.
export function rewardLevels({ returns, steps }) {
  const known = Object.entries({ random: returns?.random, simulator: returns?.simulator });
  return known
    .filter(([, total]) => typeof total === "number")
    .map(([name, total]) => ({ name: `${name}, mean: ${short(total / steps)}`, y: total / steps }));
}

function explained({ action_repeat: repeat, steps, returns }) {
  const held =
    `An action is held for ${repeat} control steps of the simulator, each of which pays 0 to 1: a step here pays up to ` +
    `${repeat}, and ${steps} steps are an episode of ${steps * repeat} control steps.`;
  if (!returns) return held;
  const best = returns.simulator === null ? "" : `, a search in the simulator itself ${short(returns.simulator)}`;
  return `${held} In whole episodes random actions earn ${short(returns.random)}${best}; the chart has both per step.`;
}

function verdict({ rewards, steps, stop_reason: reason }, environment) {
  const total = rewards.reduce((sum, reward) => sum + reward, 0);
  const words = `Return ${short(total)} in ${steps} steps, ${short(total / steps)} per step`;
  const { returns } = environment;
  const end = END[reason] ?? "";
  if (!returns) return [`${words}.${end}`];
  const times = total / steps / (returns.random / environment.steps);
  const better = times > 1;
  const advice = better ? "" : " Try another world model, or more steps: a start may be slow.";
  return [`${words}, ${short(times)} times what random actions earn.${advice}${end}`, better ? "good" : "bad"];
}
