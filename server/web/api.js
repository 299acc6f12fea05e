// The public API over fetch: JSON, event streams, and errors as problems (RFC 9457).

const KEY = "waymark-key";

// What went wrong, in words; errors: [{field, message}], retryAfter in seconds or null.
export class Problem extends Error {
  constructor({ title, detail, status = 0, errors = [], request_id = "", type = "" }, retryAfter = null) {
    super(title);
    Object.assign(this, { title, detail, status, errors, requestId: request_id, type, retryAfter });
  }
}

// The key lives as long as the tab.
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export async function get(path) {
  const reply = await ask(path, {});
  return reply.json();
}

// Posts and waits for the whole reply: {data, text}.
export async function post(path, body, signal) {
  const reply = await ask(path, { method: "POST", body: JSON.stringify(body), signal });
  const text = await reply.text();
  return { data: JSON.parse(text), text };
}

// Posts and yields {event, data, text} as they come; the last one is "result". Raises Problem for "error".
export async function* stream(path, body, signal) {
  const headers = { Accept: "text/event-stream" };
  const reply = await ask(path, { method: "POST", body: JSON.stringify(body), headers, signal });
  try {
    for await (const { event, text } of messages(reply.body)) {
      const data = JSON.parse(text);
      if (event === "error") throw new Problem(data);
      yield { event, data, text };
      if (event === "result") return;
    }
  } catch (error) {
    // What reading raises when the connection is lost.
    if (!(error instanceof TypeError)) throw error;
  }
  throw new Problem({
    title: "The connection ended early",
    detail: "The server closed the stream before it sent a result. It may have been stopped; try again.",
  });
}

async function ask(path, { headers = {}, ...options }) {
  const sent = key.get();
  if (options.body) headers["Content-Type"] = "application/json";
  if (sent) headers.Authorization = `Bearer ${sent}`;
  let reply;
  try {
    // Relative: a proxy may serve all this under a path.
    reply = await fetch(path.slice(1), { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The server cannot be reached",
      detail: "It may have been stopped, or the network is down. Try again when it is back.",
    });
  }
  if (reply.ok) return reply;
  const problem = await refusal(reply);
  // There may be another key by now.
  if (problem.status === 401 && sent === key.get()) {
    document.dispatchEvent(new CustomEvent("unauthorized", { detail: { sent: Boolean(sent) } }));
  }
  throw problem;
}

async function refusal(reply) {
  const retryAfter = Number(reply.headers.get("Retry-After")) || null;
  const json = reply.headers.get("Content-Type")?.includes("json");
  const said = json ? await reply.json() : {};
  const fallback = { title: `The server answered ${reply.status}`, detail: "It did not say why." };
  return new Problem({ ...fallback, ...said, status: reply.status }, retryAfter);
}

// The messages of an event stream: {event, text}. Comments, which keep the connection open, are skipped.
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const message = parse(block);
        if (message.text) yield message;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parse(block) {
  const message = { event: "message", text: "" };
  const lines = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") message.event = value;
    if (field === "data") lines.push(value);
  }
  message.text = lines.join("\n");
  return message;
}
