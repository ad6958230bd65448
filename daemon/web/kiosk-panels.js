// What opens over the basket: membership, ways to pay, a number typed by hand, and two questions.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { badgePin } from "/web/kiosk-badge.js";
import { confirmPanel, consentText, payPanel, payWay, start, trouble } from "/web/kiosk-face.js";
import { minePanel } from "/web/kiosk-mine.js";
import { keypad } from "/web/keypad.js";
import { say, t } from "/web/i18n.js";
import { mirror } from "/web/mirror.js";

const PANELS = { member, member_code: memberCode, member_phone: memberPhone, code, pay, give_up: giveUp, there, badge_pin: pin, face_pay: (m) => payPanel(m, sheet, closeButton(m)), mine: (m) => minePanel(m, sheet, closeButton(m)) };

export function panel(m) {
  if (looking(m)) return lookingPanel(m);
  if (m.view.camera) return cameraPanel(m);
  if (m.view.confirming) return confirmPanel(m, sheet);
  return m.ui.panel ? PANELS[m.ui.panel](m) : null;
}

function looking(m) {
  return m.view.face !== null && m.view.face.outcome === null;
}

function sheet(m, name, title, ...children) {
  return h(
    "div",
    { class: "veil", key: name },
    h("section", { class: `sheet ${name}`, role: "dialog", "aria-modal": "true", "aria-labelledby": "sheet-title" }, h("h2", { id: "sheet-title", tabindex: "-1" }, title), children),
  );
}

function closeButton(m, label = t("back")) {
  return h("button", { type: "button", class: "plain close", onclick: () => m.open(null) }, icon("back"), label);
}

function member(m) {
  return sheet(m, "two-ways", t("member_title"), h("p", { class: "quiet" }, failed(m) ?? t("member_two_ways")), h("div", { class: "pair" }, codeWay(m), faceWay(m)), closeButton(m));
}

/** How the last look ended, unless it found somebody. */
function failed(m) {
  const outcome = m.view.face?.outcome;
  if (!outcome || outcome === "match" || m.ui.closedFace === m.view.face.attempt) return null;
  return h("span", { class: "ended", role: "status" }, icon("alert"), t(`face_${outcome}`) + t("stop"), t("face_use_code"));
}

function codeWay(m) {
  return h(
    "article",
    { class: "way" },
    h("h3", {}, icon("barcode"), t("member_code")),
    h("p", {}, t("member_code_text")),
    h("button", { type: "button", class: "primary big", onclick: () => m.open("member_code") }, t("member_code_type")),
    h("button", { type: "button", class: "big", onclick: () => m.open("member_phone") }, t("member_phone")),
  );
}

function faceWay(m) {
  const ready = m.store.vision === "ready" && m.view.devices.some((device) => device.kind === "vision" && device.up);
  const again = m.view.face?.outcome ? t("face_again") : t("face_agree");
  return h(
    "article",
    { class: "way" },
    h("h3", {}, icon("face"), t("member_by_face")),
    ready ? consentText() : h("p", {}, t("face_unavailable"), trouble(m)),
    start(m, "recognise", again, ready),
  );
}

function lookingPanel(m) {
  const { attempt, hint, enrols } = m.view.face;
  const stop = async (next) => {
    m.ui.closedFace = attempt;
    m.ui.panel = next;
    await m.ask({ cancel_recognise: { attempt } });
  };
  return sheet(
    m,
    "looking",
    t("face_looking"),
    enrols === null ? h("div", { class: "mirror", "aria-hidden": "true" }, h("span", { class: "oval" }), icon("camera", "large")) : h("div", { class: "mirror wide" }, mirror(m.view.lane, attempt, m.mirror && { page: m.mirror })),
    h("p", { class: "lead hint", role: "status", "aria-live": "polite" }, hint ? t(`hint_${hint}`) : t("hint_look_here")),
    enrols === null ? null : h("p", { class: "quiet" }, t("face_mirror")),
    h("div", { class: "pair" }, h("button", { type: "button", class: "big", onclick: () => stop("member_code") }, icon("barcode"), t("member_code")), h("button", { type: "button", class: "big", onclick: () => stop(null) }, t("cancel"))),
  );
}

/** The lane's camera looks for codes; what it read last stands below, so that nobody has to look behind the sheet. */
function cameraPanel(m) {
  const last = m.view.lines.at(-1);
  return sheet(
    m,
    "reading",
    t("camera_title"),
    h("div", { class: "mirror", "aria-hidden": "true" }, icon("barcode", "huge"), icon("camera", "large")),
    h("p", { class: "lead", role: "status", "aria-live": "polite" }, last ? `${say(last.name)} · ${m.amount(last.total)}` : t("camera_text")),
    last ? h("p", { class: "quiet" }, t("camera_text")) : null,
    h("button", { type: "button", class: "primary big", onclick: () => m.ask({ close_camera: {} }) }, t("camera_close")),
  );
}

/** Opens the camera, where the lane has one. */
export function cameraButton(m) {
  const camera = m.view.devices.find((device) => device.kind === "camera");
  if (!camera) return null;
  return h("button", { type: "button", class: "more", disabled: !camera.up, onclick: () => m.ask({ open_camera: {} }) }, icon("camera"), t("camera_open"));
}

function memberCode(m) {
  const use = async (text) => {
    if ((await m.ask({ key: { code: text } })).ok) m.open(null);
  };
  return sheet(m, "typed", t("member_code"), h("p", { class: "quiet" }, t("member_code_text")), keypad({ id: "member-code", label: t("member_code_type"), extra: "M", action: t("member_code_use"), submit: use }), closeButton(m));
}

/** Greeted by masked name: who typed somebody else's number sees it, and takes it off again. */
function memberPhone(m) {
  const use = async (number) => {
    if ((await m.ask({ phone: { number } })).ok) m.open(null);
  };
  return sheet(m, "typed", t("member_phone"), h("p", { class: "quiet" }, t("member_phone_text")), keypad({ id: "member-phone", label: t("member_phone_type"), extra: "+", max: 20, action: t("member_phone_use"), submit: use }), closeButton(m));
}

function code(m) {
  const add = async (text) => {
    if ((await m.ask({ key: { code: text } })).ok) m.open(null);
  };
  return sheet(m, "typed", t("code_key_title"), keypad({ id: "item-code", label: t("code"), action: t("code_key_action"), submit: add }), closeButton(m));
}

function pin(m) {
  return sheet(m, "typed", t("badge_pin"), badgePin(m), closeButton(m));
}

function pay(m) {
  return sheet(
    m,
    "paying",
    t("pay_title"),
    h("p", { class: "total amount" }, m.amount(m.view.due)),
    h("div", { class: "pair" }, cardWay(m), walletWay(m), payWay(m), pointsWay(m)),
    m.view.kind === "staffed" ? null : h("p", { class: "cash quiet" }, icon("cash"), t("pay_cash_text")),
    closeButton(m),
  );
}

function cardWay(m) {
  const terminal = m.view.devices.find((device) => device.kind === "terminal");
  const trouble = terminal ? (terminal.up ? null : t("no_card")) : t("pay_no_terminal");
  return method(m, { name: "card", title: t("card"), text: trouble ?? t("card_at_terminal"), trouble });
}

function walletWay(m) {
  const trouble = m.store.online ? null : t("no_wallet");
  return method(m, { name: "wallet", title: t("wallet"), text: trouble ?? t("pay_wallet_text"), trouble });
}

/** Only where the member has points; a face alone is told to scan the code. */
function pointsWay(m) {
  const points = m.view.member?.points;
  if (!points || (points.payable === 0 && !points.refused)) return null;
  const trouble = points.payable > 0 ? null : say(points.refused);
  return method(m, { name: "points", title: t("points"), text: trouble ?? t("points_pay", { n: points.balance, amount: m.amount(points.payable) }), trouble });
}

function method(m, { name, title, text, trouble }) {
  return h("button", { type: "button", class: "way method", disabled: trouble !== null, onclick: () => m.ask({ pay: { method: name } }) }, icon(name, "huge"), h("strong", {}, title), h("span", { class: "quiet" }, text));
}

function giveUp(m) {
  const yes = async () => {
    if ((await m.ask({ void_transaction: {} })).ok) m.open(null);
  };
  return question(m, t("removed_confirm"), t("removed_confirm_text"), [
    h("button", { type: "button", class: "big", onclick: () => m.open(null) }, t("removed_no")),
    h("button", { type: "button", class: "danger big", onclick: yes }, t("removed_yes")),
  ]);
}

function there(m) {
  return question(m, t("there_title"), t("there_text", { n: m.left }), [h("button", { type: "button", class: "primary big", onclick: () => m.open(null) }, t("there_yes"))]);
}

function question(m, title, text, buttons) {
  return sheet(m, "question", title, h("p", { class: "lead" }, text), h("div", { class: "pair" }, buttons));
}
