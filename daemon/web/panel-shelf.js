// What a hand can hold to the scanner: goods, any code, member cards, payment codes.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { keypad } from "/web/keypad.js";
import { knows, say, t } from "/web/i18n.js";

const GRAMS = [180, 450, 800, 1250, 2300];
/** Right in form, and in no shop's price book. */
const UNKNOWN_CODE = "6900000000014";
const WECHAT = "13";
const ALIPAY = "28";
const WALLET_DIGITS = 16;

export function shelf(m) {
  const found = m.desk.goods.filter((item) => shown(m, item));
  return h("section", { class: "tile" }, h("header", {}, icon("basket"), h("h2", {}, t("panel_goods")), find(m)), groups(m), weigh(m), h("ul", { class: "goods" }, found.map((item) => h("li", { key: item.code }, good(m, item)))));
}

function shown(m, item) {
  if (m.ui.group !== null && item.group !== m.ui.group) return false;
  const wanted = m.ui.find.trim().toLowerCase();
  return wanted === "" || [item.name.zh, item.name.en, item.code].some((text) => text.toLowerCase().includes(wanted));
}

function find(m) {
  const input = (event) => {
    m.ui.find = event.target.value;
    m.draw();
  };
  return h("input", { type: "search", class: "find", placeholder: t("panel_search"), "aria-label": t("panel_search"), oninput: input });
}

function groups(m) {
  const names = [...new Set(m.desk.goods.map((item) => item.group))];
  const one = (group, label) => {
    const choose = () => {
      m.ui.group = group;
      m.draw();
    };
    return h("button", { type: "button", "aria-pressed": m.ui.group === group ? "true" : "false", onclick: choose }, label);
  };
  return h("div", { class: "groups", role: "group" }, one(null, t("panel_groups_all")), names.map((group) => one(group, groupName(group))));
}

function groupName(group) {
  return knows(`group_${group}`) ? t(`group_${group}`) : group;
}

function good(m, item) {
  const per = item.by_weight ? "/kg" : "";
  return h(
    "button",
    { type: "button", class: "item", onclick: () => pick(m, item) },
    h("span", { class: "name" }, say(item.name)),
    h("span", { class: "price amount" }, m.amount(item.price) + per, item.by_weight ? icon("scale") : null),
    h("span", { class: "tags" }, item.min_age ? h("i", { class: "tag age" }, t("panel_restricted", { n: item.min_age })) : null, item.offer ? h("i", { class: "tag" }, say(item.offer)) : null),
  );
}

function pick(m, item) {
  if (item.by_weight) {
    m.ui.weigh = item;
    m.draw();
    document.getElementById("weigh").scrollIntoView({ block: "nearest" });
  } else scan(m, label(item), say(item.name));
}

/** Loose goods wear the shop's own label: the item number, no weight yet, a check digit. */
function label(item) {
  if (!item.by_weight || item.code.length !== 7) return item.code;
  const digits = `${item.code}00000`;
  const sum = Array.from(digits, (digit, at) => Number(digit) * (at % 2 === 0 ? 1 : 3)).reduce((one, other) => one + other);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}

function scan(m, code, name) {
  return m.control("scanner", { scan: code }, t("panel_sent", { name }));
}

function weigh(m) {
  const item = m.ui.weigh;
  if (!item) return h("div", { id: "weigh" });
  const leave = () => {
    m.ui.weigh = null;
    m.draw();
  };
  const put = async () => {
    leave();
    await m.control("scale", { put: m.ui.grams });
    await scan(m, label(item), say(item.name));
  };
  return h(
    "div",
    { id: "weigh", class: "weigh" },
    h("p", {}, h("strong", { class: "name" }, say(item.name)), " ", t("panel_weigh")),
    h("div", { class: "groups" }, gramButtons(m)),
    h("div", { class: "groups" }, h("button", { type: "button", class: "primary", onclick: put }, icon("scale"), t("panel_weigh_scan")), h("button", { type: "button", onclick: () => (leave(), scan(m, label(item), say(item.name))) }, icon("barcode"), t("panel_code_scan")), h("button", { type: "button", class: "plain", onclick: leave }, t("cancel"))),
  );
}

function gramButtons(m) {
  return GRAMS.map((grams) => {
    const choose = () => {
      m.ui.grams = grams;
      m.draw();
    };
    return h("button", { type: "button", class: "amount", "aria-pressed": m.ui.grams === grams ? "true" : "false", onclick: choose }, `${grams} g`);
  });
}

export function codes(m) {
  return h("div", { class: "codes" }, memberCards(m), h("div", { class: "column" }, wallets(m), papers(m)), anyCode(m));
}

function memberCards(m) {
  const card = (member) =>
    h("li", { key: member.code }, h("button", { type: "button", class: "member-card", onclick: () => scan(m, member.code, member.name) }, h("strong", {}, member.name, member.face ? icon("face") : null), h("span", { class: "amount" }, member.code)));
  return h("section", { class: "tile" }, h("header", {}, icon("member"), h("h2", {}, t("panel_members"))), h("ul", { class: "cards" }, m.desk.members.map(card)));
}

function wallets(m) {
  const button = (prefix, name) => h("button", { type: "button", onclick: () => scan(m, prefix + digits(WALLET_DIGITS), name) }, icon("wallet"), name);
  return h("section", { class: "tile" }, h("header", {}, icon("wallet"), h("h2", {}, t("panel_wallets"))), h("div", { class: "stack" }, button(WECHAT, t("panel_wallet_wechat")), button(ALIPAY, t("panel_wallet_alipay"))));
}

/** A badge, and coupons anybody may have. */
function papers(m) {
  const button = (paper) => h("button", { type: "button", onclick: () => scan(m, paper.code, say(paper.name)) }, icon(paper.kind), say(paper.name));
  return h("section", { class: "tile" }, h("header", {}, icon("points"), h("h2", {}, t("panel_papers"))), h("div", { class: "stack" }, m.desk.papers.map(button)));
}

/** Payment codes are good once, so each press shows another. The sandbox decides by the last digit: 0 to 7 pay. */
function digits(count) {
  return Array.from(crypto.getRandomValues(new Uint8Array(count)), (byte, at) => byte % (at === count - 1 ? 8 : 10)).join("");
}

function anyCode(m) {
  return h(
    "section",
    { class: "tile" },
    h("header", {}, icon("barcode"), h("h2", {}, t("panel_code_free"))),
    keypad({ id: "any-code", label: t("code"), action: t("panel_code_scan"), typedOnly: true, submit: (code) => scan(m, code, code) }),
    h("button", { type: "button", onclick: () => scan(m, UNKNOWN_CODE, UNKNOWN_CODE) }, t("panel_code_unknown")),
  );
}
