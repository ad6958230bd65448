// What staff may change about a basket besides its numbers: a line's price, remarks, the tare, and giving all of it up.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { say, t } from "/web/i18n.js";
import { parseAmount } from "/web/staff-tender.js";
import { reasonInput } from "/web/staff-till.js";

const ROLES = ["cashier", "supervisor", "manager"];
const PRICE_REASONS = ["why_shelf", "why_damaged", "why_short_date"];
const VOID_REASONS = ["why_gave_up", "why_no_money", "why_wrong"];

function head(m, title) {
  return h("p", { class: "due" }, h("button", { type: "button", class: "plain", "aria-label": t("back"), onclick: () => leave(m) }, icon("back")), h("span", {}, title));
}

function leave(m) {
  Object.assign(m.ui, { panel: null, line: null, price: null, reason: "" });
  m.draw();
}

/** Opens `panel` beside the basket, for a line or for all of it. */
export function turnTo(m, panel, line = null) {
  Object.assign(m.ui, { panel, line, price: null, reason: "", tender: null, move: null });
  m.draw();
}

function chips(m, texts) {
  const choose = (text) => () => {
    m.ui.reason = text;
    document.getElementById("reason").value = text;
    m.draw();
  };
  return h("div", { class: "chips" }, texts.map((text) => h("button", { type: "button", "aria-pressed": m.ui.reason === text ? "true" : "false", onclick: choose(text) }, text)));
}

export function linePanel(m, lane) {
  const line = lane.lines.find((one) => one.no === m.ui.line);
  if (!line) return null;
  return h("section", { class: "tender", key: `line-${line.no}` }, head(m, say(line.name)), line.kind === "goods" ? price(m, lane, line) : null, note(m, lane, line.no, line.note));
}

/** Whose word the price needs, by what the shop laid down for each role. */
export function roleFor(overrides, list, wanted) {
  if (wanted > list) return "manager";
  return ROLES.find((role) => list - Math.round((list * Math.min(overrides[`${role}_bp`], 10_000)) / 10_000) <= wanted) ?? null;
}

function price(m, lane, line) {
  const { digits } = m.store.currency;
  const list = line.list_price ?? line.unit_price;
  const wanted = m.ui.price;
  const role = wanted === null ? null : roleFor(m.view.overrides, list, wanted);
  const input = (text) => {
    m.ui.price = text.trim() === "" ? null : parseAmount(text, digits);
    m.draw();
  };
  const submit = async (text) => {
    const answer = await m.ask(lane.lane, { override_price: { line: line.no, unit_price: parseAmount(text, digits), reason: m.ui.reason.trim() } });
    if (answer.ok) leave(m);
  };
  const needed = wanted === null ? null : h("span", { class: ROLES.indexOf(m.role) < ROLES.indexOf(role) || role === null ? "blocked" : "quiet", role: "status" }, role === null ? t("price_never") : t("needs_role", { role: t(`role_${role}`) }));
  return h(
    "div",
    { class: "methods" },
    h("h2", {}, t("price_change")),
    h("p", { class: "quiet amount" }, t("price_list", { amount: m.amount(list) }), line.weight_g === null ? "" : "/kg"),
    reasonInput(m),
    chips(m, PRICE_REASONS.map((why) => t(why))),
    keypad({ id: "new-price", label: [h("span", {}, t("price_new")), needed], extra: digits > 0 ? "." : "", max: 12, action: t("price_change"), disabled: wanted === null || role === null || m.ui.reason.trim() === "", input, submit }),
  );
}

function note(m, lane, line, now) {
  const send = async (text) => {
    if ((await m.ask(lane.lane, { note: { line, text } })).ok) leave(m);
  };
  return h(
    "div",
    { class: "methods" },
    keypad({ id: `note-${line ?? "basket"}`, label: t("note"), action: t("note_keep"), typedOnly: true, max: 80, submit: send }),
    now === "" ? null : h("p", { class: "quiet" }, now, " ", h("button", { type: "button", onclick: () => send("") }, t("note_take_back"))),
  );
}

export function notePanel(m, lane) {
  return h("section", { class: "tender", key: "note" }, head(m, t("note_basket")), note(m, lane, null, lane.note));
}

export function voidPanel(m, lane) {
  const send = async () => {
    if ((await m.ask(lane.lane, { void_transaction: { reason: m.ui.reason.trim() } })).ok) leave(m);
  };
  const paid = lane.paid !== 0;
  return h(
    "section",
    { class: "tender", key: "void" },
    head(m, t(paid ? "void_paid" : "void_all")),
    h("p", {}, t("void_all_text", { lane: t("lane_n", { n: lane.lane }), pieces: lane.pieces === 1 ? t("pieces_one") : t("pieces", { n: lane.pieces }), amount: m.amount(lane.total) })),
    paid ? h("p", { class: "blocked" }, t("void_paid_text", { amount: m.amount(lane.paid) })) : null,
    reasonInput(m),
    chips(m, VOID_REASONS.map((why) => t(why))),
    h("button", { type: "button", class: "danger big", disabled: m.ui.reason.trim() === "", onclick: send }, t(paid ? "void_paid" : "void_all")),
  );
}

/** What lies on the scale just now, and the packing that is taken off. */
export function weighingPanel(m, lane) {
  const item = lane.weighing;
  if (lane.phase !== "weighing" || item === null) return null;
  const tare = (text) => m.ask(lane.lane, { set_tare: { tare_g: Number(/^\d{1,5}$/.exec(text)?.[0] ?? 0) } });
  return h(
    "section",
    { class: "tender", key: "weighing" },
    h("p", { class: "due" }, h("span", {}, say(item.name)), h("strong", { class: "amount" }, m.amount(item.unit_price), "/kg")),
    h("p", { role: "status" }, item.tare_g === 0 ? t("weighing_title") : t("line_tare", { grams: item.tare_g })),
    keypad({ id: "tare", label: t("tare"), max: 5, action: t("tare_set"), submit: tare }),
    h("button", { type: "button", onclick: () => m.ask(lane.lane, { cancel_weighing: {} }) }, t("cancel")),
  );
}
