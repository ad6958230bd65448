//! A shopper scans with the camera of the kiosk: real processes, and pictures of codes in place of a camera.

#[path = "../../models/tests/it/paint.rs"]
mod paint;

use anyhow::{Context as _, Result};
use e2e::{COLA, NOODLES, Plan, SPIRITS, Shop, lines, printed, program};
use paint::Picture;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Child, Stdio};

/// The vision process; it goes when the test ends.
struct Vision(Child);

impl Drop for Vision {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Vision {
    /// Without any model: reading codes needs none.
    fn start(shop: &Shop) -> Result<Self> {
        let mut command = program("aisle-vision");
        command.arg("--models").arg(shop.path("no-models")).arg("run").arg("--demo-source");
        command.arg("--socket").arg(shop.path("vision.sock")).arg("--gallery").arg(shop.path("gallery.db"));
        command.arg("--key").arg(shop.path("gallery.key"));
        command.arg("--source").arg(format!("file:{}", shop.path("seen.txt").display()));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(shop.path("vision.log"))?;
        Ok(Self(command.stdin(Stdio::null()).stderr(log).spawn().context("aisle-vision")?))
    }
}

/// A store whose lane has a camera before which a bottle is held, and then a package with a link on it.
fn shop() -> Result<Shop> {
    let mut shop = Shop::closed(Plan::default())?;
    let bottle = Picture::of(|paper| paper.ean13(COLA), 2);
    let package = Picture::of(|paper| paper.qr(&format!("https://example.com/01/0{NOODLES}"), 6), 1);
    std::fs::write(shop.path("bottle.pgm"), pgm(&bottle))?;
    std::fs::write(shop.path("package.pgm"), pgm(&package))?;
    std::fs::write(shop.path("seen.txt"), "bottle.pgm\nbottle.pgm\nbottle.pgm\npackage.pgm\npackage.pgm\n")?;
    let mut config = std::fs::OpenOptions::new().append(true).open(shop.config())?;
    let socket = shop.path("vision.sock");
    writeln!(config, "camera = \"camera-1\"")?;
    writeln!(
        config,
        "[[device]]\nname = \"camera-1\"\ndriver = \"scanner-camera\"\nlink = \"unix:{}\"",
        socket.display()
    )?;
    shop.start_hq()?;
    shop.start()?;
    Ok(shop)
}

fn pgm(picture: &Picture) -> Vec<u8> {
    [format!("P5 {} {} 255\n", picture.width, picture.height).as_bytes(), &picture.grey].concat()
}

fn camera(view: &Value) -> Value {
    let devices = view["view"]["devices"].as_array().cloned().unwrap_or_default();
    devices.into_iter().find(|device| device["kind"] == "camera").unwrap_or_default()
}

fn ready(view: &Value) -> bool {
    camera(view)["up"] == true && view["store"]["price_book"] == "pb-1"
}

#[test]
fn a_tap_lets_the_camera_read_a_bottle_and_a_link_and_without_it_the_checkout_goes_on() -> Result<()> {
    let shop = shop()?;
    let (status, refused) = shop.press(json!({"open_camera": {}}))?;
    assert_eq!((status, &refused["refused"]), (409, &json!("camera_unavailable")));
    let vision = Vision::start(&shop)?;
    let idle = shop.wait("the camera", ready)?;
    assert_eq!(lines(&idle), 0, "nobody has tapped");

    shop.pressed(json!({"open_camera": {}}))?;
    let seen = shop.wait("what the camera reads", |view| lines(view) == 2)?;
    let names: Vec<&str> = seen["view"]["lines"]
        .as_array()
        .context("lines")?
        .iter()
        .filter_map(|line| line["name"]["en"].as_str())
        .collect();
    assert_eq!(
        (names, &seen["view"]["pieces"]),
        (vec!["Cola", "Noodles"], &json!(2)),
        "each once, however often it was seen"
    );
    assert_eq!(seen["view"]["camera"], true);

    drop(vision);
    let alone = shop.wait("the end of the session", |view| camera(view)["up"] == false)?;
    assert_eq!((&alone["view"]["camera"], lines(&alone)), (&json!(false), 2));
    shop.scan(COLA)?;
    shop.wait("the hand scanner", |view| view["view"]["pieces"] == 3)?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    shop.wait("the sale", |view| view["view"]["phase"] == "done" && printed(view))?;
    assert_eq!(shop.captured(), [1_000]);

    let _vision = Vision::start(&shop)?;
    shop.wait("the camera again", ready)?;
    shop.pressed(json!({"open_camera": {}}))?;
    shop.wait("what it reads", |view| lines(view) == 2)?;
    shop.pressed(json!({"close_camera": {}}))?;
    shop.wait("a closed camera", |view| view["view"]["camera"] == false)?;
    shop.scan(SPIRITS)?;
    shop.wait("the hand scanner", |view| lines(view) == 3)?;
    Ok(())
}
