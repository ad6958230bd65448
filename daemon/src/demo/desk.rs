//! The demo's devices: stand-ins on real lines, and the verbs a person's hand has on them.

use super::Options;
use crate::sim::{Running, build, on_pty_at, on_tcp};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Lane number, kind.
pub(crate) const LANES: [(u16, &str); 2] = [(1, "kiosk"), (2, "staffed")];
/// What each lane has: kind, driver, options of driver and stand-in.
const DEVICES: [(&str, &str); 4] =
    [("scanner", "scanner-line"), ("scale", "scale-8217"), ("terminal", "zvt"), ("printer", "escpos")];

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) driver: &'static str,
    pub(crate) lane: u16,
    pub(crate) running: Running,
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) devices: Vec<Device>,
    pub(crate) vision_socket: PathBuf,
    /// By id, the member first.
    pub(crate) photos: Vec<(&'static str, Photos)>,
}

/// Photographs of one person, or of something that is none.
#[derive(Clone, Debug)]
pub(crate) struct Photos {
    pub(crate) zh: &'static str,
    pub(crate) en: &'static str,
    pub(crate) files: Vec<PathBuf>,
}

impl Desk {
    pub(crate) async fn plug_in(options: &Options) -> Result<Self> {
        let mut devices = Vec::new();
        for (lane, _) in LANES {
            for (kind, driver) in DEVICES {
                let sim = build(driver, &sim_options(kind, options))?;
                let running = match kind {
                    "terminal" | "printer" => on_tcp(sim, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?,
                    // Found by a name, as udev gives one, so that it can be pulled out and plugged in again.
                    _ => on_pty_at(sim, options.folder.join(format!("{kind}-{lane}")))?,
                };
                devices.push(Device { name: format!("{kind}-{lane}"), kind, driver, lane, running });
            }
        }
        let photos = options.faces.as_deref().map(photos).unwrap_or_default();
        Ok(Self { devices, vision_socket: options.folder.join("vision.sock"), photos })
    }

    pub(crate) fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// A press on the panel, in the panel's words.
    pub(crate) async fn control(&self, name: &str, verb: &Value) -> Result<()> {
        if name == "vision" {
            let id = verb.get("show").and_then(Value::as_str).context("a camera is told {\"show\": …}")?;
            return self.show(id).await;
        }
        let device = self.device(name).with_context(|| format!("there is no device {name}"))?;
        for verb in translated(device.kind, verb) {
            device.running.control(verb).await;
        }
        Ok(())
    }

    pub(crate) fn photos_of(&self, id: &str) -> Option<&Photos> {
        self.photos.iter().find(|(known, _)| *known == id).map(|(_, photos)| photos)
    }

    /// Puts photographs before the camera.
    pub(crate) async fn show(&self, id: &str) -> Result<()> {
        let photos = self.photos_of(id).with_context(|| format!("there are no photographs {id:?}"))?;
        let stream =
            tokio::net::UnixStream::connect(&self.vision_socket).await.context("the vision process is away")?;
        let (read, mut write) = stream.into_split();
        let request = json!({"show": {"files": photos.files}});
        write.write_all(format!("{request}\n").as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(read).read_line(&mut answer).await?;
        anyhow::ensure!(answer.contains("shown"), "the camera does not show them: {}", answer.trim());
        Ok(())
    }

    /// A device's state in the panel's words.
    pub(crate) fn state(device: &Device) -> Value {
        let state = device.running.state();
        match device.kind {
            "scanner" => json!({"beeps": state.pointer("/beeps/good").and_then(Value::as_u64).unwrap_or(0)}),
            "printer" => {
                let receipt = |(at, text): (usize, &Value)| json!({"id": at + 1, "text": text, "svg": format!("/panel/receipt/{}/{}.svg", device.name, at + 1)});
                let receipts = state["receipts"].as_array().map(Vec::as_slice).unwrap_or_default();
                let receipts: Vec<Value> = receipts.iter().enumerate().map(receipt).collect();
                json!({"paper": state["paper"] != "out", "receipts": receipts})
            }
            _ => state,
        }
    }
}

fn sim_options(kind: &str, options: &Options) -> Value {
    match kind {
        // A person taps on the panel; without one the card taps by itself.
        "terminal" => json!({"wait_for_card": !options.once}),
        _ => json!({}),
    }
}

/// The panel speaks of hands; stand-ins take one verb at a time.
fn translated(kind: &str, verb: &Value) -> Vec<Value> {
    let is = |key: &str| verb.get(key).and_then(Value::as_bool);
    match kind {
        "terminal" if is("decline") == Some(true) => {
            vec![json!({"decline_once": 5}), json!({"tap": true})]
        }
        "terminal" => match verb.get("behaviour").and_then(Value::as_str) {
            Some("decline") => vec![json!({"decline": 5})],
            Some("hang_up") => vec![json!({"behaviour": "hang_up_mid_answer"})],
            Some(_) | None => vec![verb.clone()],
        },
        "printer" => match is("paper") {
            Some(paper) => vec![json!({"paper": if paper { "ok" } else { "out" }})],
            None => vec![verb.clone()],
        },
        _ => vec![verb.clone()],
    }
}

/// What of the test photographs is there.
fn photos(folder: &Path) -> Vec<(&'static str, Photos)> {
    let sets: [(&str, &str, &str, &[&str]); 4] = [
        ("member", "会员（已登记人脸）", "A member, enrolled", &["photos/person_a_1.jpg", "photos/person_a_480p.jpg"]),
        ("stranger", "陌生顾客", "A stranger", &["photos/person_b.jpg", "photos/person_b_2.jpg"]),
        ("print", "打印的照片", "A printed photograph", &["spoof/minivision_image_F1.png"]),
        ("cat", "猫", "A cat", &["photos/chelsea.png"]),
    ];
    let there = |files: &[&str]| files.iter().map(|file| folder.join(file)).filter(|file| file.exists()).collect();
    sets.into_iter()
        .map(|(id, zh, en, files)| (id, Photos { zh, en, files: there(files) }))
        .filter(|(_, photos)| !photos.files.is_empty())
        .collect()
}
