use crate::support::{TestBox, config, count, hq, tempdir};
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::sign::{Expected, verify};
use aisle_hq::store::Store;
use checkout::wire::{CHUNK_MAX, Manifest, Question};
use std::fmt::Write as _;
use std::time::Duration;

const MANIFEST: Expected<'_> = Expected { tenant: "demo", box_id: "box-1", purpose: "manifest", rev_seen: 0 };

fn goods(count: u32) -> String {
    let mut text = String::new();
    for number in 1..=count {
        // Names that do not compress, so that there is more than one chunk.
        let name = aisle_hq::hex(&number.wrapping_mul(2_654_435_761).to_le_bytes());
        let plu = 10_000 + number;
        writeln!(
            text,
            r#"{{"key":"{plu}","name":{{"zh":"{name}{}","en":"{}"}},"price":{number},"tax_bp":1300}}"#,
            number.wrapping_mul(40_503),
            number.wrapping_mul(2_246_822_519)
        )
        .unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reaches_a_box_as_a_signed_manifest_and_checked_chunks() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let store = Store::open(dir.path()).unwrap();
    let text = goods(9000);
    let imported = dataset::import(&store, Kind::Catalogue, &text, Some("pb-winter"), OnBad::Refuse).unwrap().unwrap();
    assert_eq!(imported.manifest.version, 1);

    let token = one.hear("/data/catalogue").await.unwrap();
    let token = std::str::from_utf8(&token).unwrap();
    let signed = verify::<Manifest>(token, &hq.public_key, MANIFEST).unwrap();
    assert_eq!((signed.rev, signed.doc.name.as_str(), signed.doc.rows), (1, "pb-winter", 9000));
    assert!(
        signed.doc.chunks.len() > 1 && token.len() < 2048,
        "{} chunks, {} bytes",
        signed.doc.chunks.len(),
        token.len()
    );

    let mut chunks = Vec::new();
    for hash in &signed.doc.chunks {
        one.ask(1, Question::Chunk { hash: hash.clone() }).await;
        one.ask(2, Question::Chunk { hash: hash.clone() }).await;
        let chunk = one.hear(hash).await.unwrap().to_vec();
        assert!(chunk.len() <= CHUNK_MAX);
        assert!(one.hear_within(hash, Duration::from_millis(300)).await.is_none(), "one answer serves both");
        chunks.push(chunk);
    }
    let rows = dataset::unpack(&signed.doc, &chunks).unwrap();
    assert_eq!(rows.iter().filter(|byte| **byte == b'\n').count(), 9000);
    chunks[0][100] ^= 1;
    assert!(dataset::unpack(&signed.doc, &chunks).is_err());

    // A box that comes later finds the manifest retained; a second version replaces it.
    let mut late = TestBox::connect(&hq, "box-2").await;
    assert!(late.hear("/data/catalogue").await.is_some());
    dataset::import(&store, Kind::Catalogue, &goods(10), None, OnBad::Refuse).unwrap().unwrap();
    let token = late.hear("/data/catalogue").await.unwrap();
    let signed = verify::<Manifest>(std::str::from_utf8(&token).unwrap(), &hq.public_key, MANIFEST).unwrap();
    assert_eq!((signed.rev, signed.doc.name.as_str()), (2, "pb-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_tampered_with_is_not_believed() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let store = Store::open(dir.path()).unwrap();
    dataset::import(&store, Kind::Catalogue, &goods(3), None, OnBad::Refuse).unwrap().unwrap();
    let mut one = TestBox::connect(&hq, "box-1").await;
    let token = one.hear("/data/catalogue").await.unwrap();
    let token = std::str::from_utf8(&token).unwrap();
    let check = |token: &str, expected| verify::<Manifest>(token, &hq.public_key, expected).map(drop);
    assert!(check(token, MANIFEST).is_ok());
    for position in [5, token.len() / 2, token.len() - 5] {
        let mut changed = token.as_bytes().to_vec();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        assert!(check(std::str::from_utf8(&changed).unwrap(), MANIFEST).is_err(), "byte {position}");
    }
    let other = tempdir().unwrap();
    let stranger = aisle_hq::sign::Signer::open(&other.path().join("key")).unwrap().public_key();
    assert!(verify::<Manifest>(token, &stranger, MANIFEST).is_err());
    let none = format!("{}.{}.", "eyJhbGciOiJub25lIn0", token.split('.').nth(1).unwrap());
    for (token, expected) in [
        (none.as_str(), MANIFEST),
        (token, Expected { tenant: "else", ..MANIFEST }),
        (token, Expected { purpose: "cmd", ..MANIFEST }),
        (token, Expected { rev_seen: 2, ..MANIFEST }),
    ] {
        assert!(check(token, expected).is_err());
    }
}

#[test]
fn every_bad_line_is_reported_by_number_and_nothing_is_imported() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let good = r#"{"key":"6901234567892","name":{"zh":"茶","en":"Tea"},"price":500,"tax_bp":1300}"#;
    let lines = [
        good,
        &good.replace("6901234567892", "6901234567893"),
        &good.replace("500", "0"),
        good,
        "not json",
        &good.replace("6901234567892", "ABC"),
        &good.replace(r#""price":500,"#, ""),
        &good.replace("6901234567892", "0096385074"),
        &good.replace("6901234567892", "96385074"),
        &good.replace("\"price\":500", "\"price\":\"secret\""),
    ];
    let text = lines.join("\n");
    let bad = dataset::import(&store, Kind::Catalogue, &text, None, OnBad::Refuse).unwrap().unwrap_err();
    let numbers: Vec<usize> = bad.iter().map(|bad| bad.line).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 9, 10], "{bad:?}");
    assert!(bad[0].reason.contains("check digit") && bad[2].reason.contains("twice"));
    assert!(bad[5].reason.contains("missing field `price`"), "{bad:?}");
    assert!(!format!("{bad:?}").contains("secret"));
    assert_eq!(count(&dir, "SELECT count(*) FROM dataset"), 0);

    let imported = dataset::import(&store, Kind::Catalogue, &text, None, OnBad::Skip).unwrap().unwrap();
    assert_eq!((imported.manifest.rows, imported.bad.len()), (2, 8));
    assert!(dataset::import(&store, Kind::Catalogue, "", None, OnBad::Skip).is_err());
}

#[test]
fn csv_and_members_are_read_and_checked_and_no_name_is_repeated() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let csv = "key,name_zh,name_en,price,tax_bp,by_weight,min_age,offer_id,offer_zh,offer_en,offer_rule\n\
               6901234567892,茶,Tea,500,1300,,,o1,九折,10% off,percent:1000\n\
               4011,香蕉,Bananas,998,900,true,,,,,\n\
               4012,橙,Oranges,abc,900,,,,,,\n\
               4013,酒,Wine,9900,1300,false,18,o2,三件,3 for,multi:x\n\
               4014,短\n";
    let bad = dataset::import(&store, Kind::Catalogue, csv, None, OnBad::Refuse).unwrap().unwrap_err();
    let numbers: Vec<usize> = bad.iter().map(|bad| bad.line).collect();
    assert_eq!(numbers, [4, 5, 6], "{bad:?}");
    let imported = dataset::import(&store, Kind::Catalogue, csv, None, OnBad::Skip).unwrap().unwrap();
    assert_eq!(imported.manifest.rows, 2);

    let members =
        "id,code,name,level\nm-1,M0000000001,王小明,gold\nm-2,M1,李四,\nm-1,M0000000003,张三,\nm-4,M0000000001,赵六,\n";
    let bad = dataset::import(&store, Kind::Members, members, None, OnBad::Refuse).unwrap().unwrap_err();
    let numbers: Vec<usize> = bad.iter().map(|bad| bad.line).collect();
    assert_eq!(numbers, [3, 4, 5], "{bad:?}");
    assert!(!format!("{bad:?}").contains(['李', '张', '赵']));
    let array = r#"[{"id":"m-1","code":"M0000000001","name":"Anna"},{"id":"m-2","code":"x","name":"Bo"}]"#;
    let imported = dataset::import(&store, Kind::Members, array, None, OnBad::Skip).unwrap().unwrap();
    assert_eq!((imported.manifest.rows, imported.bad[0].line), (1, 2));
}
