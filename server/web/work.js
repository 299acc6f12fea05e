// One piece of work at a time: its button, its cancel button, its words.

import { address } from "./address.js";
import { byId } from "./dom.js";
import { Notice } from "./notices.js";

export class Work {
  // name: the beginning of the ids of form, button, cancel button, notice and status; start() is called by the form.
  constructor(name, start, wells = {}) {
    this.name = name;
    this.form = byId(`${name}-form`);
    this.button = byId(name);
    this.cancelButton = byId(`${name}-cancel`);
    this.status = byId(`${name}-status`);
    this.notice = new Notice(byId(`${name}-notice`), { form: this.form, retry: start, wells });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.controller) start();
    });
    this.form.addEventListener("input", ({ target }) => this.#remember(target));
    this.cancelButton.addEventListener("click", () => this.cancel());
  }

  // Fills the form with what the address says.
  restore() {
    for (const field of this.#fields()) {
      const [before, said] = [field.value, address.get(this.#address(field))];
      if (said !== null) field.value = said;
      if (field.value === "") field.value = before;
    }
  }

  // Fills a field as a person would.
  enter(name, value) {
    const field = this.form.elements[name];
    field.value = value;
    this.#remember(field);
  }

  // job(signal) does the work.
  async run(job) {
    this.cancel();
    const controller = new AbortController();
    this.controller = controller;
    this.#busy(true);
    this.notice.clear();
    try {
      await job(controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.say("");
      this.notice.show(error);
    } finally {
      if (this.controller === controller) this.#rest();
    }
  }

  // Leaves the connection, and with that the server stops working on it.
  cancel() {
    if (!this.controller) return;
    this.controller.abort();
    this.say("Cancelled.");
    this.#rest();
  }

  // kind: "good" or "bad" for how it ended.
  say(text, kind = "") {
    this.status.textContent = text;
    this.status.className = `status ${kind}`;
  }

  #fields() {
    return [...this.form.elements].filter((field) => field.name);
  }

  #address(field) {
    return `${this.name}.${field.name}`;
  }

  #remember(field) {
    address.set({ [this.#address(field)]: field.value });
  }

  #rest() {
    this.controller = null;
    this.#busy(false);
  }

  // The focus does not fall to the ground when a button can no longer be pressed.
  #busy(is) {
    const [from, to] = is ? [this.button, this.cancelButton] : [this.cancelButton, this.button];
    const focused = document.activeElement === from;
    to.disabled = false;
    if (focused) to.focus();
    from.disabled = true;
    this.form.setAttribute("aria-busy", String(is));
  }
}
