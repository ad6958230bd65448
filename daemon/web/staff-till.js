// The drawer of a staffed lane: shift, cash in and out, the blind count, and the reports.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { t } from "/web/i18n.js";
import { askFirst } from "/web/staff-confirm.js";
import { parseAmount } from "/web/staff-tender.js";

/** What moves cash without a sale; those with a reason ask for one. */
const MOVES = { paid_in: true, paid_out: true, drop: false };

export function drawer(m, lane) {
  const back = h("button", { type: "button", class: "plain", "aria-label": t("back"), onclick: () => leave(m) }, icon("back"));
  return h("section", { class: "tender", key: "drawer" }, h("p", { class: "due" }, back, h("span", {}, t("drawer"))), lane.shift ? inShift(m, lane) : noShift(m, lane), lane.shift ? null : lastShift(m, lane));
}

function leave(m) {
  if (m.ui.move) m.ui.move = null;
  else m.ui.panel = null;
  m.ui.reason = "";
  m.draw();
}

function shift(m, lane, request) {
  return m.ask(lane.lane, { shift: request });
}

function amountPad(m, id, label, action, submit) {
  const { digits } = m.store.currency;
  return keypad({ id, label, extra: digits > 0 ? "." : "", max: 12, action, submit: (text) => submit(parseAmount(text, digits)) });
}

function noShift(m, lane) {
  return amountPad(m, "float", t("shift_float"), t("shift_open"), (float) => shift(m, lane, { open: { float } }));
}

function inShift(m, lane) {
  if (m.ui.move === "close") return count(m, lane);
  if (m.ui.move === "no_sale") return noSale(m, lane);
  if (m.ui.move) return move(m, lane, m.ui.move);
  const to = (name) => () => {
    m.ui.move = name;
    m.draw();
  };
  const button = (name) => h("button", { type: "button", onclick: to(name) }, t(`move_${name}`));
  return h(
    "div",
    { class: "methods" },
    h("p", { class: "quiet" }, t("shift_n", { n: lane.shift.number }), " · ", lane.shift.staff),
    ["paid_in", "paid_out", "drop", "no_sale"].map(button),
    h("button", { type: "button", onclick: () => shift(m, lane, { print_x: {} }) }, icon("printer"), t("report_x")),
    h("button", { type: "button", class: "primary", onclick: to("close") }, icon("lock"), t("move_close")),
  );
}

export function reasonInput(m) {
  const typed = (event) => {
    m.ui.reason = event.target.value;
    m.draw();
  };
  return h("label", { class: "reason" }, t("reason"), h("input", { id: "reason", maxlength: "200", autocomplete: "off", oninput: typed }));
}

async function done(m, answer) {
  if ((await answer).ok) leave(m);
}

function move(m, lane, name) {
  const send = (amount) => done(m, shift(m, lane, { [name]: MOVES[name] ? { amount, reason: m.ui.reason } : { amount } }));
  return h("div", { class: "methods" }, h("h2", {}, t(`move_${name}`)), MOVES[name] ? reasonInput(m) : null, amountPad(m, `move-${name}`, t("amount"), t("confirm"), send));
}

function noSale(m, lane) {
  const send = () => done(m, shift(m, lane, { no_sale: { reason: m.ui.reason } }));
  return h("div", { class: "methods" }, h("h2", {}, t("move_no_sale")), reasonInput(m), h("button", { type: "button", class: "primary big", disabled: m.ui.reason.trim() === "", onclick: send }, t("drawer_open")));
}

/** The till says what it expects only after the count is sent. */
function count(m, lane) {
  const ask = (counted) => askFirst(m, { title: t("move_close"), text: t("count_sure", { amount: m.amount(counted) }), action: t("move_close"), yes: () => done(m, shift(m, lane, { close: { counted } })) });
  return h("div", { class: "methods" }, h("h2", {}, t("move_close")), h("p", { class: "quiet" }, t("count_text")), amountPad(m, "counted", t("counted"), t("confirm"), ask));
}

function lastShift(m, lane) {
  if (!lane.last_shift) return null;
  const [, report] = lane.last_shift;
  const extra = [["shift_float", report.totals.drawer?.float ?? 0], ["counted", report.counted], ["expected", report.expected], ["difference", report.difference]];
  return h("div", { class: "report" }, h("h2", {}, t("report_z", { n: report.shift })), sums(m, report.totals, extra), h("button", { type: "button", onclick: () => shift(m, lane, { print_z: {} }) }, icon("printer"), t("reprint_report")));
}

/** The figures of a report; what is left out of the message is nothing. */
export function sums(m, totals, extra = []) {
  const voids = totals.voids ?? { baskets: 0, baskets_worth: 0, lines: 0, lines_worth: 0 };
  const moved = totals.drawer ?? { paid_in: 0, paid_out: 0, dropped: 0, opened: 0 };
  const refunded = totals.refunded ?? { cash: 0, card: 0, wallet: 0 };
  const rows = [
    [t("day_sales"), totals.sales],
    [t("gross"), m.amount(totals.gross ?? 0)],
    [t("saving"), m.amount(-(totals.discount ?? 0))],
    [t("returned"), m.amount(-(totals.returned ?? 0))],
    [t("day_total"), m.amount(totals.total)],
    [t("rounding"), m.amount(totals.rounding ?? 0)],
    ...(totals.taxes ?? []).map((tax) => [`${t("tax_added")} ${tax.rate_bp / 100} %`, m.amount(tax.tax)]),
    ...["card", "wallet", "cash"].map((kind) => [t(kind), m.amount(totals[kind] + refunded[kind])]),
    ...["card", "wallet", "cash"].filter((kind) => refunded[kind] !== 0).map((kind) => [`${t("refund")} · ${t(kind)}`, m.amount(-refunded[kind])]),
    ...(totals.points || refunded.points ? [[t("points"), m.amount((totals.points ?? 0) + (refunded.points ?? 0))]] : []),
    ...(totals.gift || refunded.gift ? [[t("gift"), m.amount((totals.gift ?? 0) + (refunded.gift ?? 0))]] : []),
    ...(refunded.gift ? [[`${t("refund")} · ${t("gift")}`, m.amount(-refunded.gift)]] : []),
    ...(refunded.points ? [[`${t("refund")} · ${t("points")}`, m.amount(-refunded.points)]] : []),
    [t("voids"), `${voids.baskets} · ${m.amount(voids.baskets_worth)}`],
    [t("line_voids"), `${voids.lines} · ${m.amount(voids.lines_worth)}`],
    [t("move_paid_in"), m.amount(moved.paid_in)],
    [t("move_paid_out"), m.amount(-moved.paid_out)],
    [t("move_drop"), m.amount(-moved.dropped)],
    [t("move_no_sale"), moved.opened],
    ...(totals.receipts ? [[t("receipts"), `${totals.receipts[0]} – ${totals.receipts[1]}`]] : []),
    ...extra.map(([label, amount]) => [t(label), m.amount(amount)]),
  ];
  return h("dl", { class: "facts" }, rows.map(([label, value]) => h("div", { class: "row" }, h("dt", { class: "quiet" }, label), h("dd", { class: "amount" }, value))));
}
