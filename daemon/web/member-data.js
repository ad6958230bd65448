// What this store has of a member, as kiosk and desk show it: the sums first, then every fact.

import { money, post } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { knows, t } from "/web/i18n.js";

/** Asks the box, which asks for the member code and writes down that it told. */
export function fetchData(lane, token = null) {
  return token ? post(`/api/staff/lane/${lane}/member-data`, {}, token) : post(`/api/lane/${lane}/my-data`, {});
}

export function sums(data) {
  const { face, sales, member } = data;
  const row = (label, value) => h("div", { class: "row" }, h("dt", {}, t(label)), h("dd", { class: "amount" }, value));
  const when = (label, at) => (at === null ? null : row(label, moment(at)));
  return h(
    "dl",
    { class: "sums data-sums" },
    row("data_template", t(face.consent ? "data_template_kept" : "data_template_none")),
    face.consent ? [row("data_consent", `${face.consent.text_version} · ${moment(face.consent.at_utc_ms)}`), row("data_consent_hash", h("code", {}, face.consent.text_sha256))] : null,
    when("data_enrolled", face.enrolled_at),
    when("data_withdrawn", face.withdrawn_at),
    when("data_erased", face.erased_at),
    row("data_recognised", face.recognised === 0 ? "0" : `${face.recognised} · ${moment(face.recognised_last)}`),
    row("data_not_recognised", face.not_recognised),
    row("data_paid", face.paid),
    row("data_sales", sales.count),
    row("data_points", t("data_points_of", { earned: sales.points_earned, burnt: sales.points_burnt })),
    member ? row("data_phone", member.phone || t("data_none")) : null,
  );
}

/** Newest first; what a page cannot name is left to the file. */
export function facts(currency, data) {
  const told = data.facts.toReversed().filter((fact) => knows(`fact_${fact.what}`));
  return h("ol", { class: "data-facts", tabindex: "0", "aria-label": t("data_facts") }, told.map((fact) => h("li", {}, h("span", { class: "quiet amount" }, moment(fact.at)), h("span", {}, t(`fact_${fact.what}`), detail(currency, fact)))));
}

function detail(currency, { detail }) {
  const amount = detail?.amount ?? detail?.total;
  if (amount !== undefined) return h("span", { class: "amount" }, ` ${money(currency, amount)}`);
  return detail?.text_version ? h("span", { class: "quiet" }, ` ${detail.text_version}`) : null;
}

function moment(ms) {
  const at = new Date(ms);
  const two = (part) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}
