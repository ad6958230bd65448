//! A new box becomes one of a fleet over real processes: claim, code, certificate; renewed, replaced, taken back.

use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, Tls, finished, program, until};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

#[test]
fn a_new_box_shows_a_code_gets_its_certificate_and_a_stolen_one_sells_on_but_is_heard_no_more() -> Result<()> {
    let mut shop = fleet()?;
    shop.start_hq()?;
    let claim = pair(&shop, &[])?;
    ensure!(!claim.exists(), "the claim goes when it is done");
    ensure!(shop.data().join("identity.pem").exists());
    shop.start()?;
    shop.wait("headquarters and its goods", |view| {
        view["store"]["online"] == true
            && view["store"]["price_book"] == "pb-1"
            && view["view"]["devices"][2]["up"] == true
    })?;
    shop.sell(&[COLA])?;
    ensure!(shop.sales_at_hq()?.len() == 1);

    finished(&mut hq(&shop, &["ca", "revoke", "box-1", "--reason", "stolen"]))?;
    shop.wait("to be shown out", |view| view["store"]["online"] == false)?;
    shop.sell(&[NOODLES])?;
    std::thread::sleep(Duration::from_secs(3));
    shop.wait("the till", |view| view["store"]["online"] == false && view["store"]["backlog"] != 0)?;

    // Its place is another's: the same id, a new key.
    shop.stop()?;
    std::fs::remove_file(shop.data().join("identity.pem"))?;
    pair(&shop, &["--replace"])?;
    shop.start()?;
    ensure!(shop.sales_at_hq()?.len() == 2, "what it sold meanwhile is not lost");
    Ok(())
}

#[test]
fn a_certificate_that_has_lived_two_thirds_of_its_life_is_renewed_while_the_shop_sells() -> Result<()> {
    let mut shop = fleet()?;
    shop.start_hq()?;
    pair(&shop, &[])?;
    let grown = aged(&shop)?;
    shop.start()?;
    let renewed = || -> Result<bool> { Ok(std::fs::read_to_string(shop.data().join("identity.pem"))? != grown) };
    // Looked at a quarter of a minute after the welcome.
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !renewed()? && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
    }
    ensure!(renewed()?, "it was not renewed: {}", shop.said()?);
    shop.kill_hq();
    shop.start_hq()?;
    shop.wait("the line under the new certificate", |view| view["store"]["online"] == true)?;
    shop.sell(&[COLA])?;
    ensure!(shop.sales_at_hq()?.len() == 1);
    let certificates = finished(&mut hq(&shop, &["ca", "list"]))?;
    ensure!(certificates.matches("\"box-1\"").count() == 2, "{certificates}");
    Ok(())
}

/// A headquarters with an authority of its own, and a store that knows it and has no certificate.
fn fleet() -> Result<Shop> {
    let mut shop = Shop::closed(Plan::default())?;
    finished(&mut hq(&shop, &["ca", "init"]))?;
    let ca = shop.path("hq/ca/ca.pem");
    let own = (shop.path("hq/ca/hq.pem"), shop.path("hq/ca/hq.key.pem"));
    shop.secure(Tls { ca: ca.clone(), hq: own.clone(), shop: own });
    let text = std::fs::read_to_string(shop.config())?;
    let text = text.replacen("mqtt://", "mqtts://", 1).replacen("[hq]\n", &format!("[hq]\nca = {ca:?}\n"), 1);
    std::fs::write(shop.config(), text)?;
    Ok(shop)
}

fn hq(shop: &Shop, words: &[&str]) -> Command {
    let mut command = program("aisle-hq");
    command.args(words).arg("--data").arg(shop.path("hq"));
    command
}

/// Provisions the box; where its claim's key was.
fn pair(shop: &Shop, more: &[&str]) -> Result<std::path::PathBuf> {
    let folder = shop.path("image");
    let _ = std::fs::remove_dir_all(&folder);
    finished(hq(shop, &["ca", "claim"]).arg("--out").arg(&folder))?;
    let (claim, key) = (folder.join("claim.pem"), folder.join("claim.key.pem"));
    let mut provision = program("aisled");
    provision.arg("provision").arg("--config").arg(shop.config());
    provision.arg("--claim").arg(&claim).arg("--claim-key").arg(&key);
    let mut child = Running(provision.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().context("no output")?).lines();
    let said = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.starts_with("This box shows "))
        .context("it shows no code")?;
    let code = said.split_whitespace().nth(3).context("no code")?.trim_end_matches('.').to_owned();
    until("headquarters to hear of it", || Ok(finished(&mut hq(shop, &["pairings"]))?.contains(&code)))?;
    finished(hq(shop, &["pair", &code, "box-1"]).args(more))?;
    until("the certificate", || Ok(child.0.try_wait()?.is_some()))?;
    ensure!(child.0.wait()?.success());
    Ok(key)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The box's certificate as it would be after eighty of ninety days: signed by the same authority, known to headquarters.
fn aged(shop: &Shop) -> Result<String> {
    let authority = KeyPair::from_pem(&std::fs::read_to_string(shop.path("hq/ca/ca.key.pem"))?)?;
    let issuer = Issuer::from_ca_cert_pem(&std::fs::read_to_string(shop.path("hq/ca/ca.pem"))?, authority)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["box-1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "box-1");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let days = |count: u64| Duration::from_secs(count * 24 * 3600);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now - days(80);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + days(10);
    let text = format!("{}{}", key.serialize_pem(), params.signed_by(&key, &issuer)?.pem());
    std::fs::write(shop.data().join("identity.pem"), &text)?;
    let db = rusqlite::Connection::open(shop.path("hq/hq.db"))?;
    db.execute("UPDATE certificate SET at = at - 6912000000 WHERE name = 'box-1'", [])?;
    Ok(text)
}
