//! A member's face from consent to erasure, over real processes; and what a checkout does without its camera. Photographs and models
//! are never part of this project: without AISLE_MODELS and AISLE_FACES these tests say so.

use aisle_hq::faces::is_genuine;
use aisled::journal::Reader;
use aisled::{client, http};
use anyhow::{Context as _, Result, ensure};
use checkout::face::ErasureReceipt;
use e2e::{COLA, MEMBER, PHONE, PIN, Plan, Shop, finished, lines, printed, program, until};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ENROL: [&str; 3] = ["photos/person_a.jpg", "photos/person_a_2.jpg", "photos/person_a_3.jpg"];
const OWNER: [&str; 3] = ["photos/person_a_1.jpg", "photos/person_a_480p.jpg", "photos/person_a_partial_face2.jpg"];
const CAT: &str = "photos/chelsea.png";
/// Frames without a face settle nothing: the camera looks until its time is up.
const LONG: usize = 900;
/// Eight digits that nothing else here has.
const PAY_PIN: &str = "86420975";
const BALANCE: i64 = 100_000;
/// Somebody of the staff who does not enrol anybody.
const OTHER_PIN: &str = "8642";

/// The folders of models and photographs.
fn material() -> Option<(PathBuf, PathBuf)> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    let both = folder("AISLE_MODELS").zip(folder("AISLE_FACES"));
    if both.is_none() {
        eprintln!("skipped: AISLE_MODELS or AISLE_FACES is not set");
    }
    both
}

/// A store whose lane has a camera that plays photographs; a member with a wallet and a PIN.
struct Faces {
    shop: Shop,
    models: PathBuf,
    photographs: PathBuf,
    vision: Option<Child>,
}

impl Drop for Faces {
    fn drop(&mut self) {
        self.kill_vision();
    }
}

impl Faces {
    fn open() -> Result<Option<Self>> {
        let Some((models, photographs)) = material() else { return Ok(None) };
        let more = "[floor.face]\npay = true\n".to_owned();
        let shop = Shop::closed(Plan { more, ..Plan::default() })?;
        let mut config = std::fs::OpenOptions::new().append(true).open(shop.config())?;
        let socket = shop.path("vision.sock");
        writeln!(config, "vision = \"vision\"")?;
        writeln!(config, "[[lane]]\nnumber = 2\nkind = \"kiosk\"\nvision = \"vision\"")?;
        writeln!(config, "[[staff]]\nid = \"s-2\"\nname = \"Wu\"\npin = \"{}\"", http::pin::stored(OTHER_PIN)?)?;
        writeln!(config, "[[device]]\nname = \"vision\"\ndriver = \"vision\"\nlink = \"unix:{}\"", socket.display())?;
        let mut sign = program("aisle-hq");
        sign.args(["member-wallet", "sign", "m-001", "--sale-limit", "50000", "--day-limit", "80000", "--pin-stdin"]);
        sign.args(["--balance", &BALANCE.to_string()]).arg("--data").arg(shop.path("hq"));
        with_input(&mut sign, PAY_PIN)?;
        std::fs::create_dir(shop.path("gallery"))?;
        let mut faces = Self { shop, models, photographs, vision: None };
        faces.shop.start_hq()?;
        faces.start_vision(&mut program("aisle-vision"))?;
        faces.shop.start()?;
        faces.wait_for_camera()?;
        let open = |view: &Value| view["store"]["price_book"] == "pb-1" && view["store"]["online"] == true;
        faces.shop.wait("goods and headquarters", open)?;
        Ok(Some(faces))
    }

    fn start_vision(&mut self, command: &mut Command) -> Result<()> {
        command.arg("--models").arg(&self.models).arg("run").arg("--demo-source");
        command.arg("--socket").arg(self.shop.path("vision.sock")).arg("--gallery").arg(self.gallery());
        command.arg("--key").arg(self.shop.path("gallery.key"));
        command.arg("--source").arg(format!("file:{}", self.photographs.display()));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.shop.path("vision.log"))?;
        self.vision = Some(command.stdin(Stdio::null()).stderr(log).spawn().context("aisle-vision")?);
        Ok(())
    }

    fn gallery(&self) -> PathBuf {
        self.shop.path("gallery/gallery.db")
    }

    /// `kill -9`.
    fn kill_vision(&mut self) {
        if let Some(mut vision) = self.vision.take() {
            let _ = vision.kill();
            let _ = vision.wait();
        }
    }

    fn restart_vision(&mut self) -> Result<()> {
        self.start_vision(&mut program("aisle-vision"))?;
        self.wait_for_camera()
    }

    fn wait_for_camera(&self) -> Result<()> {
        let up = |view: &Value| camera(view)["up"] == true && view["store"]["vision"] == "ready";
        self.shop.wait("the camera", up).map(drop)
    }

    /// One question to the vision process beside the daemon's.
    fn ask(&self, request: &Value) -> Result<Value> {
        let mut stream = UnixStream::connect(self.shop.path("vision.sock"))?;
        writeln!(stream, "{request}")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    fn show(&self, files: &[&str]) -> Result<()> {
        let shown = self.ask(&json!({"show": {"files": files}}))?;
        ensure!(shown["shown"]["files"] == files.len(), "{shown}");
        Ok(())
    }

    fn templates(&self) -> Result<Value> {
        Ok(self.ask(&json!({"status": {}}))?["status"]["gallery"].clone())
    }

    /// The member shows the code and agrees, a person of the staff presses.
    fn enrol(&self, photographs: &[&str]) -> Result<()> {
        self.show(photographs)?;
        self.shop.member(MEMBER)?;
        self.shop.staff(json!({"enrol_face": {"text_version": "face-enrol-1", "age": "fourteen_or_over"}}))
    }

    fn enrolled(&self) -> Result<()> {
        self.enrol(&ENROL)?;
        until("a template", || Ok(!self.facts("face_enrolled")?.is_empty()))?;
        self.shop.pressed(json!({"remove_member": {}}))
    }

    /// Taps to pay by face; the attempt and the amount that the screen shows when the face was known.
    fn recognised(&self, photographs: &[&str]) -> Result<Value> {
        self.show(photographs)?;
        self.shop.pressed(json!({"pay_by_face": {"consent": "face-consent-1"}}))?;
        let view = self.shop.wait("name and amount", |view| !view["view"]["confirming"].is_null())?;
        Ok(view["view"]["confirming"].clone())
    }

    fn confirm(&self, shown: &Value, pin: &str) -> Result<()> {
        let (attempt, amount) = (&shown["attempt"], &shown["amount"]);
        self.shop.pressed(json!({"confirm_face_pay": {"attempt": attempt, "amount": amount, "pin": pin}}))
    }

    fn done(&self) -> Result<()> {
        self.shop.wait("the sale", |view| view["view"]["phase"] == "done" && printed(view))?;
        self.shop.pressed(json!({"next": {}}))
    }

    fn pay_by_card(&self) -> Result<()> {
        self.shop.pressed(json!({"pay": {"method": "card"}}))?;
        self.done()
    }

    /// The journal's facts of one kind about members.
    fn facts(&self, kind: &str) -> Result<Vec<Value>> {
        let rows = Reader::open(&self.shop.journal())?.rows(1, usize::MAX, usize::MAX)?;
        let bodies = rows.iter().map(|row| serde_json::from_str::<Value>(&row.body));
        let bodies: Vec<Value> = bodies.collect::<Result<_, _>>()?;
        Ok(bodies.iter().map(|row| row["event"]["member"][kind].clone()).filter(|fact| !fact.is_null()).collect())
    }

    fn hq(&self) -> Result<Connection> {
        Ok(Connection::open(self.shop.path("hq/hq.db"))?)
    }

    /// Totals of the sales at headquarters by receipt, once it has everything.
    fn sales(&self) -> Result<Vec<(i64, i64)>> {
        self.shop.sales_at_hq()?;
        let db = self.hq()?;
        let mut query = db.prepare("SELECT receipt_no, total FROM sale ORDER BY receipt_no")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What the stream of that lane's page says it proves itself with to see the mirror, at the first message.
    fn proof(&self, lane: u16) -> Result<Option<String>> {
        let mut stream = TcpStream::connect(self.shop.pages)?;
        write!(stream, "GET /api/events/{lane} HTTP/1.1\r\nHost: {}\r\n\r\n", self.shop.pages)?;
        let mut lines = BufReader::new(stream).lines();
        let data = lines.find_map(|line| line.map(|line| line.strip_prefix("data:").map(str::to_owned)).transpose());
        let message: Value = serde_json::from_str(&data.context("no message")??)?;
        Ok(message["mirror"].as_str().map(str::to_owned))
    }

    /// Asks for the mirror of a lane with that header: the answer's head, and what is seen.
    fn mirror(&self, lane: u16, header: &str) -> Result<(u16, String, Vec<u8>)> {
        let mut stream = TcpStream::connect(self.shop.pages)?;
        let host = self.shop.pages;
        write!(
            stream,
            "GET /api/lane/{lane}/mirror HTTP/1.1\r\nHost: {host}\r\n{header}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n").context("no head")?;
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, head, answer[end + 4..].to_vec()))
    }

    fn token(&self, pin: &str) -> Result<String> {
        let (_, login) = client::post(self.shop.pages, "/api/staff/login", None, &json!({"pin": pin}))?;
        Ok(format!("Authorization: Bearer {}", login["token"].as_str().context("the PIN is not known")?))
    }

    /// Somebody without a face enrols, until the camera gives up or is stopped; the attempt, and what the lane's page proves itself with.
    fn before_the_mirror(&self) -> Result<(Value, String)> {
        self.enrol(&vec![CAT; LONG])?;
        let view = self.shop.wait("the camera to look", looking)?;
        let proof = self.proof(1)?.context("the lane's page gets no proof")?;
        until("a picture", || Ok(self.mirror(1, &format!("X-Aisle-Mirror: {proof}"))?.0 == 200))?;
        Ok((view["view"]["face"]["attempt"].clone(), format!("X-Aisle-Mirror: {proof}")))
    }

    /// What is left in the wallet, and what was taken from it: how often and how much.
    fn wallet(&self) -> Result<(i64, i64, i64)> {
        let sql = "SELECT (SELECT balance FROM member_mandate WHERE member = 'm-001'), count(*), ifnull(sum(amount), 0)
            FROM member_charge WHERE state = 'approved'";
        Ok(self.hq()?.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
    }
}

fn with_input(command: &mut Command, line: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    writeln!(child.stdin.take().context("no input")?, "{line}")?;
    ensure!(child.wait()?.success(), "{command:?} failed");
    Ok(())
}

fn camera(view: &Value) -> Value {
    let devices = view["view"]["devices"].as_array().cloned().unwrap_or_default();
    devices.into_iter().find(|device| device["kind"] == "vision").unwrap_or_default()
}

fn looking(view: &Value) -> bool {
    view["view"]["face"].is_object() && view["view"]["face"]["outcome"].is_null()
}

#[test]
fn b21_a_member_enrols_is_recognised_and_pays_once_with_the_pin_through_headquarters() -> Result<()> {
    let Some(faces) = Faces::open()? else { return Ok(()) };
    faces.enrolled()?;
    let consents = faces.facts("face_enrol_consented")?;
    ensure!(consents.len() == 1 && consents[0]["consent"]["text_sha256"].as_str().map(str::len) == Some(64));
    ensure!(faces.templates()? == 1);

    faces.shop.basket(&[COLA])?;
    let shown = faces.recognised(&OWNER)?;
    ensure!(shown["masked"] == "王**" && shown["amount"] == 350 && shown["factor"] == "pin", "{shown}");
    faces.confirm(&shown, "86420976")?;
    faces.shop.wait("the refusal", |view| view["view"]["phase"] == "scanning" && view["view"]["tender"].is_null())?;
    ensure!(faces.wallet()? == (BALANCE, 0, 0), "a wrong PIN took money");
    let shown = faces.recognised(&OWNER)?;
    faces.confirm(&shown, PAY_PIN)?;
    let (again, _) =
        faces.shop.press(json!({"confirm_face_pay": {"attempt": shown["attempt"], "amount": 350, "pin": PAY_PIN}}))?;
    ensure!(again == 409, "a second press is refused");
    faces.done()?;

    ensure!(faces.sales()? == [(1, 350)], "{:?}", faces.sales()?);
    ensure!(faces.wallet()? == (BALANCE - 350, 1, 350), "{:?}", faces.wallet()?);
    ensure!(faces.shop.paper().len() == 1 && faces.shop.captured().is_empty(), "one receipt, and no card");
    let notices = "SELECT kind, amount FROM member_notice WHERE member = 'm-001'";
    let told: Option<(String, i64)> =
        faces.hq()?.query_row(notices, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    ensure!(told == Some(("charged".into(), 350)), "{told:?}");
    nowhere(faces.shop.folder.path(), PAY_PIN.as_bytes())
}

/// No file below `folder` holds `secret`.
fn nowhere(folder: &Path, secret: &[u8]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            nowhere(&path, secret)?;
        } else if path.is_file() {
            let held = std::fs::read(&path)?.windows(secret.len()).any(|part| part == secret);
            ensure!(!held, "{} holds the PIN", path.display());
        }
    }
    Ok(())
}

#[test]
fn b04_a_withdrawal_erases_the_template_with_a_signed_receipt_and_the_next_look_knows_nobody() -> Result<()> {
    let Some(faces) = Faces::open()? else { return Ok(()) };
    faces.enrolled()?;
    let sealed: Vec<u8> =
        Connection::open(faces.gallery())?.query_row("SELECT sealed FROM face", [], |row| row.get(0))?;
    ensure!(holds(faces.shop.folder.path(), &sealed)?, "the template is not where it is looked for");

    faces.shop.member(MEMBER)?;
    faces.shop.pressed(json!({"withdraw_face": {}}))?;
    faces.shop.pressed(json!({"remove_member": {}}))?;
    let mut detail = None;
    until("the receipt at headquarters", || {
        let sql = "SELECT detail FROM face_ledger WHERE member = 'm-001' AND what = 'erased'";
        detail = faces.hq()?.query_row(sql, [], |row| row.get::<_, String>(0)).optional()?;
        Ok(detail.is_some())
    })?;
    let detail: Value = serde_json::from_str(&detail.context("no receipt")?)?;
    let receipts: Vec<ErasureReceipt> = serde_json::from_value(detail["receipts"].clone())?;
    ensure!(receipts.len() == 1 && receipts.iter().all(is_genuine), "{receipts:?}");
    ensure!(receipts[0].member.0 == "m-001" && receipts[0].scanned_bytes > 0);
    ensure!(faces.templates()? == 0);
    ensure!(!holds(faces.shop.folder.path(), &sealed)?, "the template is still in some file");

    faces.shop.basket(&[COLA])?;
    faces.show(&OWNER)?;
    faces.shop.pressed(json!({"pay_by_face": {"consent": "face-consent-1"}}))?;
    let view = faces.shop.wait("the outcome", |view| !view["view"]["face"]["outcome"].is_null())?;
    ensure!(view["view"]["face"]["outcome"] == "no_match" && view["view"]["member"].is_null(), "{}", view["view"]);
    faces.pay_by_card()?;
    let listed: i64 = faces.hq()?.query_row("SELECT count(*) FROM face_erasure", [], |row| row.get(0))?;
    ensure!(listed == 1, "every other box is told");
    Ok(())
}

#[test]
fn b22_a_member_sees_what_the_store_has_of_them_and_the_desk_hands_over_a_file() -> Result<()> {
    let Some(faces) = Faces::open()? else { return Ok(()) };
    faces.enrolled()?;
    let mine = |wish: Value| client::post(faces.shop.pages, "/api/lane/1/my-data", None, &wish);
    ensure!(mine(json!({}))?.0 == 409, "nobody showed a code");
    faces.shop.member(MEMBER)?;
    let (status, shown) = mine(json!({"print": true}))?;
    ensure!(status == 200 && shown["face"]["consent"]["text_version"] == "face-enrol-1", "{shown}");
    ensure!(shown["face"]["consent"]["text_sha256"].as_str().map(str::len) == Some(64), "{shown}");
    ensure!(shown["member"]["name"] == "王**" && !shown.to_string().contains(PHONE), "others may look on: {shown}");
    until("the paper", || Ok(faces.shop.printer.state().to_string().contains("face-enrol-1")))?;

    let desk = |token: Option<&str>| client::post(faces.shop.pages, "/api/staff/lane/1/member-data", token, &json!({}));
    ensure!(desk(None)?.0 == 401 && desk(Some("guessed"))?.0 == 401, "only whoever signed in");
    let (_, login) = client::post(faces.shop.pages, "/api/staff/login", None, &json!({"pin": PIN}))?;
    let (status, file) = desk(login["token"].as_str())?;
    ensure!(status == 200 && file["member"]["phone"] == PHONE && file["member"]["id"] == "m-001", "{file}");
    let what: Vec<&str> =
        file["facts"].as_array().into_iter().flatten().filter_map(|fact| fact["what"].as_str()).collect();
    ensure!(what.contains(&"consented") && what.contains(&"enrolled") && what.ends_with(&["shown"]), "{what:?}");

    // Withdrawn there, and told so; headquarters' file says the same of every store.
    faces.shop.pressed(json!({"withdraw_face": {}}))?;
    until("the erasure", || Ok(mine(json!({}))?.1["face"]["erased_at"].is_number()))?;
    ensure!(mine(json!({}))?.1["face"]["consent"].is_null());
    faces.shop.sales_at_hq()?;
    let mut export = program("aisle-hq");
    let all = finished(export.args(["faces", "export", "m-001", "--data"]).arg(faces.shop.path("hq")))?;
    let all: Value = serde_json::from_str(&all)?;
    ensure!(all["membership"]["phone"] == PHONE && all["mandate"][0]["balance"] == BALANCE, "{all}");
    let ledger: Vec<&str> =
        all["face"].as_array().into_iter().flatten().filter_map(|fact| fact["what"].as_str()).collect();
    ensure!(
        ["consented", "enrolled", "shown", "withdrawn", "erased"].iter().all(|one| ledger.contains(one)),
        "{ledger:?}"
    );
    ensure!(all["face_stored_at"] == json!([]), "{all}");
    Ok(())
}

#[test]
fn b05_the_mirror_is_seen_at_the_lane_that_enrols_while_it_does_and_nothing_keeps_what_it_showed() -> Result<()> {
    let Some(mut faces) = Faces::open()? else { return Ok(()) };
    ensure!(faces.proof(1)?.is_none(), "nobody enrols");
    let (attempt, own) = faces.before_the_mirror()?;
    let (status, head, seen) = faces.mirror(1, &own)?;
    ensure!(status == 200 && head.contains("cache-control: no-store"), "{head}");
    ensure!(seen.len() == 4 + 208 * 138 && seen[..4] == [0, 208, 0, 138], "{} bytes", seen.len());

    // Whoever pressed may look, others of the staff may not; nor another lane's page, nor one that guesses.
    ensure!(faces.mirror(1, &faces.token(PIN)?)?.0 == 200);
    ensure!(faces.mirror(1, &faces.token(OTHER_PIN)?)?.0 == 403);
    ensure!(faces.proof(2)?.is_none(), "the other lane's page gets no proof");
    ensure!(faces.mirror(2, &own)?.0 == 409, "nobody enrols there");
    for guess in ["Accept: */*", "X-Aisle-Mirror: ", "X-Aisle-Mirror: 00", "Authorization: Bearer s-1.9999999999.00"] {
        ensure!(faces.mirror(1, guess)?.0 == 403, "{guess}");
    }
    faces.shop.pressed(json!({"cancel_recognise": {"attempt": attempt}}))?;
    ensure!(faces.mirror(1, &own)?.0 == 409 && faces.proof(1)?.is_none(), "cancelled");

    // The next enrolment has another proof, and ends with its camera.
    let (_, next) = faces.before_the_mirror()?;
    ensure!(faces.mirror(1, &own)?.0 == 403, "what was good for another enrolment");
    faces.kill_vision();
    faces.shop.wait("the end of the camera", |view| camera(view)["up"] == false)?;
    ensure!(faces.mirror(1, &next)?.0 == 409, "the camera is gone");

    // Not in a file of the box, of its gallery or of headquarters, which has all the box ever sent; not in any log.
    faces.shop.sales_at_hq()?;
    faces.shop.stop()?;
    let differ = |run: &&[u8]| run.windows(2).filter(|pair| pair[0] != pair[1]).count() > 12;
    let runs: Vec<&[u8]> = seen[4..].chunks_exact(24).filter(differ).step_by(9).take(40).collect();
    ensure!(runs.len() > 20, "{} runs", runs.len());
    for run in runs {
        ensure!(!holds(faces.shop.folder.path(), run)?, "a part of the mirror is in some file");
    }
    Ok(())
}

fn holds(folder: &Path, part: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let held = match path.is_dir() {
            true => holds(&path, part)?,
            false => path.is_file() && std::fs::read(&path)?.windows(part.len()).any(|window| window == part),
        };
        if held {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn b03_the_camera_killed_at_every_stage_the_checkout_goes_on_and_nothing_is_doubled() -> Result<()> {
    let Some(mut faces) = Faces::open()? else { return Ok(()) };
    faces.enrolled()?;

    // Before anybody is looked at.
    faces.kill_vision();
    faces.shop.wait("the end of the camera", |view| camera(view)["up"] == false)?;
    faces.shop.basket(&[COLA])?;
    let (status, refused) = faces.shop.press(json!({"pay_by_face": {"consent": "face-consent-1"}}))?;
    ensure!(status == 409, "{refused}");
    faces.pay_by_card()?;

    // While it looks.
    faces.restart_vision()?;
    faces.shop.basket(&[COLA])?;
    faces.show(&vec![CAT; LONG])?;
    faces.shop.pressed(json!({"pay_by_face": {"consent": "face-consent-1"}}))?;
    faces.shop.wait("the camera to look", looking)?;
    faces.kill_vision();
    faces.shop.wait("the outcome", |view| view["view"]["face"]["outcome"] == "unavailable")?;
    faces.pay_by_card()?;

    // Between the face and the PIN: it was a face that was needed, and it was given.
    faces.restart_vision()?;
    faces.shop.basket(&[COLA])?;
    let shown = faces.recognised(&OWNER)?;
    faces.kill_vision();
    faces.shop.wait("the end of the camera", |view| camera(view)["up"] == false)?;
    faces.confirm(&shown, PAY_PIN)?;
    faces.done()?;

    // While somebody enrols.
    faces.restart_vision()?;
    faces.enrol(&vec![CAT; LONG])?;
    faces.shop.wait("the camera to look", looking)?;
    faces.kill_vision();
    until("the end of the enrolment", || Ok(faces.facts("face_enrol_refused")?.len() == 1))?;
    faces.shop.pressed(json!({"remove_member": {}}))?;
    faces.shop.basket(&[COLA])?;
    faces.pay_by_card()?;

    // Back again, it knows whom it knew.
    faces.restart_vision()?;
    ensure!(faces.templates()? == 1);
    faces.shop.basket(&[COLA])?;
    let shown = faces.recognised(&OWNER)?;
    faces.confirm(&shown, PAY_PIN)?;
    faces.done()?;

    ensure!(faces.sales()? == (1..=5).map(|no| (no, 350)).collect::<Vec<_>>(), "{:?}", faces.sales()?);
    ensure!(faces.shop.captured() == [350; 3], "{:?}", faces.shop.captured());
    ensure!(faces.wallet()? == (BALANCE - 700, 2, 700), "{:?}", faces.wallet()?);
    ensure!(faces.shop.paper().len() == 5, "a receipt each");
    Ok(())
}

#[test]
fn b02_nothing_but_a_tapped_session_opens_the_camera() -> Result<()> {
    let Some(mut faces) = Faces::open()? else { return Ok(()) };
    if finished(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"])).is_err() {
        println!("skipped: strace is not installed or not allowed here");
        return Ok(());
    }
    // The camera of this store is its photographs: each frame is a file that is opened.
    faces.kill_vision();
    faces.shop.wait("the end of the camera", |view| camera(view)["up"] == false)?;
    let trace = faces.shop.path("opened");
    let mut strace = Command::new("strace");
    strace.args(["-D", "-f", "-q", "-e", "trace=openat", "-o"]).arg(&trace).arg(program("aisle-vision").get_program());
    faces.start_vision(&mut strace)?;
    faces.wait_for_camera()?;
    let opened = || -> Result<usize> {
        let text = std::fs::read_to_string(&trace)?;
        Ok(text.lines().filter(|line| line.contains(".jpg") || line.contains(".png")).count())
    };

    faces.show(&OWNER)?;
    faces.shop.basket(&[COLA])?;
    faces.shop.member(MEMBER)?;
    faces.shop.pressed(json!({"call_help": {}}))?;
    faces.shop.pressed(json!({"withdraw_face": {}}))?;
    let (status, _) = faces.shop.press(json!({"pay_by_face": {"consent": ""}}))?;
    ensure!(status == 409, "a tap without consent is refused");
    faces.pay_by_card()?;
    faces.shop.kill();
    faces.shop.start()?;
    faces.wait_for_camera()?;
    ensure!(opened()? == 0, "the camera was opened though nobody tapped");

    faces.shop.basket(&[COLA])?;
    faces.shop.pressed(json!({"recognise": {"consent": "face-consent-1"}}))?;
    faces.shop.wait("the outcome", |view| !view["view"]["face"]["outcome"].is_null())?;
    let seen = opened()?;
    ensure!((1..=OWNER.len()).contains(&seen), "{seen} frames for one tap");
    faces.pay_by_card()?;
    ensure!(lines(&faces.shop.wait("the next basket", |_| true)?) == 0);
    ensure!(opened()? == seen, "the camera looked on after its session");
    Ok(())
}
