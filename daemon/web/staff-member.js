// A member's data at the desk, at the request of the member who showed the code at that lane: to look at, and as a file to hand over.

import { notice, refusal } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { t } from "/web/i18n.js";
import { facts, fetchData, sums } from "/web/member-data.js";

export function memberButton(m, lane) {
  if (!lane.member?.by_code) return null;
  const look = async () => {
    const answer = await fetchData(lane.lane, sessionStorage.getItem("staff-token"));
    if (!answer.ok) return notice(false, refusal(answer));
    Object.assign(m.ui, { panel: "member", told: answer, reason: "" });
    return m.draw();
  };
  return h("button", { type: "button", onclick: look }, icon("lock"), t("data_member"));
}

export function memberPanel(m, lane) {
  const data = m.ui.told;
  if (!data || !lane.member?.by_code) return null;
  const leave = () => {
    Object.assign(m.ui, { panel: null, told: null });
    m.draw();
  };
  return h(
    "section",
    { class: "tender faces", key: "member-data" },
    h("p", { class: "due" }, h("button", { type: "button", class: "plain", "aria-label": t("back"), onclick: leave }, icon("back")), h("strong", {}, t("data_member"))),
    h("p", { class: "lead amount" }, lane.member.masked),
    h("p", { class: "quiet" }, t("data_member_text")),
    h("button", { type: "button", class: "primary", onclick: () => save(data) }, t("data_save")),
    sums(data),
    facts(m.store.currency, data),
    h("button", { type: "button", class: "danger", onclick: () => m.ask(lane.lane, { withdraw_face: {} }).then((answer) => answer.ok && leave()) }, t("face_withdraw")),
  );
}

/** A file under a name that tells nobody's. */
function save({ ok: _ok, status: _status, ...data }) {
  const file = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  h("a", { href: file, download: "member-data.json" }).click();
  setTimeout(() => URL.revokeObjectURL(file), 1_000);
}
