// One scrubber for several pictures side by side, with play and pause.

import { element } from "./dom.js";

const RATE = 12; // frames per second

export class Player {
  // show(index) draws what belongs to a step. name is what the scrubber is called.
  constructor(node, { name, show }) {
    this.show = show;
    this.count = 0;
    this.follow = true;
    this.range = element("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": name });
    this.range.addEventListener("input", () => {
      this.pause();
      this.follow = this.index === this.count - 1;
      this.#moved();
    });
    this.button = element("button", { type: "button", class: "play", onclick: () => this.toggle() }, "Play");
    this.readout = element("output", {}, "0 / 0");
    node.replaceChildren(this.button, this.range, this.readout);
    this.node = node;
    this.reset();
  }

  get index() {
    return Number(this.range.value);
  }

  reset() {
    this.pause();
    this.follow = true;
    this.extend(0);
    this.node.hidden = true;
  }

  // So many steps are there now; whoever watches the last one is taken along.
  extend(count) {
    this.count = count;
    this.node.hidden = count === 0;
    this.range.max = Math.max(0, count - 1);
    if (this.follow) this.range.value = this.range.max;
    if (count) this.#moved();
  }

  to(index) {
    this.range.value = index;
    this.#moved();
  }

  toggle() {
    if (this.timer) this.pause();
    else this.play();
  }

  play() {
    if (this.index >= this.count - 1) this.to(0);
    this.button.textContent = "Pause";
    this.timer = setInterval(() => {
      if (this.index >= this.count - 1) this.pause();
      else this.to(this.index + 1);
    }, 1000 / RATE);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.button.textContent = "Play";
  }

  #moved() {
    const said = `${this.index} / ${this.count - 1}`;
    this.readout.textContent = said;
    this.range.setAttribute("aria-valuetext", `step ${this.index} of ${this.count - 1}`);
    this.show(this.index);
  }
}
