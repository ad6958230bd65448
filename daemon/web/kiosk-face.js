// Faces at the kiosk: paying by face and a second factor. Another way is always one tap away.

import { h } from "/web/dom.js";
import { FACE_CONSENT } from "/web/face-consent-1.js";
import { icon } from "/web/icons.js";
import { say, spoken, t } from "/web/i18n.js";
import { keypad } from "/web/keypad.js";

/** Opens the camera: at once, or with the last digits of a telephone number where the shop has many members. */
export function start(m, kind, label, ready) {
  const look = (tail) => m.ask({ [kind]: { consent: FACE_CONSENT.version, ...(tail ? { tail } : {}) } });
  if (ready && m.view.face_narrow) return keypad({ id: `tail-${kind}`, label: t("face_tail"), max: 4, action: label, submit: look });
  return h("button", { type: "button", class: "primary big", disabled: !ready, onclick: () => look(null) }, label);
}

export function consentText() {
  return h("ul", { class: "consent" }, FACE_CONSENT[spoken()].map((text) => h("li", {}, text)));
}

/** As one of the ways to pay; not offered at all where the shop does not. */
export function payWay(m) {
  if (!m.view.face_pay) return null;
  return h("button", { type: "button", class: "way method", onclick: () => m.open("face_pay") }, icon("face", "huge"), h("strong", {}, t("face_pay")), h("span", { class: "quiet" }, t("face_pay_text")));
}

export function payPanel(m, sheet, close) {
  return sheet(m, "face-pay", t("face_pay"), h("p", { class: "total amount" }, m.amount(m.view.due)), consentText(), start(m, "pay_by_face", t("face_agree"), m.view.face_pay), otherWay(m), close);
}

function otherWay(m) {
  const other = async () => {
    if (m.view.confirming) await m.ask({ cancel_payment: {} });
    m.open("pay");
  };
  return h("button", { type: "button", class: "big", onclick: other }, icon("card"), t("face_pay_other"));
}

/** Name and amount, and what the shop wants besides the face. */
export function confirmPanel(m, sheet) {
  const { attempt, masked, amount, factor } = m.view.confirming;
  const yes = (pin) => m.ask({ confirm_face_pay: { attempt, amount, ...(pin ? { pin } : {}) } });
  const how =
    factor === "pin"
      ? keypad({ id: "pay-pin", label: t("pay_pin"), type: "password", max: 8, action: t("face_pay_yes"), submit: yes })
      : h("button", { type: "button", class: "primary big", onclick: () => yes(null) }, t(factor === "phone" ? "face_pay_phone" : "face_pay_yes"));
  const not = async () => {
    await m.ask({ cancel_payment: {} });
    await m.ask({ remove_member: {} });
  };
  return sheet(
    m,
    "confirming",
    t("face_pay_confirm"),
    h("p", { class: "lead who" }, icon("face"), h("strong", { class: "amount" }, masked)),
    h("p", { class: "total amount" }, m.amount(amount)),
    how,
    h("div", { class: "pair" }, otherWay(m), h("button", { type: "button", class: "big", onclick: not }, t("face_not_me"))),
  );
}

export function trouble(m) {
  return m.store.vision_hint ? h("code", {}, say(m.store.vision_hint)) : null;
}
