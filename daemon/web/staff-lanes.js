// The list of lanes, those that need somebody first, longest waiting first among equals.

import { clock } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { knows, say, t } from "/web/i18n.js";

const ICONS = { doubt: "terminal", age: "staff", other: "staff", help: "help", device: "alert" };

/** What a lane wants of staff, most urgent first: `{ kind, text, since }`. */
export function needs(m, lane) {
  return [
    ...(lane.phase === "staff" ? [{ kind: "doubt", text: t(lane.tender?.amount < 0 ? "alert_refund" : "alert_doubt"), since: lane.tender?.since ?? null }] : []),
    ...lane.interventions.map((one) => ({ kind: one.kind === "age" ? "age" : "other", text: say(one.text), since: one.since ?? null, intervention: one })),
    ...(lane.help_since === null ? [] : [{ kind: "help", text: t("alert_help"), since: lane.help_since }]),
    ...lane.devices.filter((device) => wantsSomebody(m, device)).map((device) => ({ kind: "device", text: deviceText(device), since: null })),
  ];
}

/** Vision that was never installed is no task for an attendant. */
function wantsSomebody(m, device) {
  if (device.kind === "vision" && m.store.vision !== "ready") return false;
  return !device.up || device.detail !== null;
}

export function deviceText(device) {
  const name = knows(`device_${device.kind}`) ? t(`device_${device.kind}`) : device.name;
  return `${name}${t("colon")}${device.detail === null ? t("device_down") : say(device.detail)}`;
}

const ORDER = ["doubt", "age", "other", "help", "device"];

function rank(m, lane) {
  const first = needs(m, lane)[0];
  if (first) return ORDER.indexOf(first.kind);
  if (lane.phase === "in_doubt") return ORDER.length;
  return lane.phase === "idle" ? ORDER.length + 2 : ORDER.length + 1;
}

export function byUrgency(m) {
  const since = (lane) => needs(m, lane)[0]?.since ?? Number.MAX_SAFE_INTEGER;
  return m.view.lanes.toSorted((a, b) => rank(m, a) - rank(m, b) || since(a) - since(b) || a.lane - b.lane);
}

export function laneList(m) {
  return [h("ul", { class: "lanes" }, byUrgency(m).map((lane) => card(m, lane))), suspended(m)];
}

/** Baskets that wait: for the lane that is open on this page, or for a scan of their code. */
function suspended(m) {
  if (m.view.suspended.length === 0) return null;
  const resume = (one) => h("button", { type: "button", disabled: m.lane === null || m.lane.pieces > 0, onclick: () => m.ask(m.lane.lane, { resume: { transaction: one.transaction } }) }, m.lane === null ? t("resume") : t("resume_at", { n: m.lane.lane }));
  const row = (one) => h("li", { class: "waiting", key: `suspended-${one.transaction}` }, h("span", {}, h("strong", {}, t("lane_n", { n: one.lane })), " ", h("span", { class: "quiet" }, pieces(one))), h("strong", { class: "amount" }, m.amount(one.total)), resume(one));
  return h("section", { class: "suspended" }, h("h2", {}, t("suspended")), h("ul", {}, m.view.suspended.map(row)));
}

function card(m, lane) {
  const wants = needs(m, lane);
  const here = m.lane?.lane === lane.lane;
  const urgent = wants.some((one) => one.kind !== "device");
  return h(
    "li",
    { class: ["lane", urgent ? "urgent" : "", here ? "here" : ""].join(" ").trim(), key: `lane-${lane.lane}` },
    h(
      "button",
      { type: "button", class: "lane-open", "aria-current": here ? "true" : null, onclick: () => m.choose(`lane-${lane.lane}`) },
      h("span", { class: "number" }, lane.lane),
      h("span", { class: "lane-what" }, h("strong", {}, t(`kind_${lane.kind}`)), h("span", { class: "quiet" }, t(`phase_${lane.phase}`))),
      lane.pieces === 0 ? null : h("span", { class: "lane-sum" }, h("strong", { class: "amount" }, m.amount(lane.total)), h("span", { class: "quiet" }, pieces(lane))),
    ),
    wants.length === 0 ? null : h("ul", { class: "wants-list" }, wants.map((one) => want(m, lane, one))),
  );
}

export function pieces(lane) {
  return lane.pieces === 1 ? t("pieces_one") : t("pieces", { n: lane.pieces });
}

function want(m, lane, one) {
  return h("li", { class: `want ${one.kind}` }, icon(ICONS[one.kind]), h("span", { class: "name" }, one.text, waited(m, one)), quickAnswer(m, lane, one));
}

export function waited(m, one) {
  return one.since === null ? null : h("span", { class: "amount waited" }, t("waiting", { time: clock(m.now - one.since) }));
}

function quickAnswer(m, lane, one) {
  if (one.kind === "help") return h("button", { type: "button", onclick: () => m.ask(lane.lane, { end_help: {} }) }, t("help_end"));
  return null;
}
