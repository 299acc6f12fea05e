// Watching an episode: pictures under one scrubber, a curve with a cursor, film and JSON to keep.

import { Chart } from "./chart.js";
import { byId, saveText } from "./dom.js";
import { saveFilm } from "./film.js";
import { expect, showMarked, unmark } from "./marks.js";
import { PictureView } from "./pictures.js";
import { Player } from "./player.js";
import { copyButtons } from "./snippet.js";

// columns: names of the pictures side by side. A step of the episode is {pictures: [{image, label, ...marks}], x}.
export class Watch {
  // name: the beginning of the ids of the result's parts; axes: of the chart; request() -> {path, body, plan?}.
  constructor(name, columns, axes, request) {
    this.name = name;
    this.result = byId(`${name}-result`);
    this.views = columns.map((column) => new PictureView(column));
    byId(`${name}-screens`).replaceChildren(...this.views.map(({ node }) => node));
    this.chart = new Chart(byId(`${name}-chart`), axes);
    this.player = new Player(byId(`${name}-player`), { name: "Step", show: (index) => this.#show(index) });
    this.film = byId(`${name}-film`);
    this.json = byId(`${name}-json`);
    this.film.addEventListener("click", () => this.#save());
    this.json.addEventListener("click", () => saveText(this.text, `${this.title}.json`));
    copyButtons(this.result, request);
    this.begin();
    this.result.hidden = true;
  }

  begin() {
    this.steps = [];
    this.curves = [];
    this.player.reset();
    this.chart.draw([]);
    this.views.forEach((view) => unmark(view, "nothing yet"));
    this.result.hidden = false;
    this.film.disabled = true;
    this.json.disabled = true;
  }

  // An empty result does not stay.
  end() {
    this.result.hidden = !this.steps.length;
  }

  add(...steps) {
    this.steps.push(...steps);
    this.player.extend(this.steps.length);
  }

  // more: what else Chart.draw takes.
  plot(curves, more) {
    this.curves = curves;
    this.chart.draw(curves, { ...more, at: this.steps[this.player.index]?.x ?? null });
  }

  // Everything is there: it can be saved. title names the files; text is the JSON as it came.
  finish(title, text) {
    Object.assign(this, { title, text });
    this.film.disabled = this.steps.length < 2;
    this.json.disabled = false;
    this.look();
  }

  // Keypoints of all frames, if they are to be shown.
  look() {
    expect(this.steps.flatMap(({ pictures }) => pictures.filter(({ keypoints }) => !keypoints).map(({ image }) => image)));
  }

  #show(index) {
    this.steps[index].pictures.forEach(({ image, label, caption, ...marks }, column) => {
      const view = this.views[column];
      if (image) showMarked(view, image, label, marks);
      else unmark(view, label);
      if (caption) view.caption.textContent = caption;
    });
    this.#cursor(index);
  }

  #cursor(index) {
    if (this.curves.length && this.steps.length) this.chart.cursor(this.steps[index].x);
  }

  async #save() {
    const columns = this.views.map((_, column) => this.steps.map(({ pictures }) => pictures[column].image));
    this.film.disabled = true;
    try {
      await saveFilm(columns, this.title, (share) => {
        this.film.textContent = `Recording, ${Math.round(100 * share)} %`;
      });
    } finally {
      this.film.textContent = "Save film";
      this.film.disabled = false;
    }
  }
}
