// The devices of a lane as things on a desk: plate, terminal, camera, printer.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { kilograms } from "/web/aisle.js";
import { knows, say, t } from "/web/i18n.js";

const WEIGHTS = [180, 450, 1250];
const BEHAVIOURS = ["approve", "decline", "hang", "hang_up"];
const CHARGES_SHOWN = 3;
// What may go wrong on any line, counted in answers from the press on.
const FAULTS = {
  unplug: { unplug: 3000 },
  hang: { script: [{ answer: 1, do: "hang", ms: 3000 }] },
  garbage: { script: [{ answer: 1, do: "garbage" }] },
  drop: { script: [{ answer: 1, do: "drop" }] },
  slow: { script: [{ answer: 1, do: "slow", ms: 1000 }] },
};

function tile(m, kind, name, body) {
  const device = m.device(kind);
  return h("section", { class: `tile ${kind}` }, h("header", {}, icon(name), h("h2", {}, t(`device_${kind}`))), device ? body(device.state) : h("p", { class: "quiet" }, t("panel_no_device")), device && name !== "camera" ? faults(m, kind) : null);
}

function faults(m, kind) {
  return [h("p", { class: "quiet label" }, t("panel_broken")), h("div", { class: "groups" }, Object.entries(FAULTS).map(([name, verb]) => press(m, kind, verb, t(`panel_broken_${name}`))))];
}

function press(m, kind, body, label, props = {}) {
  return h("button", { type: "button", ...props, onclick: () => m.control(kind, body) }, label);
}

/** It is pulled on the shelf; here it only fails. */
export function scanner(m) {
  return tile(m, "scanner", "basket", () => []);
}

export function scale(m) {
  return tile(m, "scale", "scale", (state) => [
    h("p", { class: state.moving ? "readout moving amount" : "readout amount", role: "status" }, state.grams > 0 ? kilograms(state.grams) : t("panel_plate_empty")),
    h("div", { class: "groups" }, WEIGHTS.map((grams) => press(m, "scale", { put: grams }, `${grams} g`))),
    h("div", { class: "groups" }, press(m, "scale", { remove: true }, t("panel_plate_clear")), press(m, "scale", { moving: !state.moving }, t("panel_moving"), { "aria-pressed": state.moving ? "true" : "false" })),
  ]);
}

export function terminal(m) {
  return tile(m, "terminal", "terminal", (state) => [
    h("p", { class: state.waiting ? "readout waits amount" : "readout quiet", role: "status" }, state.waiting ? t("panel_terminal_waiting", { amount: m.amount(state.waiting.amount) }) : t("panel_terminal_free")),
    h("div", { class: "groups" }, press(m, "terminal", { tap: true }, [icon("card"), t("panel_card_tap")], { class: "primary", disabled: !state.waiting }), press(m, "terminal", { decline: true }, t("panel_card_decline"), { disabled: !state.waiting })),
    h("p", { class: "quiet label" }, t("panel_fault")),
    h("div", { class: "groups" }, BEHAVIOURS.map((one) => press(m, "terminal", { behaviour: one }, t(`panel_fault_${one}`), { "aria-pressed": state.behaviour === one ? "true" : "false" }))),
    charges(m, state.charges ?? []),
  ]);
}

function charges(m, list) {
  if (list.length === 0) return null;
  const one = (charge) => h("li", { key: `charge-${charge.trace}` }, h("span", { class: "quiet amount" }, `#${charge.trace}`), h("strong", { class: "amount" }, m.amount(charge.amount)), h("span", {}, knows(`charge_${charge.state}`) ? t(`charge_${charge.state}`) : charge.state));
  return [h("p", { class: "quiet label" }, t("panel_charges")), h("ul", { class: "charges" }, list.toSorted((a, b) => b.trace - a.trace).slice(0, CHARGES_SHOWN).map(one))];
}

export function camera(m) {
  const photo = (one) => h("li", { key: one.id }, h("button", { type: "button", class: "photo", onclick: () => m.control("vision", { show: one.id }, t("panel_shown", { name: say(one.label) })) }, h("img", { src: one.url, alt: "", width: 96, height: 120 }), h("span", {}, say(one.label))));
  return tile(m, "vision", "camera", () => [h("p", { class: "quiet" }, t("panel_camera_text")), h("ul", { class: "photos" }, m.desk.photos.map(photo))]);
}

export function printer(m) {
  return tile(m, "printer", "printer", (state) => [
    h("div", { class: "groups" }, h("span", { class: state.paper ? "paper" : "paper out", role: "status" }, t(state.paper ? "panel_paper" : "status_paper_out")), press(m, "printer", { paper: !state.paper }, t(state.paper ? "panel_paper_none" : "panel_paper_put"))),
    state.receipts.length === 0 ? h("p", { class: "quiet" }, t("panel_printer_none")) : h("ol", { class: "receipts", tabindex: "0", "aria-label": t("device_printer") }, state.receipts.toSorted((a, b) => b.id - a.id).map(receipt)),
  ]);
}

function receipt(one) {
  return h("li", { key: `receipt-${one.id}` }, one.svg ? h("img", { src: one.svg, alt: one.text }) : h("pre", {}, one.text));
}
