// The staff desk: who needs somebody, and everything an attendant may do about it. The address's hash says which lane or page is open.

import { follow, linkBanner, money, notice, post, quiet, refusal } from "/web/aisle.js";
import { h, show } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { remember, remembered, say, speak, spoken, t } from "/web/i18n.js";
import { confirm } from "/web/staff-confirm.js";
import { laneDetail } from "/web/staff-lane.js";
import { byUrgency, laneList, needs } from "/web/staff-lanes.js";
import { storePage } from "/web/staff-store.js";

const TICK_MS = 1_000;
const root = (id) => document.getElementById(id);
const ui = { tender: null, part: null, panel: null, line: null, price: null, move: null, given: 0, reason: "", confirm: null, told: null, linked: false, now: Date.now() };
let view = null;
let store = null;
let stop = null;

function model() {
  return { view, store, ui, now: ui.now, ask, draw, choose, amount: (of) => money(store.currency, of), lane: chosen(), role: sessionStorage.getItem("staff-role") ?? "cashier" };
}

function chosen() {
  const number = Number(location.hash.replace("#lane-", ""));
  return view.lanes.find((lane) => lane.lane === number) ?? null;
}

function choose(hash) {
  location.hash = hash;
}

/** Asks on behalf of a lane; says what came of it only where it went wrong. */
async function ask(lane, request) {
  const answer = await post(`/api/staff/lane/${lane}`, request, token());
  if (answer.status === 401) logOut(t("logged_out"));
  else if (!answer.ok) notice(false, refusal(answer));
  return answer;
}

function token() {
  return sessionStorage.getItem("staff-token");
}

function heard(message) {
  const before = view && chosen();
  ({ view, store } = message);
  // Another member is there, or nobody: what was told goes from the screen.
  if (before?.data_shown && !chosen()?.data_shown) ui.told = null;
  draw();
}

function draw() {
  ui.now = Date.now();
  document.title = `${t("staff")} · Aisle`;
  if (!token()) return drawLogin();
  if (!view) return undefined;
  const now = model();
  show(root("bar"), bar(now));
  show(root("app"), desk(now));
  const over = ui.confirm ? confirm(now) : null;
  const opened = over && !root("layer").firstChild;
  show(root("layer"), over);
  root("app").inert = Boolean(over) || !ui.linked;
  if (opened) root("layer").querySelector("h2").focus();
  return undefined;
}

function desk(now) {
  const page = location.hash === "#store" ? storePage(now) : laneDetail(now);
  const open = location.hash === "#store" || now.lane ? "desk open" : "desk";
  return h("div", { class: open, key: "desk" }, h("nav", { class: "list", "aria-label": t("lanes") }, laneList(now)), h("section", { class: "detail", tabindex: "0", "aria-label": t("store") }, page));
}

function bar(now) {
  const waiting = byUrgency(now).filter((lane) => needs(now, lane).length > 0).length;
  return [
    h("div", { class: "shop" }, icon("shop", "shop-icon"), h("div", {}, h("p", { class: "shop-name" }, say(view.store)), h("p", { class: "quiet" }, sessionStorage.getItem("staff-name") ?? t("staff")))),
    h("p", { class: waiting ? "needs wants" : "needs", role: "status" }, waiting ? t("needs_n", { n: waiting }) : t("needs_none")),
    store.training ? h("p", { class: "needs wants training" }, t("training")) : null,
    store.upkeep.disk_full || store.upkeep.disk_low ? h("p", { class: "needs wants" }, t(store.upkeep.disk_full ? "disk_full" : "disk_low")) : null,
    store.upkeep.wal_held !== null ? h("p", { class: "needs wants" }, t("wal_held")) : null,
    store.price_book === "" ? h("p", { class: "needs wants" }, t("no_goods")) : null,
    store.online ? null : h("p", { class: "needs wants" }, t("network_away")),
    h("button", { type: "button", "aria-pressed": location.hash === "#store" ? "true" : "false", onclick: () => choose(location.hash === "#store" ? "" : "store") }, icon("day"), t("day")),
    languages(),
    h("button", { type: "button", class: "plain", onclick: () => logOut() }, t("logout")),
  ];
}

function languages() {
  const one = (language, label) =>
    h("button", { type: "button", lang: language === "zh" ? "zh-CN" : "en", "aria-pressed": spoken() === language ? "true" : "false", onclick: () => (remember(language), draw()) }, label);
  return h("div", { class: "languages", role: "group", "aria-label": t("language") }, one("zh", "中文"), one("en", "English"));
}

function drawLogin() {
  const pad = keypad({ id: "pin", label: t("log_in_text"), type: "password", max: 12, action: t("log_in"), submit: logIn, autofocus: true });
  show(root("bar"), h("div", { class: "shop" }, icon("shop", "shop-icon"), h("h1", { class: "shop-name" }, t("staff"))), languages());
  show(root("layer"));
  show(root("app"), h("div", { class: "login", key: "login" }, pad));
  root("app").inert = false;
  if (document.activeElement === document.body) document.querySelector("[data-first]").focus();
}

async function logIn(pin) {
  const answer = await post("/api/staff/login", { pin });
  if (!answer.ok) return notice(false, refusal(answer));
  sessionStorage.setItem("staff-token", answer.token);
  sessionStorage.setItem("staff-name", answer.name);
  sessionStorage.setItem("staff-role", answer.role);
  quiet();
  return begin();
}

function logOut(why) {
  stop?.();
  linkBanner(true);
  sessionStorage.removeItem("staff-token");
  sessionStorage.removeItem("staff-name");
  sessionStorage.removeItem("staff-role");
  view = null;
  Object.assign(ui, { confirm: null, tender: null, told: null });
  if (why) notice(false, why);
  draw();
}

function begin() {
  show(root("app"), h("p", { class: "loading" }, t("loading")));
  stop = follow(`/api/events/staff?token=${encodeURIComponent(token())}`, { data: heard, link: linked, refused });
}

function linked(up) {
  if (ui.linked === up) return;
  ui.linked = up;
  linkBanner(up);
  draw();
}

function refused(status) {
  if (status === 401 || status === 403) logOut(t("logged_out"));
}

/** Another lane is another task: nothing half-typed goes along. */
function turned() {
  Object.assign(ui, { tender: null, part: null, panel: null, line: null, price: null, move: null, given: 0, reason: "", confirm: null, told: null });
  quiet();
  draw();
}

function pressed(event) {
  if (event.key !== "Escape" || !ui.confirm) return;
  ui.confirm = null;
  draw();
}

speak(remembered());
addEventListener("hashchange", turned);
document.addEventListener("keydown", pressed);
setInterval(() => view && draw(), TICK_MS);
if (token()) begin();
else draw();
