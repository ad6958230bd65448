// A number pad beside a real input: fingers, keyboards and screen readers all reach the same field.

import { h } from "/web/dom.js";
import { icon } from "/web/icons.js";
import { t } from "/web/i18n.js";

/** `props`: id, label, submit(text), action (button text); maybe type, max, extra (one more key), input(text), disabled, autofocus, typedOnly (no pad). */
export function keypad(props) {
  const keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", props.extra ?? "", "0"];
  return h(
    "form",
    { class: "keypad", key: props.id, autocomplete: "off", onsubmit: (event) => submitted(event, props) },
    h("label", { for: props.id }, props.label),
    field(props),
    props.typedOnly ? null : h("div", { class: "keys" }, keys.map(keyButton), eraseButton()),
    h("button", { class: "primary big", type: "submit", disabled: props.disabled }, props.action),
  );
}

function field(props) {
  return h("input", {
    id: props.id,
    name: "typed",
    type: props.type ?? "text",
    inputmode: props.typedOnly ? "text" : "none",
    maxlength: props.max ?? 64,
    autocomplete: "off",
    spellcheck: "false",
    "data-first": props.autofocus,
    oninput: props.input ? (event) => props.input(event.target.value) : null,
  });
}

function keyButton(key) {
  if (key === "") return h("span", {});
  return h("button", { type: "button", onclick: (event) => type(event, (text) => text + key) }, key);
}

function eraseButton() {
  const label = t("erase");
  return h("button", { type: "button", "aria-label": label, onclick: (event) => type(event, (text) => text.slice(0, -1)) }, icon("erase"));
}

function type(event, change) {
  const input = event.currentTarget.closest("form").elements.typed;
  input.value = change(input.value);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

function submitted(event, props) {
  event.preventDefault();
  const input = event.currentTarget.elements.typed;
  const text = input.value.trim();
  if (text === "") return;
  input.value = "";
  props.submit(text);
}
