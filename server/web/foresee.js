// A recorded clip of a DM Control task beside what a world model makes of its actions: rewards and pictures.

import { address } from "./address.js";
import { post } from "./api.js";
import { byId, element, short } from "./dom.js";
import { rewardLevels } from "./loop.js";
import { numbers } from "./notices.js";
import { Watch } from "./watch.js";
import { Work } from "./work.js";

export class ForeseePanel {
  constructor() {
    this.work = new Work("clip", () => this.run());
    const axes = { name: "Reward, true and predicted", x: "step", y: "reward per step" };
    const request = () => ({ path: "/v1/rewards", body: this.request });
    this.watch = new Watch("clip", ["Recorded", "Imagined"], axes, request);
    this.work.form.elements.context.addEventListener("input", () => this.#limit());
  }

  // model: a world model with a reward head for the environment.
  use(environment, model) {
    Object.assign(this, { environment, model });
    this.work.cancel();
    this.work.say("");
    this.watch.result.hidden = true;
    address.show("clip", false);
    this.work.restore();
    this.#limit();
    byId("clip-gallery").replaceChildren(
      ...environment.gallery.map((seed) => {
        const take = () => {
          this.work.enter("seed", seed);
          this.run();
        };
        return element("li", {}, element("button", { type: "button", onclick: take }, `seed ${seed}`));
      }),
    );
  }

  async run() {
    const settings = numbers(this.work.form);
    if (!settings) return;
    const { seed, steps, context } = settings;
    if (context > steps) {
      this.work.notice.show(new Error("Record more steps than there are frames seen: nothing is left to foresee."));
      return;
    }
    this.request = null;
    this.watch.begin();
    await this.work.run((signal) => this.#foresee({ seed, steps, context }, signal));
    this.watch.end();
  }

  // The model looks ahead so many steps from the last frame that it sees.
  #limit() {
    const { context, steps } = this.work.form.elements;
    context.max = this.model.limits.frames.max;
    steps.max = this.model.limits.steps.max + (context.valueAsNumber || 1) - 1;
  }

  async #foresee({ seed, steps, context }, signal) {
    this.work.say("Recording …");
    const environment = this.environment.name;
    const { data: clip } = await post("/v1/clips", { environment, seed, steps }, signal);
    this.clip = clip;
    this.watch.add(...clip.frames.map((image, step) => recorded(image, step, context)));
    this.watch.player.to(0);
    this.#plot(context, []);
    this.work.say("Predicting rewards …");
    const seen = { frames: clip.frames.slice(0, context), past_actions: clip.actions.slice(0, context - 1) };
    const actions = clip.actions.slice(context - 1);
    this.request = { model: this.model.name, task: environment, ...seen, actions: [actions] };
    const { data: reply, text } = await post("/v1/rewards", this.request, signal);
    this.#plot(context, reply.rewards[0]);
    this.work.say("Imagining pictures …");
    const { data: imagined } = await post("/v1/predictions", { model: this.model.name, ...seen, actions }, signal);
    this.#imagine(imagined, context);
    this.watch.finish(`rewards-${environment}-${seed}`, text);
    address.show("clip");
    this.work.say(verdict(clip.rewards.slice(context - 1), reply.rewards[0], context));
  }

  #imagine({ context: before, samples: [future] }, context) {
    this.watch.steps.forEach(({ pictures }, step) => {
      const [real] = pictures;
      const ahead = step - context;
      pictures[1] = ahead < 0
        ? { image: real.image, label: `Seen by the model, step ${step}`, caption: "Seen by the model", keypoints: before[step] }
        : { image: future.frames[ahead], label: `Imagined, step ${step}`, caption: "Imagined", keypoints: future.keypoints[ahead] };
    });
    this.watch.player.to(this.watch.player.index);
  }

  #plot(context, predicted) {
    const { rewards } = this.clip;
    const curves = [{ name: "true", kind: "second", points: rewards.map((reward, index) => [index + 1, reward]) }];
    if (predicted.length) {
      const points = predicted.map((reward, index) => [index + context, reward]);
      curves.push({ name: "predicted", kind: "first", points });
    }
    this.watch.plot(curves, { xs: [0, rewards.length], levels: rewardLevels(this.environment) });
  }
}

function recorded(image, step, context) {
  const label = `Recorded, step ${step}`;
  const waiting = { image: null, label: "Imagined: not yet", caption: "Imagined" };
  return { x: step, pictures: [{ image, label }, step < context ? { ...waiting, image, caption: "Seen by the model" } : waiting] };
}

function verdict(real, predicted, context) {
  const error = real.reduce((total, reward, index) => total + Math.abs(reward - predicted[index]), 0) / real.length;
  const sum = (values) => short(values.reduce((total, value) => total + value, 0));
  return (
    `${predicted.length} steps foreseen from ${context} frames: predicted return ${sum(predicted)}, ` +
    `true ${sum(real)}; mean absolute error ${short(error)} per step.`
  );
}
