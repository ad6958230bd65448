// Taking money at a lane: cash with its change, card, wallet; and what can be done about a sale just finished.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { say, t } from "/web/i18n.js";

/** Notes people hand over, in whole units of the currency. */
const NOTES = [1, 5, 10, 20, 50, 100, 200, 500];
const QUICK_MOST = 6;

export function tenders(m, lane) {
  if (lane.phase === "done") return finished(m, lane);
  if (lane.phase === "paying") return waiting(m, lane);
  if (lane.phase === "in_doubt") return h("section", { class: "tender" }, h("span", { class: "busy" }), h("h2", {}, t("doubt_title")), h("p", {}, t("doubt_text")));
  if (lane.phase === "staff") return null;
  if (lane.lines.length === 0) return reprint(m, lane);
  if (lane.due < 0) return giveBack(m, lane);
  if (lane.due === 0) return even(m, lane);
  return m.ui.tender === "cash" ? cash(m, lane) : choice(m, lane);
}

function choice(m, lane) {
  const blocked = lane.interventions.length > 0;
  const part = m.ui.part;
  const pay = (method) => async () => {
    const answer = await m.ask(lane.lane, { pay: { method, amount: part } });
    if (answer.ok) setPart(m, null);
  };
  const terminal = lane.devices.find((device) => device.kind === "terminal");
  const toCash = () => {
    m.ui.tender = "cash";
    m.ui.given = 0;
    m.draw();
  };
  return h(
    "section",
    { class: "tender", "aria-label": t("take_over") },
    lane.tenders.map((paid) => h("p", { class: "due quiet amount" }, h("span", {}, t(paid.kind)), m.amount(paid.amount))),
    h("p", { class: "due" }, h("span", {}, t("amount_due")), h("strong", { class: "amount" }, m.amount(lane.due))),
    part === null ? null : h("p", { class: "due" }, h("span", {}, t("part_now")), h("strong", { class: "amount" }, m.amount(part)), h("button", { type: "button", class: "plain", "aria-label": t("cancel"), onclick: () => setPart(m, null) }, icon("close"))),
    lane.cash_only ? h("p", { class: "blocked" }, t("cash_only")) : null,
    blocked ? h("p", { class: "blocked" }, t("check_first")) : null,
    h(
      "div",
      { class: "methods" },
      h("button", { type: "button", disabled: blocked, onclick: toCash }, icon("cash"), t("cash")),
      h("button", { type: "button", disabled: blocked || !(terminal?.up || m.store.training), onclick: pay("card") }, icon("card"), t("card")),
      h("button", { type: "button", disabled: blocked || !(m.store.online || m.store.training), onclick: pay("wallet") }, icon("wallet"), t("wallet")),
      h("button", { type: "button", class: "plain", disabled: !m.store.online, onclick: () => m.ask(lane.lane, { check_gift: {} }) }, icon("points"), t("gift_check")),
      pointsButton(m, lane, blocked, pay),
      m.ui.tender === "part" ? partPad(m, lane) : h("button", { type: "button", class: "plain", disabled: blocked, onclick: () => toPart(m) }, t("part")),
    ),
  );
}

function pointsButton(m, lane, blocked, pay) {
  const points = lane.member?.points;
  if (!points || (points.payable === 0 && !points.refused)) return null;
  if (points.payable === 0) return h("p", { class: "blocked" }, `${t("points")}: ${say(points.refused)}`);
  const amount = Math.min(points.payable, m.ui.part ?? points.payable);
  return h("button", { type: "button", disabled: blocked, onclick: pay("points") }, icon("points"), t("points"), " ", h("span", { class: "amount" }, m.amount(amount)));
}

function toPart(m) {
  m.ui.tender = "part";
  m.draw();
}

function setPart(m, part) {
  m.ui.part = part;
  m.ui.tender = null;
  m.draw();
}

/** Pay a part of it: how much, then by what. */
function partPad(m, lane) {
  const { digits } = m.store.currency;
  const submit = (text) => {
    const amount = parseAmount(text, digits);
    if (amount > 0 && amount <= lane.due) setPart(m, amount);
  };
  return keypad({ id: "part", label: t("part_amount"), extra: digits > 0 ? "." : "", max: 12, action: t("confirm"), submit });
}

function giveBack(m, lane) {
  const refund = (in_cash) => () => m.ask(lane.lane, { return: { refund: { in_cash } } });
  return h(
    "section",
    { class: "tender", key: "refund" },
    h("p", { class: "due" }, h("span", {}, t("to_give_back")), h("strong", { class: "amount" }, m.amount(-lane.due))),
    h("p", { class: "quiet" }, t("refund_how")),
    h("div", { class: "methods" }, h("button", { type: "button", class: "primary", onclick: refund(false) }, icon("check"), t("refund_as_paid")), h("button", { type: "button", onclick: refund(true) }, icon("cash"), t("refund_cash"))),
  );
}

function even(m, lane) {
  return h("section", { class: "tender", key: "even" }, h("p", { class: "due" }, h("span", {}, t("amount_due")), h("strong", { class: "amount" }, m.amount(0))), h("button", { type: "button", class: "primary big", onclick: () => m.ask(lane.lane, { finish: {} }) }, icon("check"), t("finish")));
}

function cash(m, lane) {
  const { digits } = m.store.currency;
  const due = m.ui.part ?? lane.due;
  const given = m.ui.given;
  const leave = () => {
    m.ui.tender = null;
    m.draw();
  };
  const take = async (amount) => {
    const answer = await m.ask(lane.lane, { pay: { method: { cash: { given: amount } }, amount: m.ui.part } });
    if (answer.ok) setPart(m, null);
  };
  const input = (text) => {
    m.ui.given = parseAmount(text, digits);
    m.draw();
  };
  return h(
    "section",
    { class: "tender", "aria-label": t("cash_take"), key: "cash" },
    h("p", { class: "due" }, h("button", { type: "button", class: "plain", "aria-label": t("back"), onclick: leave }, icon("back")), h("strong", { class: "amount" }, m.amount(due))),
    h("div", { class: "quick" }, quickAmounts(due, digits).map((amount) => h("button", { type: "button", class: "amount", onclick: () => fill(amount, digits) }, m.amount(amount)))),
    keypad({ id: "cash-given", label: [h("span", {}, t("cash_given")), change(m, given - due)], extra: digits > 0 ? "." : "", max: 12, action: t("cash_take"), disabled: given < due, input, submit: (text) => take(parseAmount(text, digits)) }),
  );
}

function change(m, over) {
  if (over < 0) return h("span", { class: "change short", role: "status" }, t("cash_missing", { amount: m.amount(-over) }));
  return h("span", { class: "change", role: "status" }, t("cash_change", { amount: m.amount(over) }));
}

/** Exact, then what notes would make of it. */
export function quickAmounts(due, digits) {
  const unit = 10 ** digits;
  const rounded = NOTES.map((note) => Math.ceil(due / (note * unit)) * note * unit);
  return [...new Set([due, ...rounded])].sort((a, b) => a - b).slice(0, QUICK_MOST);
}

function fill(amount, digits) {
  const input = document.getElementById("cash-given");
  input.value = digits === 0 ? String(amount) : plain(amount, digits);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function plain(amount, digits) {
  const text = String(amount).padStart(digits + 1, "0");
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** Minor units from what was typed, by its digits alone: `12.5` is 1250 at two digits. Zero for what is no amount. */
export function parseAmount(text, digits) {
  const parts = /^(\d{1,9})(?:[.,](\d*))?$/.exec(text.trim());
  if (!parts || (parts[2] ?? "").length > digits) return 0;
  return Number(parts[1] + (parts[2] ?? "").padEnd(digits, "0"));
}

function waiting(m, lane) {
  const wallet = ["wallet", "gift"].includes(lane.tender?.kind);
  const said = lane.tender ? say(lane.tender.text) : "";
  const asking = wallet && lane.tender.tender !== null;
  const text = said || (asking ? t("paying_checking") : t(wallet ? "paying_wallet" : "paying_card"));
  const amount = lane.tender?.amount ?? lane.due;
  const back = amount < 0;
  const kind = t(lane.tender?.kind ?? "card");
  return h(
    "section",
    { class: "tender centre" },
    icon(wallet ? "wallet" : "terminal", "large"),
    h("p", { class: "due" }, h("span", {}, back ? t("refund_to", { kind }) : kind), h("strong", { class: "amount" }, m.amount(Math.abs(amount)))),
    h("p", { role: "status" }, text),
    asking ? h("span", { class: "busy" }) : null,
    asking && back ? null : h("button", { type: "button", onclick: () => m.ask(lane.lane, { cancel_payment: {} }) }, t(back ? "refund_stop" : "paying_cancel")),
  );
}

function finished(m, lane) {
  const receipt = lane.receipt?.receipt;
  return h(
    "section",
    { class: "tender centre" },
    icon("check", "large"),
    h("h2", {}, t(receipt && receipt.total < 0 ? "refund_done" : "done_paid")),
    receipt ? h("p", { class: "due" }, h("span", {}, t("total")), h("strong", { class: "amount" }, m.amount(receipt.total))) : null,
    (receipt?.tenders ?? []).filter((tender) => tender.amount < 0).map((tender) => h("p", { class: "due quiet amount" }, h("span", {}, say(tender.kind), " ", tender.details[0] ?? ""), m.amount(-tender.amount))),
    receipt && receipt.change !== 0 ? h("p", { class: "change" }, t("cash_change", { amount: m.amount(receipt.change) })) : null,
    receipt ? h("p", { class: "quiet amount" }, t("receipt_no", { n: `${receipt.lane}-${String(receipt.number).padStart(6, "0")}` })) : null,
    h("div", { class: "methods two" }, h("button", { type: "button", onclick: () => m.ask(lane.lane, { reprint: {} }) }, icon("printer"), t("reprint")), h("button", { type: "button", class: "primary", onclick: () => m.ask(lane.lane, { next: {} }) }, t("done_next"))),
  );
}

function reprint(m, lane) {
  return h("section", { class: "tender" }, h("button", { type: "button", onclick: () => m.ask(lane.lane, { reprint: {} }) }, icon("printer"), t("reprint")));
}
