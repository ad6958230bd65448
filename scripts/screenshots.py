#!/usr/bin/env python3
"""Pictures of every page as people see them, for docs/ and for whoever changes a page.

    scripts/screenshots.py [FOLDER]      (docs; `make screenshots`)

Opens a demo store, plays a shopper and an attendant over the store's own HTTP interface, and photographs the pages in headless
Chromium over its DevTools pipe. Needs python3 and chromium, nothing else.
"""

import base64
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "aisled"
LANDSCAPE, PORTRAIT = (1280, 800), (800, 1280)
STAFF_PIN = "2468"
MEMBER = "M1234567897"
# Two that cost less together, milk of two sorts, noodles with money off: lines with a saving and lines without.
GOODS = ["6901234567892", "6970000010122", "6970000010122", "6980000040029", "6980000040036", "6950000050038"]
PEARS = "2112345000008"


class Demo:
    """A demo store in a folder of its own."""

    def __init__(self, folder):
        command = [PROGRAM, "demo", "--dir", folder]
        faces = os.environ.get("AISLE_FACES")
        self.folder, self.faces = pathlib.Path(folder), faces
        self.process = subprocess.Popen(command + (["--faces", faces] if faces else []), stdout=subprocess.PIPE, text=True)
        said = ""
        for line in self.process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        found = re.findall(r"http://([0-9.:]+)/", said)
        if len(found) < 4:
            sys.exit(f"the demo did not open:\n{said}")
        self.panel, self.pages, _, self.hq = (f"http://{one}" for one in found[:4])

    def close(self):
        self.process.send_signal(2)
        self.process.wait(15)

    def ask(self, url, body=None, token=None):
        headers = {"X-Aisle": "1", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return {"ok": False, "status": error.code, "said": error.read().decode()}

    def device(self, name, verb):
        return self.ask(f"{self.panel}/panel/control/{name}", verb)

    def press(self, lane, request):
        return self.ask(f"{self.pages}/api/lane/{lane}", request)

    def view(self, lane):
        return self.ask(f"{self.pages}/api/view/{lane}")["view"]

    def until(self, lane, what, wanted):
        for _ in range(100):
            if wanted(self.view(lane)):
                return
            time.sleep(0.1)
        sys.exit(f"waited for {what}; lane {lane} shows {json.dumps(self.view(lane), ensure_ascii=False)[:800]}")

    def scan(self, lane, code):
        answer = self.device(f"scanner-{lane}", {"scan": code})
        if not answer["ok"]:
            sys.exit(f"{code} cannot be scanned: {answer}")
        time.sleep(0.4)


class Browser:
    """Headless Chromium, driven over its pipe: one JSON message after the other, each ended by a zero byte."""

    def __init__(self, profile):
        (there, self.write), (self.read, back) = os.pipe(), os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking"]

        def connect():
            os.dup2(there, 13), os.dup2(back, 14)
            os.dup2(13, 3), os.dup2(14, 4)

        command = ["chromium", *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(command, preexec_fn=connect, close_fds=False, stderr=subprocess.DEVNULL)
        self.number, self.rest = 0, b""
        target = self.call("Target.createTarget", {"url": "about:blank"}, None)["targetId"]
        self.session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True}, None)["sessionId"]

    def call(self, method, params=None, session="own"):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                self.rest += os.read(self.read, 1 << 20)
            one, self.rest = self.rest.split(b"\0", 1)
            answer = json.loads(one)
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]

    def run(self, script):
        return self.call("Runtime.evaluate", {"expression": script, "awaitPromise": True}).get("result", {}).get("value")

    def open(self, url, size=LANDSCAPE):
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.call("Page.navigate", {"url": "about:blank"})
        self.call("Page.navigate", {"url": url})
        time.sleep(1.5)

    def take(self, file, wait=0.6):
        time.sleep(wait)
        picture = self.call("Page.captureScreenshot", {"format": "png"})["data"]
        file.write_bytes(base64.b64decode(picture))
        print(file.name, flush=True)

    def close(self):
        os.write(self.write, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        self.process.wait(10)


def shopper(demo, browser, folder):
    kiosk = f"{demo.pages}/kiosk/1"
    browser.open(kiosk)
    browser.take(folder / "kiosk-start.png")
    for code in GOODS:
        demo.scan(1, code)
    demo.device("scale-1", {"put": 620})
    demo.scan(1, PEARS)
    demo.scan(1, MEMBER)
    demo.until(1, "the basket", lambda view: len(view["lines"]) >= 5)
    for language in ["zh", "en"]:
        demo.press(1, {"speak": {"language": language}})
        browser.open(kiosk)
        browser.take(folder / ("kiosk.png" if language == "en" else "kiosk-zh.png"))
        browser.open(kiosk, PORTRAIT)
        browser.take(folder / f"kiosk-portrait-{language}.png")
    demo.press(1, {"pay": {"method": "card"}})
    browser.open(kiosk)
    browser.take(folder / "kiosk-pay.png")


def attendant(demo, browser, folder):
    demo.scan(2, "6970000010139")
    demo.scan(2, "6980000140019")
    demo.press(1, {"call_help": {}})
    token = demo.ask(f"{demo.pages}/api/staff/login", {"pin": STAFF_PIN})
    for language in ["zh", "en"]:
        browser.open(f"{demo.pages}/staff")
        keep = {"staff-token": token["token"], "staff-name": token.get("name", ""), "staff-role": token.get("role", "cashier")}
        browser.run(f"localStorage.setItem('language', '{language}'); for (const [k, v] of Object.entries({json.dumps(keep)})) sessionStorage.setItem(k, v);")
        for name, hash_ in [("staff", ""), ("staff-lane", "#lane-2"), ("staff-store", "#store")]:
            browser.open(f"{demo.pages}/staff{hash_}")
            browser.take(folder / (f"{name}.png" if language == "en" else f"{name}-zh.png"))
    demo.device("terminal-1", {"tap": True})
    demo.until(1, "the sale", lambda view: view["receipt"] is not None)
    browser.open(f"{demo.pages}/kiosk/1")
    browser.take(folder / "kiosk-thanks.png")


def faces(demo, browser, folder):
    """What members and staff see of faces, in both languages; the ledger as it is shortly before and after filing is due."""
    kiosk = f"{demo.pages}/kiosk/2"
    demo.scan(2, "6970000010139")
    click = "for (const b of document.querySelectorAll('button')) if (%s.test(b.getAttribute('aria-label') || b.textContent)) { b.click(); break; }"
    token = demo.ask(f"{demo.pages}/api/staff/login", {"pin": STAFF_PIN})["token"]
    for language in ["zh", "en"]:
        end = "" if language == "en" else "-zh"
        demo.press(2, {"speak": {"language": language}})
        browser.open(kiosk)
        browser.run(click % "/我是会员|member/i")
        browser.take(folder / f"face-consent{end}.png")
        demo.scan(2, MEMBER)
        browser.open(kiosk)
        browser.run(click % "/我的数据|My data/")
        browser.take(folder / f"my-data{end}.png")
        browser.open(f"{demo.pages}/staff")
        browser.run(f"localStorage.setItem('language', '{language}'); sessionStorage.setItem('staff-token', '{token}'); sessionStorage.setItem('staff-role', 'manager');")
        browser.open(f"{demo.pages}/staff#lane-2")
        browser.run(click % "/开通刷脸|Face: enrol/")
        browser.take(folder / f"face-enrol{end}.png")
        demo.press(2, {"remove_member": {}})
        if demo.view(2)["face_pay"] and demo.faces:
            demo.device("vision", {"show": "member"})
            demo.press(2, {"pay_by_face": {"consent": "face-consent-1"}})
            demo.until(2, "a known face", lambda view: view["confirming"] is not None)
            browser.open(kiosk)
            browser.take(folder / f"face-confirm{end}.png")
            demo.press(2, {"cancel_payment": {}})
            demo.press(2, {"remove_member": {}})
    for count in [80_000, 100_000]:
        with sqlite3.connect(demo.folder / "hq" / "hq.db", timeout=30) as db:
            db.executemany("INSERT OR IGNORE INTO face_stored (member, box, at) VALUES (?, 'demo-1', 1)", ((f"p-{n}",) for n in range(count)))
        for language in ["zh", "en"]:
            browser.open(f"{demo.hq}/faces?lang={language}")
            browser.take(folder / f"hq-faces-{count // 1000}k{'' if language == 'en' else '-zh'}.png")


def headquarters(demo, browser, folder):
    time.sleep(2)
    for language in ["zh", "en"]:
        for name, path in [("hq", "/"), ("hq-box", "/box/demo-1"), ("hq-coupons", "/coupons"), ("hq-parity", "/parity")]:
            browser.open(f"{demo.hq}{path}?lang={language}")
            browser.take(folder / (f"{name}.png" if language == "en" else f"{name}-zh.png"))
    browser.open(demo.panel)
    browser.run("localStorage.setItem('language', 'en')")
    browser.open(demo.panel, (1280, 1000))
    browser.take(folder / "panel.png")


FLEET = """
INSERT INTO box (id, store, journal, epoch, acked, hash, head, boot, connection, online, first_seen, last_seen, version, price_book, devices)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
SELECT printf('cn-%05d', i), city || ' ' || (1 + i / 8), 'j' || i, 1, 38000 + i, zeroblob(32), 38000 + i + iif(i % 571 = 7, 3000 + i, i % 4 / 3), 3, 2,
    i % 173 <> 5 AND i % 571 <> 7, 0, unixepoch() * 1000 - iif(i % 173 = 5 OR i % 571 = 7, 60000 * (3 + i % 400), 700 * (i % 20)),
    iif(i % 7 = 0, '0.0.9', '0.1.0'), iif(i % 97 = 1, 'pb-2026-11', 'pb-2026-12'),
    json_object('printer-1', json(iif(i % 211 = 4, 'false', 'true')), 'scale-1', json('true'), 'scanner-1', json('true'), 'terminal-1', json(iif(i % 499 = 9, 'false', 'true')))
FROM n JOIN (SELECT 0 AS k, 'Nanjing Road' AS city UNION SELECT 1, 'Huaihai Road' UNION SELECT 2, 'West Lake' UNION SELECT 3, 'Chunxi Road'
    UNION SELECT 4, 'Wangfujing' UNION SELECT 5, 'Tianhe' UNION SELECT 6, 'Jiefangbei' UNION SELECT 7, 'Hankou') ON k = i % 8;
INSERT INTO dataset (dataset, version, name, rows, imported, manifest) VALUES ('catalogue', 12, 'pb-2026-12', 1, unixepoch() * 1000, '{"dataset":"catalogue","version":12,"name":"pb-2026-12","chunks":[],"raw":0,"rows":0}');
INSERT INTO box_data (box, dataset, version, name, since) SELECT id, 'catalogue', iif(price_book = 'pb-2026-12', 12, 11), price_book, unixepoch() * 1000 - 86400000 FROM box;
INSERT INTO box_data (box, dataset, version, name, since) SELECT id, 'members', 40, 'members-40', unixepoch() * 1000 - 7200000 FROM box;
INSERT INTO alarm (box, kind, detail, at, last_at, count) SELECT id, 'backup_failed', 'its journal could not be copied to the second medium', 0, unixepoch() * 1000 - 240000, 1 FROM box WHERE id LIKE '%377';
INSERT INTO alarm (box, kind, detail, at, last_at, count) SELECT id, 'disk_low', 'its disk has little room left', 0, unixepoch() * 1000 - 1900000, 3 FROM box WHERE id LIKE '%5501';
INSERT INTO alarm (box, kind, detail, at, last_at, count) VALUES ('cn-04312', 'terminal_difference', 'terminal-1: amount: journal 34000, terminal 33650', 0, unixepoch() * 1000 - 5000000, 1);
INSERT INTO sale_quarter (quarter, currency, sales, total, with_member)
WITH RECURSIVE q(n) AS (SELECT unixepoch() / 900 - 1343 UNION ALL SELECT n + 1 FROM q WHERE n < unixepoch() / 900)
SELECT n, 'CNY', 9 * (400 + 17 * (n % 23)), 31337 * (400 + 17 * (n % 23)) * 3, 5 * (400 + 17 * (n % 23)) FROM q
    WHERE CAST(strftime('%H', n * 900, 'unixepoch', 'localtime') AS INTEGER) BETWEEN 8 AND 21 OR n > unixepoch() / 900 - 8;
INSERT INTO sale (transaction_id, box, lane, receipt_no, at, total, tax, discount, change, currency, member, epoch, seq, content)
SELECT id || '-1', id, 1, 40000 + rowid, unixepoch() * 1000 - 300 * rowid % 600000, 350 + 25 * (rowid % 90), 0, 0, 0, 'CNY', iif(rowid % 3, 'm', NULL), 1, 1, x'00' FROM box;
INSERT INTO sale_tender (transaction_id, tender, kind, amount) SELECT transaction_id, '1', iif(receipt_no % 2, 'wallet', 'card'), total FROM sale;
"""


def fleet(folder, browser):
    """Headquarters of ten thousand boxes on an ordinary morning: some away, some behind, some with a device down."""
    with tempfile.TemporaryDirectory() as data:
        program, nowhere = PROGRAM.with_name("aisle-hq"), ["--http", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0"]
        subprocess.run([program, "pubkey", "--data", data], check=True, stdout=subprocess.DEVNULL)
        with sqlite3.connect(os.path.join(data, "hq.db")) as db:
            db.executescript(FLEET)
        command = [program, "serve", "--ready-json", "--data", data, *nowhere]
        serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        console = json.loads(serving.stdout.readline())["http"]
        for language, end in [("zh", "-zh"), ("en", "")]:
            for name, path in [("hq-fleet", "/fleet?"), ("hq-start", "/?"), ("hq-one", "/box/cn-00398?")]:
                browser.open(f"{console}{path}lang={language}")
                browser.take(folder / f"{name}{end}.png", wait=1.5)
        serving.terminate()
        serving.wait(15)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        demo = Demo(os.path.join(temporary, "demo"))
        try:
            browser = Browser(os.path.join(temporary, "profile"))
            for part in [shopper, attendant, headquarters, faces]:
                part(demo, browser, folder)
            fleet(folder, browser)
            browser.close()
        finally:
            demo.close()


if __name__ == "__main__":
    main()
