// What frames every screen of the kiosk: whose shop this is, language and help above, the one honest status line below.

import { clock } from "/web/aisle.js";
import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { knows, say, t } from "/web/i18n.js";

export function bar(m) {
  return [
    h("div", { class: "shop" }, icon("shop", "shop-icon"), h("div", {}, h("p", { class: "shop-name" }, say(m.store.store)), h("p", { class: "quiet" }, t("lane_n", { n: m.view.lane }), " · ", t(`kind_${m.view.kind}`)))),
    m.store.training ? h("p", { class: "training", role: "status" }, t("training")) : null,
    languages(m),
    help(m),
  ];
}

export function languages(m) {
  const one = (language, label) =>
    h("button", { type: "button", lang: language === "zh" ? "zh-CN" : "en", "aria-pressed": m.view.language === language ? "true" : "false", onclick: () => m.ask({ speak: { language } }) }, label);
  return h("div", { class: "languages", role: "group", "aria-label": t("language") }, one("zh", "中文"), one("en", "English"));
}

function help(m) {
  if (m.view.help_since === null) {
    return h("button", { type: "button", class: "help", onclick: () => m.ask({ call_help: {} }) }, icon("help"), t("help"));
  }
  const waited = h("span", { class: "amount" }, clock(m.ui.now - m.view.help_since));
  return h("p", { class: "help coming", role: "status" }, icon("help"), t("help_called"), waited);
}

export function statusLine(m) {
  const troubles = [...(m.store.upkeep.disk_full ? [t("disk_full")] : []), ...(m.store.price_book === "" ? [t("no_goods")] : []), ...(m.view.cash_only ? [t("cash_only_shopper")] : []), ...network(m), ...devices(m), ...vision(m)];
  if (troubles.length === 0) return h("p", { class: "status quiet" }, h("span", { class: "dot" }), t("status_good"));
  return h("p", { class: "status wants", role: "status" }, h("span", { class: "dot" }), h("span", {}, troubles.join(" · ")));
}

function network(m) {
  return m.store.online ? [] : [t("network_away")];
}

function devices(m) {
  return m.view.devices.filter((device) => wants(m, device)).map(trouble);
}

function wants(m, device) {
  if (device.kind === "vision" && m.store.vision !== "ready") return false;
  return !device.up || device.detail !== null;
}

function trouble(device) {
  if (device.detail !== null) return knows(`device_${device.kind}`) ? `${t(`device_${device.kind}`)}${t("colon")}${say(device.detail)}` : say(device.detail);
  return knows(`status_${device.kind}`) ? t(`status_${device.kind}`) : device.name;
}

function vision(m) {
  // How it is installed stands on the staff page: a shopper has no command line.
  return m.store.vision === "missing" ? [t("status_no_models")] : [];
}
