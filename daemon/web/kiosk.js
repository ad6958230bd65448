// The self-checkout page of one lane: draws what the box says and tells it what was pressed. It keeps only which panel is open.

import { follow, isNews, linkBanner, money, notice, post, quiet, refusal } from "/web/aisle.js";
import { h, show } from "/web/dom.js";
import { say, speak, t } from "/web/i18n.js";
import { basket } from "/web/kiosk-basket.js";
import { bar, statusLine } from "/web/kiosk-frame.js";
import { MINE_MS } from "/web/kiosk-mine.js";
import { panel } from "/web/kiosk-panels.js";
import { done, handed, idle, inDoubt, paying, staff, weighing } from "/web/kiosk-screens.js";

const SCREENS = { idle, scanning: basket, weighing, paying, in_doubt: inDoubt, staff, done, handed };
/** Panels that may stay open while the lane is in that phase. */
const PANELS = { idle: ["member", "member_code", "member_phone", "code", "badge_pin"], scanning: ["member", "member_code", "member_phone", "code", "pay", "give_up", "there", "badge_pin", "face_pay", "mine"] };
const TICK_MS = 1_000;
const NEXT_MS = 8_000;
/** Time to read that there is no receipt on paper. */
const NEXT_UNPRINTED_MS = 20_000;
const THERE_MS = 90_000;
const GIVE_UP_MS = 30_000;

const lane = location.pathname.split("/")[2];
const root = (id) => document.getElementById(id);
const ui = { panel: null, fresh: null, touched: Date.now(), doneAt: null, linked: false, now: Date.now(), why: "badge_checked", asked: null, mine: null };
let view = null;
let store = null;
/** Proves that this is the page of the lane where somebody enrols. */
let mirror = null;

function model() {
  return { view, store, ui, mirror, ask, asStaff, withPin, because, open, amount: (of) => money(store.currency, of), left: secondsLeft() };
}

async function ask(request, { quiet = false } = {}) {
  const answer = await post(`/api/lane/${lane}`, request);
  if (!answer.ok && !quiet) notice(false, refusal(answer));
  return answer;
}

/** Staff whose badge was scanned here; where a PIN is asked for, what was pressed waits for it. */
function asStaff(request) {
  if (!view.attending.pin) return ask({ badged: { request } });
  ui.asked = request;
  return open("badge_pin");
}

async function withPin(pin) {
  const answer = await post(`/api/lane/${lane}/badge`, { pin, request: ui.asked });
  if (!answer.ok) return notice(false, refusal(answer));
  ui.asked = null;
  return open(null);
}

function because(why) {
  ui.why = why;
  draw();
}

function open(name) {
  ui.panel = name;
  draw();
}

function heard(message) {
  const before = view;
  ({ view, store, mirror } = message);
  speak(view.language);
  if (before?.phase !== view.phase) entered();
  else if (before.pieces !== view.pieces || before.total !== view.total) changed(before);
  if (view.member && !before?.member) recognised();
  if (ui.panel && !PANELS[view.phase]?.includes(ui.panel)) ui.panel = null;
  if (ui.panel === "mine" && before?.data_shown && !view.data_shown) ui.panel = null;
  if (view.notice && isNews(view.lane, view.notice.serial)) notice(view.notice.good, say(view.notice.text));
  draw();
}

function entered() {
  ui.fresh = null;
  ui.touched = Date.now();
  quiet();
  ui.doneAt = view.phase === "done" ? Date.now() : null;
  root("app").scrollTop = 0;
  root("app").focus({ preventScroll: true });
}

function changed(before) {
  const grown = (line) => line.quantity > (before.lines.find((old) => old.no === line.no)?.quantity ?? 0);
  ui.fresh = view.lines.findLast(grown)?.no ?? null;
  ui.touched = Date.now();
  quiet();
}

function recognised() {
  ui.touched = Date.now();
  quiet();
  if (ui.panel === "member") ui.panel = null;
}

function draw() {
  if (!view) return;
  ui.now = Date.now();
  if (ui.panel !== "mine") ui.mine = null;
  const now = model();
  const over = panel(now);
  show(root("bar"), bar(now));
  show(root("app"), SCREENS[view.phase](now));
  show(root("status"), statusLine(now));
  const opened = !root("layer").firstChild && over;
  show(root("layer"), over);
  root("app").inert = Boolean(over) || !ui.linked;
  root("layer").inert = !ui.linked;
  document.body.dataset.phase = view.phase;
  document.title = `${say(store.store)} · ${t("lane_n", { n: view.lane })}`;
  if (opened) root("layer").querySelector("h2")?.focus();
}

function secondsLeft() {
  if (ui.panel === "there") return Math.ceil((ui.touched + THERE_MS + GIVE_UP_MS - ui.now) / 1000);
  if (ui.doneAt === null) return null;
  const wait = view.receipt?.printed ? NEXT_MS : NEXT_UNPRINTED_MS;
  return Math.max(0, Math.ceil((ui.doneAt + wait - ui.now) / 1000));
}

/** A basket somebody may have walked away from; never one that money or a person is busy with. */
function maybeLeft() {
  const busy = view.paid !== 0 || view.interventions.length > 0 || view.help_since !== null || lookingNow() || view.camera;
  return view.phase === "scanning" && !busy;
}

function lookingNow() {
  return view.face !== null && view.face.outcome === null;
}

function tick() {
  if (!view || !ui.linked) return;
  ui.now = Date.now();
  if (view.phase === "done" && secondsLeft() === 0) ask({ next: {} }, { quiet: true });
  if (ui.panel === "mine" && ui.now - ui.touched > MINE_MS) open(null);
  if (maybeLeft()) presence(ui.now - ui.touched);
  else if (ui.panel === "there") ui.panel = null;
  if (view.phase === "done" || view.help_since !== null || ui.panel === "there") draw();
}

function presence(silence) {
  if (silence > THERE_MS + GIVE_UP_MS) {
    ui.panel = null;
    ui.touched = ui.now;
    ask({ void_transaction: {} }, { quiet: true });
  } else if (silence > THERE_MS && ui.panel !== "there") open("there");
}

function linked(up) {
  if (ui.linked === up) return;
  ui.linked = up;
  linkBanner(up);
  draw();
}

function refused(status) {
  if (status === 404 && !view) show(root("app"), h("p", { class: "loading" }, t("no_lane")));
}

function touched() {
  ui.touched = Date.now();
}

function pressed(event) {
  touched();
  if (event.key === "Escape" && ui.panel) open(null);
}

document.addEventListener("pointerdown", touched);
document.addEventListener("keydown", pressed);
follow(`/api/events/${lane}`, { data: heard, link: linked, refused });
setInterval(tick, TICK_MS);
