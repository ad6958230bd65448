//! No personal or card data in journal, logs, headquarters or wire traces.

use anyhow::{Result, ensure};
use e2e::{COLA, MEMBER, Plan, Shop};
use serde_json::json;
use std::path::Path;

const PAN: &str = "6225880123456782";
const PAN_PACKED: [u8; 8] = [0x62, 0x25, 0x88, 0x01, 0x23, 0x45, 0x67, 0x82];
const WALLET: &str = "131234567890123456";
const NAME: &str = "王小明";

#[test]
fn no_card_number_wallet_code_or_name_is_kept_anywhere_it_may_not_be() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.hand(&shop.terminal, json!({"tap": PAN}));
    shop.member(MEMBER)?;
    shop.sell(&[COLA])?;
    shop.pressed(json!({"next": {}}))?;
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "wallet"}}))?;
    shop.scan(WALLET)?;
    shop.wait("the wallet sale", |view| view["view"]["phase"] == "done")?;
    shop.scan(WALLET)?;
    ensure!(shop.sales_at_hq()?.len() == 2);
    shop.stop()?;
    let mut looked = 0;
    look(shop.folder.path(), &mut looked)?;
    ensure!(looked >= 6, "only {looked} files were looked at");
    Ok(())
}

fn look(folder: &Path, looked: &mut usize) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, looked)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        *looked += 1;
        for secret in [PAN.as_bytes(), &PAN_PACKED, WALLET.as_bytes()] {
            ensure!(!contains(&bytes, secret), "{} holds a payment secret", path.display());
        }
        // Names live in members.db and in headquarters' dataset, and nowhere else.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let may = name.starts_with("members") || name.starts_with("hq.db");
        ensure!(may || !contains(&bytes, NAME.as_bytes()), "{} holds a member's name", path.display());
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
