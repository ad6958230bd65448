//! The fleet from a shell, and sales as files other programs read.

use crate::support::{Journal, TestBox, config, db, hq, sale_at, state, tempdir};
use aisle_hq::export::{Format, sales};
use aisle_hq::fleet::{Filter, alarms, boxes, show};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;
use tempfile::TempDir;

/// One box that is there with a sale and a row that is none, one that has gone.
async fn two_boxes() -> TempDir {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.add(sale_at("t-1", 7, 123_450, 1_790_000_000_000));
    journal.add("poison");
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.say("state", serde_json::to_vec(&state(true, 1, 1)).unwrap()).await;
    one.drain(&journal, 2).await;
    let mut two = TestBox::connect(&hq, "box-2").await;
    two.hello(&Journal::default()).await;
    hq.stop().await;
    dir
}

fn ids(dir: &TempDir, filter: &Filter) -> Vec<String> {
    let found = boxes(&db(dir), filter).unwrap().json().unwrap();
    found.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn boxes_are_found_by_what_is_wrong_with_them() {
    let dir = two_boxes().await;
    let all = Filter::default();
    assert_eq!(ids(&dir, &all).len(), 2);
    db(&dir).execute("UPDATE box SET online = 0, head = acked + 3 WHERE id = 'box-2'", []).unwrap();
    db(&dir).execute("UPDATE box SET last_seen = 0, store = '南京路店' WHERE id = 'box-2'", []).unwrap();
    for filter in [
        Filter { offline: true, ..all.clone() },
        Filter { behind: Some(3), ..all.clone() },
        Filter { silent: Some(10), ..all.clone() },
        Filter { named: Some("南京路".into()), ..all.clone() },
    ] {
        assert_eq!(ids(&dir, &filter), ["box-2"], "{filter:?}");
    }
    assert_eq!(ids(&dir, &Filter { behind: Some(4), ..all.clone() }), [""; 0]);
    let table = boxes(&db(&dir), &all).unwrap().table();
    let heads: Vec<usize> = table.lines().take(2).map(|line| line.find("link").or(line.find("OFF")).unwrap()).collect();
    assert!(table.contains("南京路店") && table.ends_with("2 of 2 boxes\n"), "{table}");
    assert_eq!(heads[1] - heads[0], "南京路店".len() - 8, "a column stands under its title: {table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_box_is_shown_with_its_sales_and_alarms_and_an_unknown_one_is_refused() {
    let dir = two_boxes().await;
    let db = db(&dir);
    let shown = show(&db, "box-1").unwrap();
    assert_eq!(shown["sales"][0]["total"], 123_450);
    assert_eq!(shown["dead_letters"].as_array().unwrap().len(), 1);
    db.execute("INSERT INTO alarm (box, kind, detail, at, last_at) VALUES ('box-1', 'k', 'd', 1, 1)", []).unwrap();
    assert!(alarms(&db, Some("box-1")).unwrap().contains(r#""detail":"d""#));
    assert_eq!(alarms(&db, Some("box-2")).unwrap(), "");
    for refused in [show(&db, "box-3").map(drop), alarms(&db, Some("box-3")).map(drop)] {
        assert!(format!("{:#}", refused.unwrap_err()).contains("`fleet boxes` lists"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_leave_as_poslog_and_as_csv_within_the_times_asked_for() {
    let dir = two_boxes().await;
    let db = db(&dir);
    let at = 1_790_000_000_000;
    let written = |from, until, format| {
        let mut out = Vec::new();
        let count = sales(&db, from, until, format, &mut out).unwrap();
        (count, String::from_utf8(out).unwrap())
    };
    let (count, text) = written(at, at + 1, Format::Poslog);
    let sale: Value = serde_json::from_str(&text).unwrap();
    let inside = &sale["RetailTransaction"];
    assert_eq!((count, &sale["SequenceNumber"], &sale["CurrencyCode"]), (1, &7.into(), &"CNY".into()));
    assert_eq!(inside["Total"][0]["Amount"], 123_450);
    let sum = |list: &str, field: &str| -> i64 {
        inside[list].as_array().unwrap().iter().map(|one| one[field].as_i64().unwrap()).sum()
    };
    assert_eq!((sum("LineItem", "ExtendedAmount"), sum("Tender", "Amount")), (123_450, 123_450));
    assert_eq!(written(at + 1, i64::MAX, Format::Poslog), (0, String::new()));

    db.execute("UPDATE sale_line SET name_en = '=cmd(\"x\"), tea'", []).unwrap();
    let (_, text) = written(i64::MIN, i64::MAX, Format::Csv);
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("transaction,store,box,lane,receipt,time,currency,line,item"));
    let row = lines.next().unwrap();
    assert!(row.contains(r#""'=cmd(""x""), tea""#), "no formula, and a comma stays inside its cell: {row}");
    assert!(row.ends_with(",123450") && lines.next().is_none(), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_sales_leave_in_columns_and_a_reader_of_parquet_finds_every_amount() {
    let dir = two_boxes().await;
    let db = db(&dir);
    let mut file = Vec::new();
    let sold = sales(&db, i64::MIN, i64::MAX, Format::Parquet, &mut file).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
    let rows: Vec<Value> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_json_value()).collect();
    let all = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(i64::try_from(sold).unwrap(), all("SELECT count(*) FROM sale"));
    assert_eq!(i64::try_from(rows.len()).unwrap(), all("SELECT count(*) FROM sale_line"));
    let sum: i64 = rows.iter().map(|row| row["total"].as_i64().unwrap()).sum();
    assert_eq!(sum, all("SELECT CAST(sum(total) AS BIGINT) FROM sale_line"));
    assert!(rows.iter().all(|row| row["weight_g"].is_null() && row["lane"].is_number()), "{rows:?}");

    let mut none = Vec::new();
    assert_eq!(sales(&db, i64::MAX - 1, i64::MAX, Format::Parquet, &mut none).unwrap(), 0);
    let empty = SerializedFileReader::new(bytes::Bytes::from(none)).unwrap();
    assert_eq!(empty.metadata().file_metadata().num_rows(), 0, "no sale is a file, too");
}
