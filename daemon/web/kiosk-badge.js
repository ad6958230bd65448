// Staff at the kiosk: who showed a badge here answers on the spot, with the PIN where the shop asks for it.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { say, t } from "/web/i18n.js";

const WHY = ["badge_checked", "badge_put_right", "badge_left_here"];

export function attended(m) {
  const { attending, interventions, help_since } = m.view;
  if (attending === null) return null;
  const help = help_since === null ? null : h("button", { type: "button", onclick: () => m.asStaff({ end_help: {} }) }, t("help_end"));
  return h(
    "div",
    { class: "waits attended", key: "attended", role: "status" },
    icon("staff", "large"),
    h("div", {}, h("h2", {}, t("badge_here", { role: t(`role_${attending.role}`) })), m.view.rescan ? h("p", { class: "amount" }, t("look_found", m.view.rescan)) : null, interventions.length > 0 ? reasons(m) : null),
    h("div", { class: "answers" }, help, h("button", { type: "button", class: "plain", onclick: () => m.ask({ leave_lane: {} }) }, t("badge_leave"))),
    interventions.map((one) => question(m, one)),
  );
}

function reasons(m) {
  const chip = (why) => h("button", { type: "button", "aria-pressed": m.ui.why === why ? "true" : "false", onclick: () => m.because(why) }, t(why));
  return h("div", { class: "chips", role: "group", "aria-label": t("reason") }, WHY.map(chip));
}

function question(m, one) {
  const answer = (approved) => () => m.asStaff({ answer: { intervention: one.id, approved, reason: t(m.ui.why) } });
  return h(
    "div",
    { class: "question-row", key: `question-${one.id}` },
    h("p", { class: "name" }, say(one.text), one.role === "cashier" ? null : h("span", { class: "quiet" }, " ", t("needs_role", { role: t(`role_${one.role}`) }))),
    h("div", { class: "answers" }, h("button", { type: "button", class: "danger", onclick: answer(false) }, icon("refuse"), t("age_refuse")), h("button", { type: "button", class: "primary", onclick: answer(true) }, icon("check"), t("age_approve"))),
  );
}

/** What the sheet of the PIN holds. */
export function badgePin(m) {
  return [h("p", { class: "quiet" }, t("badge_pin_text")), keypad({ id: "badge-pin", label: t("badge_pin"), type: "password", max: 12, action: t("confirm"), submit: (pin) => m.withPin(pin) })];
}
