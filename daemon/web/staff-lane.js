// One lane taken over: what it wants, its basket, and how it can be paid.

import { hour } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { say, t } from "/web/i18n.js";
import { counted, measure, memberChip, remarks, savings, stepper } from "/web/kiosk-basket.js";
import { needs, pieces, waited } from "/web/staff-lanes.js";
import { facePanel, facesButton } from "/web/staff-face.js";
import { memberButton, memberPanel } from "/web/staff-member.js";
import { linePanel, notePanel, turnTo, voidPanel, weighingPanel } from "/web/staff-line.js";
import { returns } from "/web/staff-return.js";
import { tenders } from "/web/staff-tender.js";
import { drawer } from "/web/staff-till.js";

export function laneDetail(m) {
  if (!m.lane) return h("div", { class: "nothing", key: "none" }, icon("shop", "huge"), h("h1", {}, t("lane_choose")), h("p", { class: "quiet" }, t("lane_choose_text")));
  const lane = m.lane;
  return h(
    "div",
    { class: "lane-page", key: `page-${lane.lane}` },
    h("header", {}, h("button", { type: "button", class: "plain to-list", "aria-label": t("back"), onclick: () => m.choose("") }, icon("back")), h("h1", {}, t("lane_n", { n: lane.lane })), h("p", { class: "quiet" }, t(`kind_${lane.kind}`), " · ", t(`phase_${lane.phase}`)), voidButton(m, lane)),
    needs(m, lane).filter((one) => one.kind !== "device").map((one) => task(m, lane, one)),
    h("div", { class: "halves" }, basketHalf(m, lane), h("div", { class: "side" }, side(m, lane))),
  );
}

function side(m, lane) {
  if (m.ui.panel === "drawer") return drawer(m, lane);
  if (m.ui.panel === "return" || lane.found) return [returns(m, lane), lane.lines.length > 0 ? tenders(m, lane) : null];
  if (lane.phase === "weighing") return m.ui.panel === "void" ? voidPanel(m, lane) : weighingPanel(m, lane);
  const panel = lane.phase === "scanning" || m.ui.panel === "face" ? PANELS[m.ui.panel]?.(m, lane) : null;
  return panel ?? [tenders(m, lane), keyIn(m, lane), tools(m, lane)];
}

const PANELS = { line: linePanel, note: notePanel, void: voidPanel, face: facePanel, member: memberPanel };

/** What a cashier needs besides selling. */
function tools(m, lane) {
  if (!["idle", "scanning", "done", "handed"].includes(lane.phase) || lane.paid !== 0) return null;
  const open = (panel) => () => {
    Object.assign(m.ui, { panel, move: null, reason: "" });
    m.draw();
  };
  const staffed = lane.kind === "staffed";
  const suspend = lane.phase === "scanning" && lane.lines.length > 0 && lane.paid === 0;
  return h(
    "div",
    { class: "methods two", key: "tools" },
    suspend ? h("button", { type: "button", onclick: () => m.ask(lane.lane, { suspend: {} }) }, icon("basket"), t("suspend")) : null,
    suspend ? h("button", { type: "button", onclick: () => turnTo(m, "note") }, t("note_basket")) : null,
    facesButton(m, lane, open),
    memberButton(m, lane),
    staffed ? h("button", { type: "button", onclick: open("return") }, icon("back"), t("return")) : null,
    staffed ? h("button", { type: "button", onclick: open("drawer") }, icon("cash"), t("drawer")) : null,
  );
}

function voidButton(m, lane) {
  if (lane.transaction === null || !["scanning", "weighing"].includes(lane.phase)) return null;
  return h("button", { type: "button", class: "danger", onclick: () => turnTo(m, "void") }, t(lane.paid === 0 ? "void_all" : "void_paid"));
}

function task(m, lane, one) {
  if (one.kind === "doubt") return doubt(m, lane, one);
  if (one.kind === "other") return question(m, lane, one);
  const about = lane.lines.find((line) => line.no === one.intervention?.line);
  return h(
    "section",
    { class: "task", role: "status" },
    icon(one.kind === "help" ? "help" : "staff", "large"),
    h("div", {}, h("h2", {}, one.text), about ? h("p", { class: "name" }, say(about.name)) : null, h("p", {}, waited(m, one))),
    h("div", { class: "answers" }, answers(m, lane, one)),
  );
}

function answers(m, lane, one) {
  if (one.kind === "help") return h("button", { type: "button", class: "primary", onclick: () => m.ask(lane.lane, { end_help: {} }) }, t("help_end"));
  const answer = (approved) => () => m.ask(lane.lane, { answer: { intervention: one.intervention.id, approved } });
  return [
    h("button", { type: "button", class: "danger", onclick: answer(false) }, icon("refuse"), t("age_refuse")),
    h("button", { type: "button", class: "primary", onclick: answer(true) }, icon("check"), t("age_approve")),
  ];
}

const ROLES = { cashier: "role_cashier", supervisor: "role_supervisor", manager: "role_manager" };

/** A question that wants words: what it is, whose yes it needs, and why it was answered so. */
function question(m, lane, one) {
  const { id, kind, line, role } = one.intervention;
  const about = lane.lines.find((other) => other.no === line);
  const send = (approved) => async () => {
    const answer = await m.ask(lane.lane, { answer: { intervention: id, approved, reason: m.ui.reason.trim() } });
    if (answer.ok) m.ui.reason = "";
  };
  const mute = async () => {
    if ((await m.ask(lane.lane, { mute_bagging: { reason: m.ui.reason.trim() } })).ok) m.ui.reason = "";
  };
  const said = m.ui.reason.trim() !== "";
  const about_role = role === "cashier" ? null : h("p", { class: "quiet" }, t("needs_role", { role: t(ROLES[role]) }));
  return h(
    "section",
    { class: "task doubt", key: `question-${id}` },
    icon(kind === "weight" ? "scale" : "staff", "large"),
    h("div", {}, h("h2", {}, one.text), about ? h("p", { class: "name" }, say(about.name)) : null, about_role, kind === "rescan" ? look(m, lane) : null),
    h("div", { class: "reasons" }, reasonField(m)),
    h(
      "div",
      { class: "answers" },
      kind === "weight" ? h("button", { type: "button", disabled: !said, onclick: mute }, t("bag_mute")) : null,
      h("button", { type: "button", class: "danger", disabled: kind === "rescan" && !said, onclick: send(false) }, icon("refuse"), t("age_refuse")),
      h("button", { type: "button", class: "primary", disabled: !said, onclick: send(true) }, icon("check"), t("age_approve")),
    ),
  );
}

/** The look at a basket: scans at the lane count as looks while somebody is there. */
function look(m, lane) {
  const found = lane.rescan ? t("look_found", { matched: lane.rescan.matched, missed: lane.rescan.missed }) : "";
  const here = lane.attending ? h("p", {}, t("look_scan")) : h("button", { type: "button", onclick: () => m.ask(lane.lane, { attend: {} }) }, t("look_start"));
  return h("div", {}, here, h("p", { class: "amount", role: "status" }, found));
}

const REASONS = { true: ["reason_approved", "reason_bank"], false: ["reason_declined", "reason_none"] };

function doubt(m, lane, one) {
  const tender = lane.tender;
  if (tender?.amount < 0) return refundByHand(m, lane, one);
  const checks = whatToCheck(m, tender);
  return h(
    "section",
    { class: "task doubt" },
    icon("terminal", "large"),
    h("div", {}, h("h2", {}, one.text), h("p", {}, waited(m, one)), h("ol", {}, checks.map((check) => h("li", {}, check)))),
    h("div", { class: "reasons" }, reasonField(m), h("div", { class: "chips" }, [...REASONS.true, ...REASONS.false].map((reason) => chip(m, t(reason))))),
    h("div", { class: "answers" }, verdict(m, lane, false), verdict(m, lane, true)),
  );
}

/** What to look at, and what must stand there for the payment to have been taken. */
function whatToCheck(m, tender) {
  const check = tender?.check;
  const facts = { amount: m.amount(tender?.amount ?? 0), at: check ? hour(check.started) : "" };
  if (tender?.kind !== "card") return [t("check_app", { ...facts, tender: tender?.tender ?? "" }), t(check?.giving_up ? "check_giving_up" : "check_hq"), t("check_3")];
  const slip = check?.trace ? [t("check_trace", { trace: check.trace, terminal: check.terminal })] : check?.last_trace ? [t("check_not", { trace: check.last_trace })] : [];
  return [t("check_1", facts), ...slip, t("check_2"), t("check_3")];
}

/** Card and wallet are given back by a person, who says so. */
function refundByHand(m, lane, one) {
  const paid = (lane.found?.tenders ?? []).flatMap((tender) => tender.details);
  return h(
    "section",
    { class: "task doubt" },
    icon("terminal", "large"),
    h("div", {}, h("h2", {}, t("refund_by_hand", { amount: m.amount(-lane.tender.amount), kind: t(lane.tender.kind) })), h("p", {}, say(lane.tender.text)), paid.map((detail) => h("p", { class: "amount" }, detail)), h("p", {}, waited(m, one))),
    h("div", { class: "reasons" }, reasonField(m), h("div", { class: "chips" }, [t("reason_refund_journal"), t("reason_refund_slip"), t("reason_refund_app")].map((reason) => chip(m, reason)))),
    h("div", { class: "answers" }, verdict(m, lane, false, "refund_not"), verdict(m, lane, true, "refund_done")),
  );
}

function reasonField(m) {
  const typed = (event) => {
    m.ui.reason = event.target.value;
    m.draw();
  };
  return h("label", {}, t("answer_reason"), h("input", { id: "reason", maxlength: "200", autocomplete: "off", oninput: typed }));
}

function chip(m, text) {
  const choose = () => {
    m.ui.reason = text;
    document.getElementById("reason").value = text;
    m.draw();
  };
  return h("button", { type: "button", "aria-pressed": m.ui.reason === text ? "true" : "false", onclick: choose }, text);
}

function verdict(m, lane, taken, label = taken ? "resolve_yes" : "resolve_no") {
  const send = async () => {
    const answer = await m.ask(lane.lane, { resolve_tender: { tender: lane.tender.tender, taken, reason: m.ui.reason.trim() } });
    if (answer.ok) m.ui.reason = "";
  };
  const ready = m.ui.reason.trim() !== "" && lane.tender?.tender;
  return h("button", { type: "button", class: taken ? "primary" : "danger", disabled: !ready, onclick: send }, t(label));
}

/** The kiosk's parts speak for one lane; here that lane is the one taken over. */
function asKiosk(m, lane) {
  return { ...m, view: lane, ask: (request) => m.ask(lane.lane, request) };
}

function basketHalf(m, lane) {
  const kiosk = asKiosk(m, lane);
  const empty = h("p", { class: "empty quiet" }, t("basket_empty"));
  return h(
    "section",
    { class: "lane-basket", "aria-label": t("adjust") },
    lane.member ? memberChip(kiosk) : null,
    lane.note === "" ? null : h("p", { class: "quiet" }, lane.note),
    lane.lines.length === 0 ? empty : h("ul", { class: "lines" }, lane.lines.toReversed().map((line) => row(kiosk, line))),
    h("dl", { class: "sums" }, sum(m, t("saving"), -Math.abs(lane.discount), lane.discount !== 0), sum(m, t("paid"), -lane.paid, lane.paid !== 0 && lane.due !== 0), sum(m, t("rounding"), lane.rounding, lane.rounding !== 0), sum(m, `${t("total")} · ${pieces(lane)}`, lane.total, true)),
  );
}

function sum(m, label, amount, shown) {
  return shown ? h("div", { class: "row" }, h("dt", {}, label), h("dd", { class: "amount" }, m.amount(amount))) : null;
}

function row(m, line) {
  const name = say(line.name);
  const open = m.view.phase === "scanning" && m.view.tenders.length === 0;
  return h(
    "li",
    { class: "line", key: `${m.view.transaction}-${line.no}` },
    h("div", {}, h("p", { class: "name" }, name, line.min_age === null ? null : h("span", { class: "badge" }, `${line.min_age}+`)), h("p", { class: "quiet amount" }, measure(m, line)), remarks(m, line), savings(m, line)),
    open && counted(line) ? stepper(m, line, name) : h("span", {}),
    h("strong", { class: "amount" }, m.amount(line.total)),
    open && line.parent === null ? h("button", { type: "button", class: "plain remove", "aria-label": t("line_more", { name }), onclick: () => turnTo(m, "line", line.no) }, "⋯") : h("span", {}),
    open && line.parent === null ? h("button", { type: "button", class: "plain remove", "aria-label": t("line_void", { name }), onclick: () => m.ask({ void_line: { line: line.no } }) }, icon("remove")) : h("span", {}),
  );
}

function keyIn(m, lane) {
  if (!["idle", "scanning", "done", "handed"].includes(lane.phase) || m.ui.tender !== null || lane.paid !== 0) return null;
  return [
    keypad({ id: `code-${lane.lane}`, label: t("code"), action: t("code_key_action"), typedOnly: true, submit: (code) => m.ask(lane.lane, { key: { code } }) }),
    lane.member ? null : keypad({ id: `phone-${lane.lane}`, label: t("member_phone"), action: t("member_phone_find"), typedOnly: true, max: 20, submit: (number) => m.ask(lane.lane, { phone: { number } }) }),
  ];
}
