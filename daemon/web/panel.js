// The demo's desk: a person plays the shopper and every device of a lane.

import { follow, linkBanner, money, notice, post, refusal } from "/web/aisle.js";
import { h, show } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { remember, remembered, speak, spoken, t } from "/web/i18n.js";
import { camera, printer, scale, scanner, terminal } from "/web/panel-devices.js";
import { codes, shelf } from "/web/panel-shelf.js";

/** Until the demo names another. */
const YUAN = { sign: "￥", digits: 2 };
const root = (id) => document.getElementById(id);
const ui = { lane: null, group: null, find: "", weigh: null, grams: 450 };
let desk = null;

function model() {
  const amount = (of) => money(desk.currency ?? YUAN, of);
  return { desk, ui, draw, amount, device, control };
}

function device(kind) {
  return desk.devices.find((one) => one.kind === kind && (one.lane === ui.lane || one.lane === null)) ?? desk.devices.find((one) => one.kind === kind && kind === "vision") ?? null;
}

/** Tells a simulator what happens to it; says `done` when it took it. */
async function control(kind, body, done) {
  const one = device(kind);
  if (!one) return notice(false, t("panel_no_device"));
  const answer = await post(`/panel/control/${encodeURIComponent(one.name)}`, body);
  if (!answer.ok) return notice(false, refusal(answer));
  if (done) notice(true, done);
  return undefined;
}

function heard(message) {
  desk = message;
  if (!desk.lanes.some((lane) => lane.lane === ui.lane)) ui.lane = desk.lanes[0]?.lane ?? null;
  draw();
}

function draw() {
  if (!desk) return;
  const m = model();
  document.title = `${t("panel")} · Aisle`;
  show(root("bar"), bar(m));
  show(root("app"), h("div", { class: "desk" }, h("div", { class: "left" }, shelf(m), codes(m), scanner(m)), h("div", { class: "right" }, scale(m), terminal(m), camera(m), printer(m))));
}

function bar(m) {
  return [
    h("div", { class: "title" }, h("h1", {}, t("panel")), h("p", { class: "quiet" }, t("panel_text"))),
    links(m),
    languages(),
    lanes(m),
  ];
}

function links(m) {
  const kiosk = m.desk.links.kiosk?.replace(/\d+$/, String(ui.lane));
  const link = (href, name, text) => (href ? h("a", { href, target: "_blank", rel: "noopener" }, icon(name), text) : null);
  const pin = m.desk.staff_pin ? h("span", { class: "quiet pin" }, t("panel_pin", { pin: m.desk.staff_pin })) : null;
  return h("nav", { class: "links" }, link(kiosk, "basket", t("kind_kiosk")), link(m.desk.links.staff, "staff", t("staff")), link(m.desk.links.hq, "shop", t("hq")), pin);
}

function languages() {
  const one = (language, label) =>
    h("button", { type: "button", lang: language === "zh" ? "zh-CN" : "en", "aria-pressed": spoken() === language ? "true" : "false", onclick: () => (remember(language), draw()) }, label);
  return h("div", { class: "languages", role: "group", "aria-label": t("language") }, one("zh", "中文"), one("en", "English"));
}

function lanes(m) {
  if (m.desk.lanes.length < 2) return null;
  const choose = (lane) => () => {
    ui.lane = lane;
    draw();
  };
  return h(
    "div",
    { class: "lane-tabs", role: "group", "aria-label": t("lanes") },
    m.desk.lanes.map((lane) => h("button", { type: "button", "aria-pressed": lane.lane === ui.lane ? "true" : "false", onclick: choose(lane.lane) }, h("strong", {}, t("lane_n", { n: lane.lane })), h("span", {}, t(`kind_${lane.kind}`)))),
  );
}

speak(remembered());
follow("/panel/events", { data: heard, link: linkBanner });
