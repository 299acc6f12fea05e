// Saving what was executed: a WebM film where the browser can make one, else its frames as PNGs in a tar archive.

import { element, save } from "./dom.js";
import { bitmapOf } from "./pictures.js";

const SCALE = 4;
const RATE = 20; // frames per second
const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

// columns: lists of base64 pictures of equal length, side by side. progress(share) is told how far it is.
export async function saveFilm(columns, name, progress) {
  const rows = await Promise.all(columns.map((column) => Promise.all(column.map(bitmapOf))));
  const size = rows[0][0].width * SCALE;
  const canvas = element("canvas", { width: size * rows.length, height: size });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const draw = (step) => rows.forEach((row, i) => context.drawImage(row[step], i * size, 0, size, size));
  const type = globalThis.MediaRecorder && TYPES.find((one) => MediaRecorder.isTypeSupported(one));
  const blob = type ? await record(canvas, type, rows[0].length, draw, progress) : await archive(columns[0]);
  const extension = type ? type.slice(6, type.includes(";") ? type.indexOf(";") : undefined) : "tar";
  save(blob, `${name}.${extension}`);
}

// A recorder takes time from the clock: the film takes as long to make as to watch.
async function record(canvas, type, count, draw, progress) {
  const recorder = new MediaRecorder(canvas.captureStream(0), { mimeType: type, videoBitsPerSecond: 4_000_000 });
  const [track] = recorder.stream.getVideoTracks();
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const ended = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  recorder.start();
  for (let step = 0; step < count; step += 1) {
    draw(step);
    track.requestFrame();
    progress((step + 1) / count);
    await new Promise((resolve) => setTimeout(resolve, 1000 / RATE));
  }
  recorder.stop();
  await ended;
  return new Blob(parts, { type: type.split(";")[0] });
}

// POSIX ustar: a header of 512 bytes before every file, files filled up to 512.
async function archive(pictures) {
  const parts = pictures.flatMap((base64, step) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const rest = new Uint8Array((512 - (bytes.length % 512)) % 512);
    return [header(`frame-${String(step).padStart(4, "0")}.png`, bytes.length), bytes, rest];
  });
  return new Blob([...parts, new Uint8Array(1024)], { type: "application/x-tar" });
}

function header(name, size) {
  const block = new Uint8Array(512);
  const write = (text, at) => block.set(new TextEncoder().encode(text), at);
  write(name, 0);
  write("0000644\0", 100);
  write("0000000\0", 108);
  write("0000000\0", 116);
  write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  write("00000000000\0", 136);
  write("        0", 148);
  write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
