// The one question asked before what cannot be undone.

import { h } from "/web/dom.js";
import { t } from "/web/i18n.js";

/** `m.ui.confirm`: title, text, action, yes(). */
export function confirm(m) {
  const { title, text, action, yes } = m.ui.confirm;
  const leave = () => {
    m.ui.confirm = null;
    m.draw();
  };
  const agree = async () => {
    leave();
    await yes();
  };
  return h(
    "div",
    { class: "veil", key: "confirm" },
    h(
      "section",
      { class: "sheet", role: "alertdialog", "aria-modal": "true", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      h("h2", { id: "confirm-title", tabindex: "-1" }, title),
      h("p", { id: "confirm-text" }, text),
      h("div", { class: "pair" }, h("button", { type: "button", class: "big", onclick: leave }, t("cancel")), h("button", { type: "button", class: "danger big", onclick: agree }, action)),
    ),
  );
}

export function askFirst(m, question) {
  m.ui.confirm = question;
  m.draw();
}
