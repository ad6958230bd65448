// The business day so far, its close, and the health of every device.

import { hour, notice } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { knows, say, t } from "/web/i18n.js";
import { askFirst } from "/web/staff-confirm.js";
import { sums } from "/web/staff-till.js";

export function storePage(m) {
  return h(
    "div",
    { class: "store-page", key: "store" },
    h("header", {}, h("button", { type: "button", class: "plain to-list", "aria-label": t("back"), onclick: () => m.choose("") }, icon("back")), h("h1", {}, t("day")), dayClose(m)),
    figures(m),
    h("section", { class: "panel" }, h("h2", {}, t("day_tenders")), byTender(m)),
    h("section", { class: "panel" }, h("h2", {}, t("day_so_far")), sums(m, m.view.day)),
    terminals(m),
    refundTasks(m),
    lastDay(m),
    audit(m),
    h("section", { class: "panel" }, h("h2", {}, t("devices")), devices(m)),
    h("section", { class: "panel" }, h("h2", {}, t("store")), facts(m)),
  );
}

function figures(m) {
  const { day } = m.view;
  const average = day.sales === 0 ? 0 : Math.round(day.total / day.sales);
  const figure = (label, value) => h("div", { class: "figure" }, h("dt", { class: "quiet" }, label), h("dd", { class: "amount" }, value));
  return h("dl", { class: "figures" }, figure(t("day_total"), m.amount(day.total)), figure(t("day_sales"), day.sales), figure(t("day_average"), m.amount(average)), figure(t("day_members"), `${share(day.members, day.sales)} %`));
}

/** What each terminal handed in last against the journal, what it holds that its bank has not seen, and the close of its day. */
function terminals(m) {
  const lanes = m.view.lanes.filter((lane) => lane.devices.some((device) => device.kind === "terminal"));
  if (lanes.length === 0) return null;
  const name = (lane) => lane.devices.find((device) => device.kind === "terminal").name;
  const close = (lane) => async () => {
    await m.ask(lane.lane, { close_terminal: {} });
  };
  const ask = (lane) => askFirst(m, { title: t("terminal_close"), text: t("terminal_close_text"), action: t("terminal_close"), yes: close(lane) });
  const row = (lane) => {
    const closing = m.view.closings[name(lane)];
    const held = m.view.exposure[name(lane)];
    const sums = closing ? `${hour(closing.at)} · ${m.amount(closing.here.total)} / ${closing.there === null ? "—" : m.amount(closing.there)}` : t("terminal_never");
    const off = (closing?.differences ?? []).map((one) => h("strong", { class: "blocked" }, t(`differs_${one.kind}`), " ", m.amount(one.there - one.here), " ", one.tender ?? ""));
    return h("tr", { key: `terminal-${lane.lane}` }, h("th", { scope: "row" }, t("lane_n", { n: lane.lane })), h("td", { class: "amount" }, sums, off), h("td", {}, held ? t("terminal_held", { amount: m.amount(held.total), n: held.count }) : ""), h("td", {}, h("button", { type: "button", onclick: () => ask(lane) }, t("terminal_close")), m.view.changed_terminals.includes(name(lane)) ? h("button", { type: "button", class: "danger", onclick: () => m.ask(lane.lane, { accept_terminal: {} }) }, t("terminal_accept")) : null));
  };
  return h("section", { class: "panel" }, h("h2", {}, t("terminals")), h("p", { class: "quiet" }, t("terminals_text")), h("table", { class: "audit" }, h("tbody", {}, lanes.map(row))));
}

/** Money that arrived after its payment had ended: it goes back, by headquarters or by a person who says so. */
function refundTasks(m) {
  const tasks = m.view.refund_tasks;
  if (tasks.length === 0) return null;
  const settle = (task) => async () => {
    const reason = document.getElementById(`late-${task.tender}`).value.trim();
    const at = m.view.lanes.find((lane) => lane.lane === task.lane) ?? m.view.lanes[0];
    if ((await m.ask(at.lane, { settle_late: { tender: task.tender, reason } })).ok) notice(true, t("late_done"));
  };
  const state = (task) => (task.done ? t("late_done") : t(task.staff ? "late_staff" : "late_open"));
  const action = (task) => (task.done || !task.staff ? null : h("span", { class: "row" }, h("input", { id: `late-${task.tender}`, maxlength: "200", "aria-label": t("answer_reason"), placeholder: t("answer_reason") }), h("button", { type: "button", class: "primary", onclick: settle(task) }, t("late_settle"))));
  const row = (task) => h("tr", { key: `late-row-${task.tender}` }, h("th", { scope: "row" }, hour(task.at)), h("td", {}, t("lane_n", { n: task.lane }), " · ", t(task.kind)), h("td", { class: "amount" }, m.amount(task.amount)), h("td", {}, task.reference), h("td", {}, state(task), action(task)));
  return h("section", { class: "panel" }, h("h2", {}, t("late")), h("p", { class: "quiet" }, t("late_text")), h("table", { class: "audit" }, h("tbody", {}, tasks.map(row))));
}

function lastDay(m) {
  const report = m.view.last_day;
  if (!report) return null;
  const print = () => m.ask(m.view.lanes.find((lane) => lane.kind === "staffed")?.lane ?? m.view.lanes[0].lane, { print_day: {} });
  return h("section", { class: "panel" }, h("h2", {}, t("report_day", { n: report.day + 1 })), sums(m, report.totals, [["perpetual", report.perpetual]]), h("button", { type: "button", onclick: print }, icon("printer"), t("reprint_report")));
}

/** How often each rule asked shoppers something and what came of it: what a shop looks at to see that no rule is unfair. */
function audit(m) {
  const { questions, rescans } = m.view.audit;
  const table = (title, rows, columns) =>
    Object.keys(rows).length === 0
      ? null
      : h("table", { class: "audit" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, title), columns.map((column) => h("th", { scope: "col" }, t(`audit_${column}`))))), h("tbody", {}, Object.entries(rows).map(([rule, counts]) => h("tr", {}, h("th", { scope: "row" }, ruleName(rule)), columns.map((column) => h("td", { class: "amount" }, counts[column]))))));
  const tables = [table(t("audit_questions"), questions, ["raised", "approved", "refused", "withdrawn"]), table(t("audit_rescans"), rescans, ["considered", "drawn", "clean", "missed"])];
  if (tables.every((one) => one === null)) return null;
  return h("section", { class: "panel" }, h("h2", {}, t("audit")), h("p", { class: "quiet" }, t("audit_text")), tables);
}

/** `pieces:formula`: the kind in words, then the rule as the shop named it. */
function ruleName(rule) {
  const [kind, ...own] = rule.split(":");
  const name = knows(`question_${kind}`) ? t(`question_${kind}`) : kind;
  return own.length === 0 ? name : `${name} · ${own.join(":")}`;
}

function share(part, whole) {
  return whole === 0 ? 0 : Math.round((part * 100) / whole);
}

function byTender(m) {
  const { day } = m.view;
  const taken = day.card + day.wallet + day.cash;
  const bar = (kind) => {
    const percent = share(day[kind], taken);
    return h("li", {}, icon(kind), h("span", {}, t(kind)), h("span", { class: "meter", "aria-hidden": "true" }, h("i", { css: { width: `${percent}%` } })), h("strong", { class: "amount" }, m.amount(day[kind])), h("span", { class: "quiet amount" }, `${percent} %`));
  };
  return h("ul", { class: "tender-bars" }, ["card", "wallet", "cash"].map(bar));
}

function devices(m) {
  const lanes = m.view.lanes.filter((lane) => lane.devices.length > 0).toSorted((a, b) => a.lane - b.lane);
  return h("table", { class: "devices" }, h("tbody", {}, lanes.map((lane) => h("tr", {}, h("th", { scope: "row" }, t("lane_n", { n: lane.lane })), h("td", {}, lane.devices.map((one) => device(m, one)))))));
}

function device(m, one) {
  const absent = one.kind === "vision" && m.store.vision !== "ready";
  const well = one.up && one.detail === null;
  const state = absent ? t(m.store.vision === "missing" ? "status_no_models" : "device_down") : one.detail ? say(one.detail) : t(one.up ? "device_up" : "device_down");
  const kind = knows(`device_${one.kind}`) ? t(`device_${one.kind}`) : one.name;
  return h("span", { class: well && !absent ? "health" : "health wants", title: one.name }, h("span", { class: "dot" }), h("strong", {}, kind), " ", state);
}

function facts(m) {
  const { store } = m;
  const row = (label, value) => h("div", { class: "row" }, h("dt", { class: "quiet" }, label), h("dd", { class: "amount" }, value));
  return h(
    "dl",
    { class: "facts" },
    row(t("hq"), t(store.online ? "hq_here" : "hq_away", { n: store.backlog })),
    row(t("price_book"), store.price_book),
    store.upkeep.backup ? row(t("backup"), backup(store.upkeep.backup)) : null,
    store.upkeep.clock_doubt ? row(t("clock"), t("clock_doubted")) : null,
    store.upkeep.unsettled !== null ? row(t("journal"), t("journal_unsettled")) : null,
    store.vision === "missing" && store.vision_hint ? row(t("device_vision"), say(store.vision_hint)) : null,
    row(t("version"), store.version),
  );
}

function backup({ at, failed }) {
  const last = at === null ? t("backup_none") : new Date(at).toLocaleString();
  return failed === null ? last : t("backup_failed", { last });
}

function dayClose(m) {
  const open = m.view.lanes.filter((lane) => (lane.transaction !== null && lane.phase !== "done") || lane.shift !== null);
  const close = async () => {
    const at = m.view.lanes.find((lane) => lane.kind === "staffed") ?? m.view.lanes[0];
    if ((await m.ask(at.lane, { day_close: {} })).ok) notice(true, t("day_closed"));
  };
  const { day } = m.view;
  const ask = () => askFirst(m, { title: t("day_close"), text: `${t("day_sales")} ${day.sales} · ${t("day_total")} ${m.amount(day.total)}${t("stop")}${t("day_close_text")}`, action: t("day_close"), yes: close });
  const names = open.map((lane) => t("lane_n", { n: lane.lane })).join(t("comma"));
  return [open.length > 0 ? h("p", { class: "quiet blocked" }, t("day_close_blocked", { lanes: names })) : null, h("button", { type: "button", disabled: open.length > 0, onclick: ask }, icon("lock"), t("day_close"))];
}
