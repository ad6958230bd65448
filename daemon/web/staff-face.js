// What staff do about faces: enrol the member of the code with consent, see refusals (never a picture), open a shut camera again.

import { h } from "/web/dom.js";
import { FACE_ENROL } from "/web/face-enrol-2.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { spoken, t } from "/web/i18n.js";
import { mirror } from "/web/mirror.js";

export function facePanel(m, lane) {
  return h(
    "section",
    { class: "tender faces", key: "face" },
    h("p", { class: "due" }, h("button", { type: "button", class: "plain", "aria-label": t("back"), onclick: () => leave(m) }, icon("back")), h("strong", {}, t("face_enrol"))),
    refusals(m, lane),
    looking(lane) ? hint(m, lane) : enrol(m, lane),
  );
}

export function facesButton(m, lane, open) {
  const camera = lane.devices.some((device) => device.kind === "vision");
  return camera ? h("button", { type: "button", onclick: open("face") }, icon("face"), t("face_enrol")) : null;
}

function leave(m) {
  m.ui.panel = null;
  m.draw();
}

function looking(lane) {
  return lane.face !== null && lane.face.outcome === null;
}

function hint(m, lane) {
  const stop = () => m.ask(lane.lane, { cancel_recognise: { attempt: lane.face.attempt } });
  return [h("p", { class: "lead", role: "status", "aria-live": "polite" }, t(`hint_${lane.face.hint ?? "look_here"}`)), mirror(lane.lane, lane.face.attempt, { token: sessionStorage.getItem("staff-token") }), h("p", { class: "quiet" }, t("face_preview")), h("button", { type: "button", onclick: stop }, t("cancel"))];
}

/** How often the camera of the lane did not know somebody, and how it ended last. */
function refusals(m, lane) {
  if (lane.face_failures === 0) return null;
  const outcome = lane.face?.outcome;
  const last = outcome && outcome !== "match" ? ` · ${t(`face_${outcome}`)}` : "";
  const open = () => m.ask(lane.lane, { reopen_face: {} });
  return h("div", { class: "notice", role: "status" }, h("p", {}, t("face_failures", { n: lane.face_failures }) + last), h("button", { type: "button", onclick: open }, t("face_reopen")));
}

function enrol(m, lane) {
  if (!lane.member || lane.member.by_face) return h("p", { class: "lead" }, t("face_enrol_code"));
  const ask = (age, guardian) => m.ask(lane.lane, { enrol_face: { text_version: FACE_ENROL.version, age, ...(guardian ? { guardian } : {}) } });
  return [
    h("p", { class: "lead amount" }, lane.member.masked),
    h("p", { class: "quiet" }, t("face_enrol_text")),
    h("ul", { class: "consent" }, FACE_ENROL[spoken()].map((text) => h("li", {}, text))),
    h("button", { type: "button", class: "primary", onclick: () => ask("fourteen_or_over", null) }, t("face_enrol_adult")),
    keypad({ id: "guardian", label: t("face_enrol_guardian"), max: 40, typedOnly: true, action: t("face_enrol_child"), submit: (form) => ask("under_fourteen", form) }),
  ];
}

/** A payment of the sale found that its member says was somebody else's. */
export function dispute(m, lane) {
  if (!lane.found?.face_paid) return null;
  return keypad({ id: "dispute", label: t("face_dispute_why"), max: 80, typedOnly: true, action: t("face_dispute"), submit: (reason) => m.ask(lane.lane, { dispute_face_pay: { reason } }) });
}
