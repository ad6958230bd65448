//! Between box and headquarters: mutual TLS, a restored disk.

use anyhow::{Result, ensure};
use e2e::{COLA, NOODLES, Plan, Shop, Tls, finished, program};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};

#[test]
fn a_sale_reaches_headquarters_over_mutual_tls_and_a_stranger_does_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ours = certificates(&folder.path().join("ours"))?;
    let shop = Shop::open(Plan { tls: Some(ours.clone()), ..Plan::default() })?;
    shop.sell(&[COLA])?;
    ensure!(shop.sales_at_hq()?.len() == 1);

    let foreign = certificates(&folder.path().join("foreign"))?;
    for stranger in [Tls { shop: foreign.shop.clone(), ..ours.clone() }, Tls { ca: foreign.ca.clone(), ..ours.clone() }]
    {
        let mut away = Shop::closed(Plan { tls: Some(stranger), ..Plan::default() })?;
        away.start_hq()?;
        away.start()?;
        std::thread::sleep(std::time::Duration::from_secs(3));
        let view = away.wait("the till", |view| !view.is_null())?;
        ensure!(view["store"]["online"] == false, "a stranger was let in: {view}");
    }
    Ok(())
}

#[test]
fn a_restored_disk_is_noticed_and_no_sale_is_lost_or_doubled() -> Result<()> {
    let (mut shop, journal) = restored()?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[COLA, NOODLES])?;
    headquarters_has(&shop, &[300, 350, 650])?;
    finished(program("aisled").arg("verify").arg(&journal))?;
    Ok(())
}

/// The restored box sells past the row that headquarters has before the two meet again: the numbers fit, the pasts do not.
#[test]
fn a_restored_disk_that_sold_on_while_headquarters_was_away_loses_no_sale() -> Result<()> {
    let (mut shop, journal) = restored()?;
    shop.kill_hq();
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[COLA, NOODLES])?;
    shop.sell(&[NOODLES, COLA])?;
    shop.start_hq()?;
    headquarters_has(&shop, &[300, 350, 650, 650])?;
    finished(program("aisled").arg("verify").arg(&journal))?;
    Ok(())
}

/// A shop that sold cola, was backed up, sold noodles, both known at headquarters, and got its backup back; not running.
fn restored() -> Result<(Shop, PathBuf)> {
    let mut shop = Shop::open(Plan::default())?;
    shop.sell(&[COLA])?;
    shop.sales_at_hq()?;
    shop.stop()?;
    let (journal, backup) = (shop.path("box/journal.db"), shop.path("backup.db"));
    std::fs::copy(&journal, &backup)?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[NOODLES])?;
    ensure!(shop.sales_at_hq()?.len() == 2);
    shop.kill();
    for leftover in ["box/journal.db-wal", "box/journal.db-shm"] {
        let _ = std::fs::remove_file(shop.path(leftover));
    }
    std::fs::copy(&backup, &journal)?;
    Ok((shop, journal))
}

fn headquarters_has(shop: &Shop, wanted: &[i64]) -> Result<()> {
    let sales = shop.sales_at_hq()?;
    let mut totals: Vec<i64> = sales.iter().filter_map(|sale| sale["total"].as_i64()).collect();
    totals.sort_unstable();
    ensure!(totals == wanted, "headquarters has {totals:?}");
    Ok(())
}

/// A certificate authority with one certificate for headquarters and one for a box, as PEM files.
fn certificates(folder: &Path) -> Result<Tls> {
    std::fs::create_dir_all(folder)?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let issue = |name: &str| -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &ca)?;
        Ok((write(&format!("{name}.pem"), &certificate.pem())?, write(&format!("{name}.key"), &key.serialize_pem())?))
    };
    Ok(Tls { ca: write("ca.pem", &ca.pem())?, hq: issue("hq")?, shop: issue("box-1")? })
}
