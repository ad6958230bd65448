// One function for each phase of the lane other than the basket.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { say, t } from "/web/i18n.js";
import { attended } from "/web/kiosk-badge.js";
import { memberChip } from "/web/kiosk-basket.js";
import { cameraButton } from "/web/kiosk-panels.js";

export function idle(m) {
  return h(
    "div",
    { class: "screen idle", key: "idle" },
    h("div", { class: "hero" }, h("p", { class: "shop-large" }, say(m.store.store)), h("h1", {}, t("idle_title")), h("p", { class: "lead" }, t("idle_start"))),
    h("div", { class: "code-art", "aria-hidden": "true" }, bars(), h("span", { class: "beam" })),
    attended(m),
    h("div", { class: "choose" }, largeLanguages(m)),
    h(
      "div",
      { class: "ways" },
      memberChip(m),
      cameraButton(m),
      h("button", { type: "button", class: "more", onclick: () => m.open("code") }, icon("keypad"), t("code_key")),
    ),
  );
}

function bars() {
  const widths = [3, 1, 2, 1, 4, 1, 1, 3, 2, 1, 1, 4, 1, 2, 3, 1, 2, 1, 1, 3];
  return h("span", { class: "bars" }, widths.map((width) => h("i", { css: { "flex-grow": String(width) } })));
}

function largeLanguages(m) {
  const one = (language, label, start) =>
    h(
      "button",
      { type: "button", class: "language", lang: language === "zh" ? "zh-CN" : "en", "aria-pressed": m.view.language === language ? "true" : "false", onclick: () => m.ask({ speak: { language } }) },
      h("strong", {}, label),
      h("span", {}, start),
    );
  return [one("zh", "中文", "扫描第一件商品"), one("en", "English", "Scan your first item")];
}

export function weighing(m) {
  const item = m.view.weighing;
  return h(
    "div",
    { class: "screen centred", key: "weighing" },
    h("div", { class: "art plate", "aria-hidden": "true" }, icon("scale", "huge")),
    h("h1", {}, t("weighing_title")),
    item ? h("p", { class: "lead name" }, say(item.name), " ", h("span", { class: "quiet amount" }, `${m.amount(item.unit_price)}/kg`)) : null,
    item?.tare_g ? h("p", { class: "lead" }, t("line_tare", { grams: item.tare_g })) : null,
    h("p", { class: "lead quiet" }, t("weighing_text")),
    h("button", { type: "button", class: "calm", onclick: () => m.ask({ cancel_weighing: {} }) }, t("cancel")),
  );
}

export function paying(m) {
  const { tender } = m.view;
  const wallet = ["wallet", "gift"].includes(tender?.kind);
  const asking = wallet && tender.tender !== null;
  return h(
    "div",
    { class: "screen centred", key: "paying" },
    h("div", { class: `art ${wallet ? "wallet" : "tap"}`, "aria-hidden": "true" }, icon(wallet ? "wallet" : "terminal", "huge"), wallet ? null : h("span", { class: "card-art" }, icon("card", "large"))),
    h("p", { class: "total amount" }, m.amount(Math.abs(tender?.amount ?? m.view.due))),
    h("h1", { "aria-live": "polite" }, payingText(tender, asking)),
    wallet || (tender && say(tender.text)) ? null : h("p", { class: "lead quiet" }, t("card_at_terminal")),
    wallet && !asking ? cameraButton(m) : null,
    asking ? h("span", { class: "busy", role: "presentation" }) : null,
    asking && tender.amount < 0 ? null : h("button", { type: "button", class: "calm", onclick: () => m.ask({ cancel_payment: {} }) }, t(tender?.amount < 0 ? "refund_stop" : "paying_cancel")),
  );
}

function payingText(tender, asking) {
  const said = tender ? say(tender.text) : "";
  if (said) return said;
  if (asking) return t("paying_checking");
  return tender?.kind === "wallet" ? t("paying_wallet") : t("paying_card");
}

export function inDoubt(m) {
  return calm(m, "doubt", h("span", { class: "busy large", role: "presentation" }), t("doubt_title"), [t("doubt_text"), t("doubt_keep")]);
}

export function staff(m) {
  return calm(m, "staff", h("div", { class: "art" }, icon("staff", "huge")), t("staff_title"), [t("staff_text"), t("doubt_keep")]);
}

function calm(m, key, art, title, texts) {
  const amount = Math.abs(m.view.tender?.amount ?? m.view.due);
  return h("div", { class: "screen centred", key, role: "status" }, art, h("h1", {}, title), texts.map((text) => h("p", { class: "lead" }, text)), h("p", { class: "reference amount quiet" }, m.amount(amount)));
}

export function done(m) {
  const receipt = m.view.receipt?.receipt;
  return h(
    "div",
    { class: "screen centred done", key: "done" },
    h("div", { class: "art good", "aria-hidden": "true" }, icon("check", "huge")),
    h("h1", {}, t("done_title")),
    receipt ? h("div", { class: "done-cards" }, paidCard(m, receipt), receipt.coupons.map(coupon)) : null,
    receipt ? h("p", { class: "lead", role: "status" }, paper(m)) : null,
    h("button", { type: "button", class: "primary big", onclick: () => m.ask({ next: {} }, { quiet: true }) }, t("done_next")),
    h("p", { class: "quiet amount" }, t("done_next_in", { n: m.left })),
  );
}

/** The basket goes on at another lane; its code is what calls it there. */
export function handed(m) {
  return h(
    "div",
    { class: "screen centred", key: "handed" },
    h("h1", {}, t("handed_title")),
    h("p", { class: "lead" }, t("handed_text")),
    h("img", { class: "handed-code", src: `/api/qr?text=${encodeURIComponent(m.view.handed)}`, alt: t("handed_code") }),
    h("p", { class: "reference amount" }, m.view.handed),
    h("button", { type: "button", class: "primary big", onclick: () => m.ask({ next: {} }, { quiet: true }) }, t("done_next")),
  );
}

/** Also on the receipt; here for a phone's camera, and where there is no paper. */
function coupon(one) {
  return h(
    "figure",
    { class: "coupon-won", key: one.code },
    h("img", { src: `/api/qr?text=${encodeURIComponent(one.code)}`, alt: one.code, width: "168", height: "168" }),
    h("figcaption", {}, h("span", { class: "quiet" }, t("coupon_won")), h("strong", {}, say(one.name)), h("span", {}, t("coupon_until", { day: one.last_day }))),
  );
}

function paidCard(m, receipt) {
  const row = (label, value, kind = "") => h("div", { class: `row ${kind}`.trim() }, h("dt", {}, label), h("dd", { class: "amount" }, value));
  return h(
    "dl",
    { class: "sums paid-card" },
    row(t("done_paid"), m.amount(receipt.total), "due"),
    receipt.tenders.map((tender) => row(say(tender.kind), m.amount(tender.amount))),
    receipt.points.map((points) => row(say(points.label), points.value)),
    receipt.discount === 0 ? null : row(t("saving"), m.amount(-Math.abs(receipt.discount)), "saving"),
    receipt.change === 0 ? null : row(t("change"), m.amount(receipt.change), "change"),
    row(t("receipt_no", { n: "" }).trim(), `${receipt.lane}-${String(receipt.number).padStart(6, "0")}`),
  );
}

const PRINTING_MS = 6_000;

function paper(m) {
  if (m.view.receipt.printed) return t("printed");
  const printer = m.view.devices.find((device) => device.kind === "printer");
  const working = printer && printer.up && printer.detail === null;
  return working && m.ui.now - m.ui.doneAt < PRINTING_MS ? t("printing") : t("printing_not");
}
