// The request behind what is seen, to run elsewhere: curl and Python.

import { key } from "./api.js";
import { byId } from "./dom.js";

const KEY_VARIABLE = "WAYMARK_KEY";
const PLANNED = Symbol("how the plan made before is named in Python");

// Where the page is, and so the server, which may be under a path.
const SERVER = new URL(".", location).href.slice(0, -1);

// How server.client.Client is asked for the same.
const CALLS = {
  "/v1/plans": { method: "plan", positional: ["start", "goal"], shown: "reply.response.cost" },
  "/v1/rewards": { method: "rewards", positional: ["task", "frames", "actions"], shown: "reply.response.returns" },
  "/v1/episodes": { method: "episode", positional: ["environment"], shown: "reply.response.stop_reason" },
};

// Pictures and actions, which Python has as arrays. Strings, numbers and lists are written as in JSON.
const READERS = {
  start: (base64) => `from_base64(${JSON.stringify(base64)})`,
  goal: (base64) => `from_base64(${JSON.stringify(base64)})`,
  frames: (list) => `np.stack([from_base64(frame) for frame in ${JSON.stringify(list)}])`,
  past_actions: (rows) => `np.array(${JSON.stringify(rows)}, float)`,
  actions: (sequences) => `np.array(${JSON.stringify(sequences)})`,
};

// Connects the copy buttons inside a node; request() -> {path, body, plan?, named?}.
export function copyButtons(node, request) {
  for (const button of node.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => {
      const { path, body, plan, named } = request();
      if (!body) return say("There is nothing to copy yet.");
      copy(button.dataset.copy === "curl" ? curl(path, body) : python(path, body, plan, named), button.dataset.copy);
    });
  }
}

async function copy(text, language) {
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied as ${language === "curl" ? "curl" : "Python"}, ${text.length.toLocaleString("en")} characters.`);
  } catch {
    byId("copy-text").value = text;
    byId("copy-dialog").showModal();
    byId("copy-text").select();
  }
}

function say(text) {
  byId("copied").textContent = text;
  setTimeout(() => {
    if (byId("copied").textContent === text) byId("copied").textContent = "";
  }, 4000);
}

// The body comes from a here document: commands have a limit, pictures do not know it.
export function curl(path, body) {
  const secret = key.get() ? ` \\\n  -H "Authorization: Bearer $${KEY_VARIABLE}"` : "";
  return (
    `curl -sS ${SERVER}${path} -H 'Content-Type: application/json'${secret} -d @- <<'JSON'\n` +
    `${JSON.stringify(body)}\nJSON\n`
  );
}

// plan: the body of the plan that an episode follows, so that the copy also runs where that is forgotten; named:
// what it follows of the reply.
export function python(path, body, plan = null, named = "plan.response.id") {
  const { method, positional, shown } = CALLS[path];
  const data = { ...plan, ...body };
  const variables = Object.keys(READERS).filter((name) => name in data);
  const given = (fields, order) => [
    ...order.map((name) => valueOf(name, fields)),
    ...Object.keys(fields).filter((name) => !order.includes(name)).map((name) => `${name}=${valueOf(name, fields)}`),
  ].join(", ");
  const steps = plan ? [`    plan = client.plan(${given(plan, CALLS["/v1/plans"].positional)})`] : [];
  const fields = plan ? { ...body, plan: { [PLANNED]: named } } : body;
  return [
    ...(variables.includes("frames") ? ["import numpy as np", ""] : []),
    "from server.client import Client",
    ...(variables.length ? ["from server.http.pictures import from_base64"] : []),
    "",
    ...variables.map((name) => `${name} = ${READERS[name](data[name])}`),
    ...(key.get() ? [`# The key is that of the environment variable ${KEY_VARIABLE}.`] : []),
    `with Client(${JSON.stringify(SERVER)}) as client:`,
    ...steps,
    `    reply = client.${method}(${given(fields, positional)})`,
    `print(${shown}, reply.response.digest)`,
    "",
  ].join("\n");
}

function valueOf(name, fields) {
  if (fields[name]?.[PLANNED]) return fields[name][PLANNED];
  return name in READERS ? name : JSON.stringify(fields[name]);
}
