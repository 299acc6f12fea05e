// How pictures were corrected before the model saw them, in words.

import { short } from "./dom.js";

const STRAIGHT = 0.05; // degrees

// calibration: of a plan. Answers null if nothing was corrected.
export function corrections({ tone, pitch_degrees: pitch, yaw_degrees: yaw, object_colour: colour }) {
  const turns = [[pitch, "up", "down"], [yaw, "to the left", "to the right"]].filter(([by]) => Math.abs(by) > STRAIGHT);
  const found = [
    ...(tone ? [`light (white was ${tone.brightest.map(Math.round).join(", ")})`] : []),
    ...turns.map(([by, one, other]) => `camera turned ${short(Math.abs(by))}° ${by > 0 ? one : other}`),
    ...(colour ? [`colour of the puck (${colour.map(Math.round).join(", ")})`] : []),
  ];
  return found.length ? found.join("; ") : null;
}
