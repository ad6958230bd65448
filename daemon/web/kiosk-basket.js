// The basket: what was scanned, newest first, and what it comes to.

import { kilograms } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { attended } from "/web/kiosk-badge.js";
import { cameraButton } from "/web/kiosk-panels.js";
import { knows, say, t } from "/web/i18n.js";
import { mineButton } from "/web/kiosk-mine.js";

const QUANTITY_MOST = 999;
/** Quantities asked for and not yet shown, so that a quick second press counts from the first. */
const wanted = new Map();

export function basket(m) {
  return h("div", { class: "basket", key: "basket" }, m.view.lines.length === 0 ? null : h("h1", { class: "heard" }, t("adjust")), h("section", { class: "goods", "aria-label": t("adjust") }, attended(m), m.view.interventions.map((one) => waits(m, one)), bagging(m), lines(m)), checkout(m));
}

function lines(m) {
  if (m.view.lines.length === 0) {
    return h("div", { class: "empty" }, icon("basket", "huge"), h("h1", {}, t("basket_empty")), h("p", { class: "quiet" }, t("basket_empty_text")));
  }
  return h("ul", { class: "lines" }, m.view.lines.toReversed().map((line) => row(m, line)));
}

function row(m, line) {
  const name = say(line.name);
  return h(
    "li",
    { class: m.ui.fresh === line.no ? "line fresh" : "line", key: `${m.view.transaction}-${line.no}` },
    h("div", { class: "what" }, h("p", { class: "name" }, name, age(line)), h("p", { class: "quiet amount" }, measure(m, line)), remarks(m, line), savings(m, line)),
    counted(line) ? stepper(m, line, name) : h("span", { class: "stepper-none" }),
    h("p", { class: "sum amount" }, before(m, line), m.amount(line.total)),
    line.parent === null ? h("button", { type: "button", class: "plain remove", "aria-label": t("line_void", { name }), onclick: () => m.ask({ void_line: { line: line.no } }) }, icon("remove")) : h("span", { class: "stepper-none" }),
  );
}

/** Lines whose number a person may change: not what was weighed, has a number of its own, came back, or comes with another line. */
export function counted(line) {
  return line.weight_g === null && line.serial === null && line.kind !== "returned" && line.parent === null;
}

/** What else there is to know of a line. */
export function remarks(m, line) {
  const known = [
    line.list_price === null ? null : t("line_list_price", { amount: m.amount(line.list_price) }),
    line.tare_g === 0 ? null : t("line_tare", { grams: line.tare_g }),
    line.serial === null ? null : t("line_serial", { serial: line.serial }),
    line.note || null,
  ];
  return known.filter(Boolean).map((text) => h("p", { class: "quiet remark" }, text));
}

function age(line) {
  return line.min_age === null ? null : h("span", { class: "badge" }, `${line.min_age}+`);
}

/** How many at what price, and what the usual measure of it costs. */
export function measure(m, line) {
  if (line.weight_g !== null) return `${kilograms(line.weight_g)} × ${m.amount(line.unit_price)}/kg`;
  const price = line.quantity === 1 ? m.amount(line.unit_price) : `${line.quantity} × ${m.amount(line.unit_price)}`;
  return line.per_content === null ? price : `${price} · ${m.amount(line.per_content.price)}/${content(line.per_content.of)}`;
}

function content(of) {
  const [[unit, many]] = Object.entries(of);
  if (many === 1000) return unit === "g" ? "kg" : "L";
  return `${many} ${unit === "g" ? "g" : "ml"}`;
}

/** Why a line costs less, each reason with its amount. */
export function savings(m, line) {
  return line.savings.map((saving) => h("p", { class: "saving" }, h("span", { class: "why" }, say(saving.name)), h("span", { class: "amount" }, m.amount(-saving.amount))));
}

function before(m, line) {
  return line.savings.length === 0 ? null : h("s", { class: "quiet" }, m.amount(line.gross));
}

export function stepper(m, line, name) {
  return h(
    "div",
    { class: "stepper", role: "group", "aria-label": name },
    h("button", { type: "button", disabled: line.quantity <= 1, "aria-label": t("quantity_less", { name }), onclick: () => step(m, line, -1) }, icon("minus")),
    h("span", { class: "amount quantity" }, line.quantity),
    h("button", { type: "button", disabled: line.quantity >= QUANTITY_MOST, "aria-label": t("quantity_more", { name }), onclick: () => step(m, line, 1) }, icon("plus")),
  );
}

async function step(m, line, by) {
  const key = `${m.view.lane}-${line.no}`;
  const quantity = (wanted.get(key) ?? line.quantity) + by;
  if (quantity < 1 || quantity > QUANTITY_MOST) return;
  wanted.set(key, quantity);
  await m.ask({ set_quantity: { line: line.no, quantity } });
  if (wanted.get(key) === quantity) wanted.delete(key);
}

/** Kinds that end when the shopper leaves the goods here. */
const LEAVABLE = ["age", "pieces", "amount", "hours", "blocked"];

function waits(m, intervention) {
  const line = LEAVABLE.includes(intervention.kind) ? intervention.line : null;
  const give = line === null ? null : h("button", { type: "button", onclick: () => m.ask({ void_line: { line } }) }, t("age_remove"));
  const title = intervention.kind === "age" ? t("age_title") : say(intervention.shopper);
  const about = m.view.lines.find((one) => one.no === line);
  return h("div", { class: "waits", key: `waits-${intervention.id}`, role: "status" }, icon("staff", "large"), h("div", {}, h("h2", {}, title), about ? h("p", { class: "name" }, say(about.name)) : null, h("p", {}, t("age_text"))), give);
}

/** What the scale under the bags waits for, and the ways around it; nothing while all is well. */
function bagging(m) {
  const bag = m.view.bagging;
  if (!bag || bag.muted || bag.right || m.view.lines.length === 0) return null;
  const about = m.view.lines.find((one) => one.no === bag.line);
  const carry = about ? h("button", { type: "button", onclick: () => m.ask({ skip_bagging: { line: about.no } }) }, t("bag_carry")) : null;
  const own = h("button", { type: "button", onclick: () => m.ask({ own_bag: {} }) }, t("bag_own"));
  return h("div", { class: "waits", key: "bagging", role: "status" }, icon("scale", "large"), h("div", {}, h("h2", {}, t(bag.waiting > 0 ? "bag_put" : "bag_check")), about ? h("p", { class: "name" }, say(about.name)) : null), carry, own);
}

function checkout(m) {
  const more = { type: "button", class: "more" };
  return h(
    "aside",
    { class: "checkout" },
    memberChip(m),
    cameraButton(m),
    h("button", { ...more, onclick: () => m.open("code") }, icon("keypad"), t("code_key")),
    sums(m),
    payButton(m),
    m.view.lines.length === 0 || m.view.paid !== 0 ? null : h("button", { type: "button", class: "plain", onclick: () => m.ask({ suspend: {} }) }, t("suspend_shopper")),
    h("button", { type: "button", class: "plain", onclick: () => (m.view.lines.length === 0 ? m.ask({ void_transaction: {} }) : m.open("give_up")) }, t("shopping_end")),
  );
}

export function memberChip(m) {
  const member = m.view.member;
  if (!member) return h("button", { type: "button", class: "more", onclick: () => m.open("member") }, icon("member"), t("member_join"));
  return h(
    "div",
    { class: "member" },
    icon(member.by_face ? "face" : "member"),
    h("p", {}, h("strong", { class: "amount" }, member.masked), " ", h("span", { class: "quiet" }, levelName(member.level)), pointsLine(member)),
    mineButton(m),
    h("button", { type: "button", class: "plain", "aria-label": t("member_remove"), onclick: () => m.ask({ remove_member: {} }) }, icon("close")),
  );
}

function pointsLine({ points }) {
  if (!points) return null;
  const earns = points.will_earn > 0 ? ` · ${t("points_will_earn", { n: points.will_earn })}` : "";
  return h("small", { class: "quiet amount points" }, t("points_balance", { n: points.balance }) + earns);
}

/** A level of the shop's own making is shown as it is written. */
function levelName(level) {
  if (!level) return t("member");
  return knows(`level_${level}`) ? t(`level_${level}`) : level;
}

function sums(m) {
  const { view } = m;
  const sum = (label, amount, kind = "") => h("div", { class: `row ${kind}`.trim() }, h("dt", {}, label), h("dd", { class: "amount" }, m.amount(amount)));
  const added = view.taxes.filter((tax) => tax.added).reduce((all, tax) => all + tax.tax, 0);
  const pieces = view.pieces === 1 ? t("pieces_one") : t("pieces", { n: view.pieces });
  return h(
    "dl",
    { class: "sums" },
    sum(`${t("subtotal")} · ${pieces}`, view.subtotal),
    view.discount === 0 ? null : sum(t("saving"), -Math.abs(view.discount), "saving"),
    added === 0 ? null : sum(t("tax_added"), added),
    view.rounding === 0 ? null : sum(t("rounding"), view.rounding),
    view.paid === 0 ? null : sum(t("paid"), -view.paid),
    sum(t("amount_due"), view.due, "due"),
  );
}

function payButton(m) {
  const waiting = m.view.interventions.length > 0;
  return h("button", { type: "button", class: "primary big pay", disabled: waiting || m.view.lines.length === 0, onclick: () => m.open("pay") }, waiting ? t("pay_wait") : t("pay"));
}
