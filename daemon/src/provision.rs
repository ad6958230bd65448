//! A new box becomes one of a fleet: it makes its own key, shows a code, and waits until staff at headquarters have said which box
//! shows it. What it came with, the claim certificate, is good for nothing else and goes when it is done.

use crate::config::{Config, Hq};
use crate::identity::{self, Identity};
use crate::jws::hex;
use crate::sync::{address, ca_of};
use anyhow::{Context as _, Result, bail};
use checkout::wire::{Claim, Granted, MESSAGE_MAX, Topics, pairing_code};
use qrcodegen::{QrCode, QrCodeEcc};
use ring::rand::{SecureRandom as _, SystemRandom};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, Transport};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tokio::time::{Instant, interval, sleep};

/// A request nobody has answered is made again.
const AGAIN: Duration = Duration::from_secs(5);
/// Staff find the box, type the code, and are called away in between.
const PATIENCE: Duration = Duration::from_secs(3600);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Waits until the box has its certificate; `show` gets the lines people are to see.
///
/// # Errors
/// The configuration names no broker with TLS, the claim is refused, or nobody answers within an hour.
pub fn run(config: &Config, claim: &Identity, mut show: impl FnMut(&str)) -> Result<Identity> {
    let hq = config.hq.as_ref().context("the configuration has no [hq]")?;
    std::fs::create_dir_all(&config.data)?;
    let request = identity::request(&config.data, &config.box_id)?;
    let code = pairing_code(&Sha256::digest(request.as_bytes()).into());
    show(&drawn(&code)?);
    show(&format!("This box shows {code}. At headquarters: aisle-hq pair {code} {}", config.box_id));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let certificate = runtime.block_on(wait(config, hq, claim, &request))?;
    let identity = identity::take(&config.data, &certificate, &config.box_id, ca_of(hq)?, crate::clock::utc())?;
    show("The box has its certificate.");
    drop_claim(claim, &mut show);
    Ok(identity)
}

fn drop_claim(claim: &Identity, show: &mut impl FnMut(&str)) {
    for file in [&claim.key, &claim.cert] {
        if let Err(error) = std::fs::remove_file(file) {
            show(&format!("take {} away from this box: {error}", file.display()));
        }
    }
}

async fn wait(config: &Config, hq: &Hq, claim: &Identity, request: &str) -> Result<String> {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).ok().context("the system gives no random numbers")?;
    let id = hex(&random);
    let until = Instant::now() + PATIENCE;
    let mut told = String::new();
    while Instant::now() < until {
        let (client, events) = AsyncClient::new(options(hq, claim, &id)?, 8);
        match asked(config, &client, events, &id, request, until).await {
            Ok(certificate) => return Ok(certificate),
            Err(error) => {
                let reason = format!("{error:#}");
                if reason != told {
                    tracing::warn!(broker = %hq.broker, %reason, "no answer yet; trying again");
                    told = reason;
                }
                sleep(AGAIN).await;
            }
        }
    }
    bail!("nobody has said which box this is within an hour")
}

fn options(hq: &Hq, claim: &Identity, id: &str) -> Result<MqttOptions> {
    let (true, host, port) = address(&hq.broker)? else { bail!("[hq] broker is not mqtts: there is nothing to prove") };
    // As the authority calls claims, so that a broker can tell them apart.
    let mut options = MqttOptions::new(format!("claim-{id}"), host, port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(true);
    options.set_max_packet_size(MESSAGE_MAX, MESSAGE_MAX);
    options.set_transport(Transport::tls_with_config(claim.tls(ca_of(hq)?)?.into()));
    Ok(options)
}

/// One connection's life.
async fn asked(
    config: &Config,
    client: &AsyncClient,
    mut events: EventLoop,
    id: &str,
    request: &str,
    until: Instant,
) -> Result<String> {
    let answer = Topics::claim(&config.tenant, id, "certificate");
    client.subscribe(&answer, QoS::AtLeastOnce).await?;
    let payload = serde_json::to_vec(&Claim { request: request.into() })?;
    let (topic, mut again) = (Topics::claim(&config.tenant, id, "request"), interval(AGAIN));
    loop {
        tokio::select! {
            event = events.poll() => {
                if let Event::Incoming(Packet::Publish(publish)) = event?
                    && publish.topic == answer
                {
                    return Ok(serde_json::from_slice::<Granted>(&publish.payload)?.certificate);
                }
            }
            _ = again.tick() => client.try_publish(&topic, QoS::AtLeastOnce, false, payload.clone())?,
            () = tokio::time::sleep_until(until) => bail!("nobody has answered"),
        }
    }
}

/// For a screen or a telephone's camera: two rows of the symbol in a line of text.
fn drawn(code: &str) -> Result<String> {
    let symbol = QrCode::encode_text(code, QrCodeEcc::Medium)?;
    let dark = |x: i32, y: i32| symbol.get_module(x, y);
    let mut lines = String::new();
    for y in (-2..symbol.size() + 2).step_by(2) {
        for x in -2..symbol.size() + 2 {
            lines.push(match (dark(x, y), dark(x, y + 1)) {
                (true, true) => ' ',
                (true, false) => '▄',
                (false, true) => '▀',
                (false, false) => '█',
            });
        }
        lines.push('\n');
    }
    Ok(lines)
}
