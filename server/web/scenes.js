// Start and goal of a pushing task: uploaded, rendered by seed, or from the gallery.

import { address } from "./address.js";
import { post } from "./api.js";
import { way } from "./compare.js";
import { byId, element } from "./dom.js";
import { showMarked, unmark } from "./marks.js";
import { Notice } from "./notices.js";
import { PictureView, readFile } from "./pictures.js";

const NAMES = { start: "Start", goal: "Goal" };

export class Scenes {
  // changed(scene) is told of every new pair; scene: {start, goal, seed}, seed null unless both are of it.
  // refused() is told if a pair shows nothing to plan for.
  constructor(changed, refused) {
    Object.assign(this, { changed, refused });
    this.scene = { start: null, goal: null, seed: null };
    this.views = {};
    byId("wells").replaceChildren(...Object.keys(NAMES).map((name) => this.#well(name)));
    this.notice = new Notice(byId("scene-notice"), { retry: () => this.again(), wells: this.views });
    byId("seed-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.render(byId("scene-seed").valueAsNumber);
    });
    byId("any-scene").addEventListener("click", () => {
      byId("scene-seed").value = Math.floor(Math.random() * 10_000);
      this.render(byId("scene-seed").valueAsNumber);
    });
  }

  // environment: of GET /v1/environments; size: of the planner's pictures.
  async use(environment, size) {
    const same = this.environment?.name === environment.name && this.size === size;
    this.size = size;
    if (same) return;
    this.environment = environment;
    this.#set({ start: null, goal: null, seed: null });
    await this.#fillGallery();
  }

  // What was asked for last is shown, whatever comes last: whether this was.
  async render(seed) {
    this.#leave();
    const { signal } = this.asking;
    try {
      const { data } = await post("/v1/scenes", { environment: this.environment.name, seed }, signal);
      this.#take(data);
      return true;
    } catch (error) {
      this.#fail(error, () => this.render(seed));
      return false;
    }
  }

  // Where a plan saw the puck in the two pictures, and the way it is to take.
  seen(plan) {
    this.pucks = { start: plan.start.object_position, goal: plan.goal.object_position };
    this.paths = [{ points: way(plan), kind: "path" }];
    this.#draw();
  }

  #leave() {
    this.asking?.abort();
    this.asking = new AbortController();
    this.notice.clear();
    this.#say("");
  }

  #say(text) {
    byId("scene-status").textContent = text;
  }

  #fail(error, again) {
    this.again = again;
    this.#say("");
    this.notice.show(error);
  }

  #take({ start, goal, seed }) {
    byId("scene-seed").value = seed;
    address.set({ scene: seed });
    const note = `rendered, seed ${seed}`;
    this.#set({ start: { base64: start, note }, goal: { base64: goal, note }, seed });
  }

  #set(scene) {
    this.scene = scene;
    this.pucks = {};
    this.paths = [];
    this.#draw();
    this.changed(scene);
  }

  #draw() {
    for (const [name, view] of Object.entries(this.views)) {
      const picture = this.scene[name];
      const label = `${NAMES[name]} picture`;
      if (picture) showMarked(view, picture.base64, `${label}, ${picture.note}`, { puck: this.pucks[name], paths: this.paths });
      else unmark(view, `${label}: none yet`);
      this.notes[name].textContent = picture?.note ?? "none yet";
    }
  }

  #well(name) {
    const view = new PictureView(NAMES[name]);
    this.views[name] = view;
    this.notes ??= {};
    this.notes[name] = element("p", { class: "hint", id: `${name}-note` });
    const input = element("input", {
      type: "file", id: `${name}-file`, accept: "image/png,image/jpeg", "aria-describedby": `${name}-note`,
      onchange: () => input.files.length && this.#read(name, input.files[0]).then(() => (input.value = "")),
    });
    const well = element(
      "div", { class: "well" }, view.node,
      element("label", { class: "file button" }, `Upload ${name} …`, input), this.notes[name],
    );
    const over = (is) => (event) => {
      event.preventDefault();
      well.classList.toggle("over", is);
    };
    well.addEventListener("dragover", over(true));
    well.addEventListener("dragleave", over(false));
    well.addEventListener("drop", (event) => {
      over(false)(event);
      const [file] = event.dataTransfer.files;
      if (file) this.#read(name, file);
    });
    return well;
  }

  async #read(name, file) {
    this.#leave();
    try {
      const picture = await readFile(file, this.size);
      // The other picture may have come meanwhile.
      this.#set({ ...this.scene, [name]: picture, seed: null });
      address.set({ scene: null });
    } catch (error) {
      this.notice.show(error);
      return;
    }
    if (this.scene.start && this.scene.goal && this.environment.kind === "push") await this.#check();
  }

  // Pictures that somebody brings may show anything: what they lack is said before anything is planned.
  async #check() {
    this.#leave();
    const { start, goal } = this.scene;
    this.#say("Looking at the pictures …");
    const body = { environment: this.environment.name, start: start.base64, goal: goal.base64 };
    try {
      const { data } = await post("/v1/scenes", body, this.asking.signal);
      const { length: walls } = data.layout.walls;
      this.#say(`The pictures show the puck, the arm and ${walls === 1 ? "a wall" : `${walls} walls`}.`);
    } catch (error) {
      this.#fail(error, () => this.#check());
      if (error.status === 422) this.refused();
    }
  }

  async #fillGallery() {
    this.filling?.abort();
    this.filling = new AbortController();
    const { signal } = this.filling;
    byId("gallery").replaceChildren();
    try {
      for (const seed of this.environment.gallery) {
        const { data } = await post("/v1/scenes", { environment: this.environment.name, seed }, signal);
        const entry = await this.#thumbnail(data);
        if (signal.aborted) return;
        byId("gallery").append(entry);
      }
    } catch (error) {
      this.#fail(error, () => (this.notice.clear(), this.#fillGallery()));
    }
  }

  async #thumbnail(scene) {
    const views = [new PictureView("start"), new PictureView("goal")];
    await Promise.all([views[0].show(scene.start), views[1].show(scene.goal)]);
    views.forEach(({ canvas }) => canvas.setAttribute("aria-hidden", "true"));
    const take = () => {
      this.#leave();
      this.#take(scene);
    };
    const attributes = { type: "button", onclick: take, "aria-label": `Scene with seed ${scene.seed}` };
    const [start, goal] = views.map(({ canvas }) => canvas);
    return element("li", {}, element("button", attributes, start, goal, element("span", {}, `seed ${scene.seed}`)));
  }
}
