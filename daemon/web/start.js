// The page at the box's address: where to go from here.

import { h, show } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { remember, remembered, say, speak, spoken, t } from "/web/i18n.js";

/** What is true of every box, should it not say more. */
const PLAIN = { store: { zh: "Aisle", en: "Aisle" }, version: "", lanes: [{ lane: 1, kind: "kiosk" }], hq: null, panel: null };
let box = PLAIN;

async function begin() {
  draw();
  try {
    const response = await fetch("/api/start", { cache: "no-store" });
    if (response.ok) box = { ...PLAIN, ...(await response.json()) };
  } catch {
    // The plain links stay.
  }
  draw();
}

function draw() {
  const kiosks = box.lanes.map((lane) => card(`/kiosk/${lane.lane}`, lane.kind === "staffed" ? "cash" : "basket", t("lane_n", { n: lane.lane }), t(`kind_${lane.kind}`)));
  show(
    document.getElementById("app"),
    h("header", {}, icon("shop", "large"), h("div", {}, h("h1", {}, say(box.store)), h("p", { class: "quiet" }, t("start_text"))), languages()),
    h("ul", {}, kiosks, card("/staff", "staff", t("staff"), t("start_staff_text")), box.hq ? card(box.hq, "network", t("start_hq"), t("start_hq_text")) : null, box.panel ? card(box.panel, "terminal", t("panel"), t("start_panel_text")) : null),
    h("p", { class: "quiet version" }, `Aisle ${box.version}`),
  );
}

function card(href, name, title, text) {
  return h("li", {}, h("a", { href }, icon(name, "large"), h("span", {}, h("strong", {}, title), h("span", { class: "quiet" }, text))));
}

function languages() {
  const one = (language, label) =>
    h("button", { type: "button", lang: language === "zh" ? "zh-CN" : "en", "aria-pressed": spoken() === language ? "true" : "false", onclick: () => (remember(language), draw()) }, label);
  return h("div", { class: "languages", role: "group", "aria-label": t("language") }, one("zh", "中文"), one("en", "English"));
}

speak(remembered());
begin();
