// Goods brought back: the sale of a receipt with what may still come back of it, or goods without one.

import { kilograms } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { say, spoken, t } from "/web/i18n.js";
import { dispute } from "/web/staff-face.js";
import { reasonInput } from "/web/staff-till.js";

export function returns(m, lane) {
  const leave = () => {
    m.ui.panel = null;
    m.ui.reason = "";
    if (lane.found) m.ask(lane.lane, { return: { leave: {} } });
    m.draw();
  };
  const back = h("button", { type: "button", class: "plain", "aria-label": t("back"), onclick: leave }, icon("back"));
  return h("section", { class: "tender", key: "returns" }, h("p", { class: "due" }, back, h("span", {}, t("return"))), lane.found ? found(m, lane) : [find(m, lane), without(m, lane)]);
}

function find(m, lane) {
  return keypad({ id: "receipt-code", label: t("return_receipt"), action: t("return_find"), typedOnly: true, max: 80, submit: (code) => m.ask(lane.lane, { return: { find: { code } } }) });
}

function found(m, lane) {
  const sale = lane.found;
  return h(
    "div",
    { class: "methods" },
    h("p", { class: "amount" }, t("receipt_no", { n: `${sale.lane}-${String(sale.receipt).padStart(6, "0")}` }), " ", h("span", { class: "quiet" }, sold(sale.at))),
    h("ul", { class: "lines" }, sale.lines.map((line) => row(m, lane, line))),
    sale.tenders.map((tender) => h("p", { class: "quiet amount" }, say(tender.kind), " ", m.amount(tender.amount), " ", tender.details.join(" "))),
    dispute(m, lane),
  );
}

function sold(at) {
  return new Date(at).toLocaleString(spoken() === "zh" ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/** What was bought, what was paid for it, and how much of it came back already. */
function about(m, line) {
  const many = line.weight_g === null ? line.quantity : kilograms(line.weight_g);
  const back = line.quantity - line.left;
  return `${many} · ${t("paid_for")} ${m.amount(line.total)}${back === 0 ? "" : ` · ${t("return_back", { n: back })}`}`;
}

function row(m, lane, line) {
  const take = (quantity) => () => m.ask(lane.lane, { return: { line: { line: line.no, quantity } } });
  const one = line.left > 1 ? h("button", { type: "button", onclick: take(1) }, t("return_one")) : null;
  const all = line.left > 0 ? h("button", { type: "button", onclick: take(line.left) }, t("return_all", { n: line.left })) : h("span", { class: "quiet" }, t("return_none"));
  return h("li", { class: "return-line", key: `found-${line.no}` }, h("p", { class: "name" }, say(line.name)), h("p", { class: "quiet amount" }, about(m, line)), h("p", { class: "pair" }, one, all));
}

function numberField(id, label) {
  return h("label", { class: "reason" }, label, h("input", { id, inputmode: "numeric", maxlength: "6", autocomplete: "off" }));
}

/** `null` where nothing was typed. */
function number(id) {
  const typed = /^\d+$/.exec(document.getElementById(id).value.trim());
  return typed ? Number(typed[0]) : null;
}

/** On a supervisor's word, and with a reason. */
function without(m, lane) {
  const send = async (code) => {
    const answer = await m.ask(lane.lane, { return: { goods: { code, quantity: number("return-quantity") ?? 1, weight_g: number("return-weight"), reason: m.ui.reason } } });
    if (answer.ok) m.ui.panel = null;
    m.draw();
  };
  return h("div", { class: "methods" }, h("h2", {}, t("return_without")), reasonInput(m), h("p", { class: "pair" }, numberField("return-quantity", t("quantity")), numberField("return-weight", t("weight_g"))), keypad({ id: "return-goods", label: t("code"), action: t("return"), typedOnly: true, disabled: m.ui.reason.trim() === "", submit: send }));
}
