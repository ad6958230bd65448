// My data at the kiosk: what this store has of whoever showed the member code, on paper where there is a printer, and the end of
// the face. It is on the screen only as long as its owner looks at it.

import { notice, post, refusal } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { FACE_ENROL } from "/web/face-enrol-2.js";
import { icon } from "/web/icons.js";
import { spoken, t } from "/web/i18n.js";
import { facts, fetchData, sums } from "/web/member-data.js";

/** Without a touch for so long it goes from the screen. */
export const MINE_MS = 60_000;

/** Beside the member's name: only whoever showed the code may look. */
export function mineButton(m) {
  if (!m.view.member?.by_code) return null;
  return h("button", { type: "button", class: "plain", "aria-label": t("data_mine"), title: t("data_mine"), onclick: () => look(m) }, icon("lock"));
}

async function look(m) {
  m.ui.mine = null;
  m.open("mine");
  keep(m, await fetchData(m.view.lane));
}

function keep(m, answer) {
  if (m.ui.panel !== "mine") return;
  if (!answer.ok) {
    notice(false, refusal(answer));
    return m.open(null);
  }
  m.ui.mine = answer;
  return m.open("mine");
}

export function minePanel(m, sheet, close) {
  const data = m.ui.mine;
  return sheet(
    m,
    "mine",
    t("data_mine"),
    h("p", { class: "lead amount who" }, m.view.member?.masked ?? ""),
    data ? h("div", { class: "data" }, sums(data), facts(m.store.currency, data)) : h("span", { class: "busy", role: "presentation" }),
    h("p", { class: "quiet" }, t("data_mine_text")),
    h("details", {}, h("summary", {}, t("data_consent_text")), h("ul", { class: "consent" }, FACE_ENROL[spoken()].map((text) => h("li", {}, text)))),
    h("div", { class: "pair" }, printing(m, data), h("button", { type: "button", class: "danger big", disabled: !data, onclick: () => forget(m) }, t("face_withdraw"))),
    close,
  );
}

function printing(m, data) {
  const printer = m.view.devices.find((device) => device.kind === "printer");
  if (!printer) return null;
  const print = async () => keep(m, await post(`/api/lane/${m.view.lane}/my-data`, { print: true }));
  return h("button", { type: "button", class: "big", disabled: !data || !printer.up, onclick: print }, icon("printer"), t("data_print"));
}

async function forget(m) {
  if (!(await m.ask({ withdraw_face: {} })).ok) return;
  keep(m, await fetchData(m.view.lane));
}
