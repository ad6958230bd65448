// The mirror while somebody enrols: what the camera sees, for this lane's page and for whoever of the staff pressed. It is drawn and
// forgotten: no address, no picture element, nothing a browser would keep.

import { h } from "/web/dom.js";

const EVERY_MS = 250;
const WIDTH = 208;
const HEIGHT = 156;
/** The enrolment that is being drawn. */
let drawn = null;

/** A place for the picture. `proof` is what the lane's stream said, or a signed-in person's token. */
export function mirror(lane, attempt, proof) {
  const name = `${lane}-${attempt}`;
  if (proof && drawn !== name) {
    drawn = name;
    follow(lane, name, proof);
  }
  return h("canvas", { class: "mirror-picture", key: "mirror", "data-mirror": name, width: WIDTH, height: HEIGHT, "aria-hidden": "true" });
}

async function follow(lane, name, proof) {
  const headers = proof.token ? { Authorization: `Bearer ${proof.token}` } : { "X-Aisle-Mirror": proof.page };
  while (drawn === name) {
    const response = await fetch(`/api/lane/${lane}/mirror`, { headers, cache: "no-store" }).catch(() => null);
    if (response && response.status >= 400) break;
    if (response?.status === 200) draw(name, await response.arrayBuffer());
    await new Promise((done) => setTimeout(done, EVERY_MS));
  }
  if (drawn === name) drawn = null;
}

function draw(name, bytes) {
  const place = document.querySelector(`[data-mirror="${name}"]`);
  if (!place) return;
  const size = new DataView(bytes);
  const [width, height, grey] = [size.getUint16(0), size.getUint16(2), new Uint8Array(bytes, 4)];
  const picture = new ImageData(width, height);
  for (let at = 0; at < grey.length; at += 1) picture.data.set([grey[at], grey[at], grey[at], 255], at * 4);
  place.getContext("2d").putImageData(picture, (WIDTH - width) >> 1, (HEIGHT - height) >> 1);
}
