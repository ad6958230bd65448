// What every page shares: following the box, asking it for something, and saying amounts as it does.

import { h, show } from "/web/dom.js";
import { say, t } from "/web/i18n.js";

/** The box sends at least a ping every 10 s. */
const SILENCE_MS = 25_000;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 5_000;
const ANSWER_MS = 15_000;

/**
 * Follows server-sent events for ever. `data` gets each message, `link` is told true and false as the connection comes and
 * goes, `refused` gets an HTTP status that is not 200. Read by hand, since EventSource hides pings and so never notices a dead network.
 */
export function follow(url, { data, link, refused }) {
  const stop = new AbortController();
  const run = async () => {
    let retry = RETRY_FIRST_MS;
    while (!stop.signal.aborted) {
      const status = await listen(url, stop.signal, (message) => {
        retry = RETRY_FIRST_MS;
        link(true);
        data(message);
      });
      if (stop.signal.aborted) return;
      link(false);
      if (status !== 200) refused?.(status);
      await pause(retry * (0.75 + Math.random() / 2));
      retry = Math.min(retry * 2, RETRY_LAST_MS);
    }
  };
  run();
  return () => stop.abort();
}

/** Resolves when the stream has ended, with the HTTP status; 200 also for one that broke off. */
async function listen(url, stop, message) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const signal = AbortSignal.any([stop, silence.signal]);
    const response = await fetch(url, { headers: { Accept: "text/event-stream" }, signal, cache: "no-store" });
    if (!response.ok) return response.status;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return 200;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      text = deliver(text + value, message);
    }
  } catch {
    return 200;
  } finally {
    clearTimeout(timer);
  }
}

/** Hands out every whole event in `text`; returns what is left. */
function deliver(text, message) {
  const events = text.split(/\r?\n\r?\n/);
  const rest = events.pop();
  for (const event of events) {
    const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
    if (lines.length > 0) message(JSON.parse(lines.map((line) => line.slice(5)).join("\n")));
  }
  return rest;
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

const asked = new Map();

/** Asks the box; always resolves to `{ ok, refused?, text?, … }`. A second press of the same thing joins the first. */
export function post(path, body, token) {
  const text = JSON.stringify(body);
  const key = `${path} ${text}`;
  if (!asked.has(key)) asked.set(key, ask(path, text, token).finally(() => asked.delete(key)));
  return asked.get(key);
}

async function ask(path, body, token) {
  const headers = { "Content-Type": "application/json", "X-Aisle": "1" };
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const response = await fetch(path, { method: "POST", headers, body, signal: AbortSignal.timeout(ANSWER_MS) });
    const answer = await response.json().catch(() => ({}));
    return { ...answer, status: response.status, ok: response.ok && answer.ok !== false };
  } catch {
    return { ok: false, status: 0, text: null };
  }
}

/** What to tell the person about an answer that was not ok. */
export function refusal(answer) {
  return answer.text ? say(answer.text) : t("not_delivered");
}

/** `￥12.50`, exactly as receipts print it. */
export function money(currency, amount) {
  const minus = amount < 0 ? "-" : "";
  const digits = String(Math.abs(amount)).padStart(currency.digits + 1, "0");
  if (currency.digits === 0) return `${minus}${currency.sign}${digits}`;
  return `${minus}${currency.sign}${digits.slice(0, -currency.digits)}.${digits.slice(-currency.digits)}`;
}

/** `1.250 kg` from grams, without a float. */
export function kilograms(grams) {
  return `${Math.trunc(grams / 1000)}.${String(grams % 1000).padStart(3, "0")} kg`;
}

/** The banner that says the page may be out of date. */
export function linkBanner(up) {
  show(document.getElementById("link"), up ? null : h("p", { class: "banner" }, t("link_lost")));
}

const NOTICE_MS = { good: 4_000, bad: 7_000 };
let noticeTimer;

/** Says `text` once, to eyes and to screen readers. The page holds two live regions, `said-good` and `said-bad`. */
export function notice(good, text) {
  const kind = good ? "good" : "bad";
  quiet();
  show(document.getElementById(`said-${kind}`), h("p", { class: `notice ${kind}` }, text));
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => show(document.getElementById(`said-${kind}`)), NOTICE_MS[kind]);
}

/** Takes the last notice away: something newer happened. */
export function quiet() {
  show(document.getElementById("said-good"));
  show(document.getElementById("said-bad"));
}

/** True the first time a page meets this notice of this lane, also across reloads. */
export function isNews(lane, serial) {
  const key = `notice-${lane}`;
  if (sessionStorage.getItem(key) === String(serial)) return false;
  sessionStorage.setItem(key, String(serial));
  return true;
}

/** The hour of a moment, as the store's clock shows it. */
export function hour(ms) {
  const at = new Date(ms);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

/** `0:42` from milliseconds. */
export function clock(ms) {
  const seconds = Math.max(0, Math.trunc(ms / 1000));
  return `${Math.trunc(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
