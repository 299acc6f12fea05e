// Errors in words: beside the fields they are about, and above the result with what can be done.

import { element } from "./dom.js";

const PICTURES =
  "Take the table from above as in the examples: a brown table, one whole magenta puck, a blue wall and the white arm, " +
  "nothing else. JPEG blurs thin walls away; send PNG.";
// What to try, by the last part of the problem's type.
const ADVICE = { "no-object": PICTURES, "unreadable-scene": PICTURES };
// Too many requests, of one caller or of all.
const BUSY = new Set([429, 503]);

export class Notice {
  // node: where to speak; form: whose fields may be to blame; wells: names of pictures -> views.
  constructor(node, { form = null, retry = null, wells = {} } = {}) {
    Object.assign(this, { node, form, retry, wells });
    this.clear();
  }

  clear() {
    clearInterval(this.timer);
    this.node.replaceChildren();
    this.form?.querySelectorAll("[aria-invalid]").forEach((field) => forgive(field));
    Object.values(this.wells).forEach((view) => view.node.classList.remove("refused"));
  }

  // A Problem of the server or an Error of the page. A request that was cancelled is no error.
  show(error) {
    this.clear();
    if (error.name === "AbortError") return;
    const { title, detail, errors = [], requestId } = error;
    const unplaced = errors.filter(({ field, message }) => !this.#place(field, message));
    this.node.append(
      element(
        "div", { class: "notice", role: "alert" },
        element("p", {}, element("strong", {}, title ?? error.message), detail ? ` ${detail}` : ""),
        unplaced.length > 1
          ? element("ul", {}, ...unplaced.map(({ field, message }) => element("li", {}, `${field}: ${message}`)))
          : null,
        this.#advice(error),
        BUSY.has(error.status) ? this.#again(error.retryAfter ?? 1) : null,
        requestId ? element("p", { class: "hint" }, `Request ${requestId}`) : null,
      ),
    );
  }

  #advice({ type = "" }) {
    const text = ADVICE[type.split(":").at(-1)];
    return text ? element("p", {}, text) : null;
  }

  #place(field, message) {
    this.wells[field]?.node.classList.add("refused");
    const input = this.form?.elements[field];
    if (input) blame(input, message);
    return Boolean(input);
  }

  // The server is busy or about to end: a button that waits as long as the server asked.
  #again(wait) {
    const label = (left) => (left > 0 ? `Try again in ${left} s` : "Try again");
    const button = element(
      "button", { type: "button", "aria-disabled": "true", onclick: () => left <= 0 && this.retry?.() }, label(wait),
    );
    let left = Math.ceil(wait);
    this.timer = setInterval(() => {
      left -= 1;
      button.textContent = label(left);
      if (left <= 0) {
        button.removeAttribute("aria-disabled");
        clearInterval(this.timer);
      }
    }, 1000);
    return this.retry ? button : null;
  }
}

// The numbers of a form by the names of their fields, or null where one is missing or out of range.
export function numbers(form) {
  const fields = [...form.querySelectorAll("input[type=number]")];
  fields.forEach(forgive);
  const wrong = fields.filter((field) => !field.checkValidity());
  wrong.forEach((field) => blame(field, sentence(field)));
  wrong[0]?.focus();
  return wrong.length ? null : Object.fromEntries(fields.map((field) => [field.name, field.valueAsNumber]));
}

function sentence({ min, max }) {
  return max === "" ? `A whole number from ${min} on.` : `A whole number from ${min} to ${max}.`;
}

function blame(field, message) {
  forgive(field);
  const id = `${field.form.id}-${field.name}-error`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", id);
  field.closest("label").after(element("p", { class: "field-error", id }, message));
}

function forgive(field) {
  document.getElementById(`${field.form.id}-${field.name}-error`)?.remove();
  field.removeAttribute("aria-invalid");
  field.removeAttribute("aria-describedby");
}
