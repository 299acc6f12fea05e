// The request behind what is seen, to run elsewhere: curl and Python.

import { key } from "./api.js";
import { byId } from "./dom.js";

const KEY_VARIABLE = "WAYMARK_KEY";
const METHODS = { "/v1/plans": "plan", "/v1/rewards": "rewards" };

// Connects the copy buttons inside a node; request() -> {path, body} or null.
export function copyButtons(node, request) {
  for (const button of node.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => {
      const { path, body } = request();
      copy(button.dataset.copy === "curl" ? curl(path, body) : python(path, body), button.dataset.copy);
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
    `curl -sS ${location.origin}${path} -H 'Content-Type: application/json'${secret} -d @- <<'JSON'\n` +
    `${JSON.stringify(body)}\nJSON\n`
  );
}

export function python(path, body) {
  const method = METHODS[path];
  return method ? byClient(method, body) : byHand(path, body);
}

function byClient(method, { start, goal, task, frames, past_actions: past, actions, ...options }) {
  const images = method === "plan";
  const named = { ...options, ...(images ? {} : { past_actions: "past_actions" }) };
  const keywords = Object.entries(named).map(([name, value]) => `${name}=${name === "past_actions" ? value : literal(value)}`);
  const leading = images ? ["start", "goal"] : [literal(task), "frames", "actions"];
  const width = actions?.[0][0].length;
  const data = images
    ? [`start = from_base64(${literal(start)})`, `goal = from_base64(${literal(goal)})`]
    : [
        `frames = np.stack([from_base64(frame) for frame in ${literal(frames)}])`,
        `past_actions = np.array(${literal(past)}).reshape(-1, ${width})`,
        `actions = np.array(${literal(actions)})`,
      ];
  return [
    ...(key.get() ? ["import os", ""] : []),
    ...(images ? [] : ["import numpy as np", ""]),
    "from server.client import Client",
    "from server.codecs import from_base64",
    "",
    ...data,
    `with Client(${literal(location.origin)}${secret()}) as client:`,
    `    reply = client.${method}(${[...leading, ...keywords].join(", ")})`,
    images ? "print(reply.response.cost, reply.response.digest)" : "print(reply.rewards, reply.response.digest)",
    "",
  ].join("\n");
}

function byHand(path, body) {
  const headers = key.get() ? `, headers={"Authorization": "Bearer " + os.environ[${literal(KEY_VARIABLE)}]}` : "";
  return [
    ...(key.get() ? ["import os", ""] : []),
    "import httpx2",
    "",
    `body = ${literal(body)}`,
    `reply = httpx2.post(${literal(location.origin + path)}, json=body, timeout=70${headers})`,
    "print(reply.raise_for_status().json())",
    "",
  ].join("\n");
}

function secret() {
  return key.get() ? `, key=os.environ[${literal(KEY_VARIABLE)}]` : "";
}

// A JSON value as Python writes it.
function literal(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${literal(part)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
