//! The console of ten thousand boxes.

use crate::console::get;
use crate::support::{config, hq};
use rusqlite::Connection;
use tempfile::tempdir;

const BOXES: i64 = 10_000;

/// Ten thousand boxes as a bad morning has them: some away, behind, with a printer down or on last year's version, two kinds of
/// alarms; 40,000 sales of today.
fn seed(db: &Connection) {
    db.execute_batch(&format!(
        r#"BEGIN;
        INSERT INTO box (id, store, journal, epoch, acked, hash, head, boot, connection, online, first_seen, last_seen, version,
                         price_book, devices)
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {BOXES} - 1)
        SELECT printf('cn-%05d', i), iif(i % 2, '南京路店 ', 'Store ') || i, 'j' || i, 1, 40000, zeroblob(32),
               40000 + iif(i % 500 = 7, 5000 + i, i % 3), 1, 1, i % 100 <> 3, 0,
               unixepoch() * 1000 - iif(i % 100 = 3, 3600000 + i, 2000), iif(i % 20 = 0, '0.0.9', '0.1.0'), 'pb-7',
               iif(i % 250 = 11, '{{"printer-1":false,"scanner-1":true}}', '{{"printer-1":true,"scanner-1":true}}')
        FROM n;
        INSERT INTO alarm (box, kind, detail, at, last_at)
        SELECT id, 'backup_failed', 'x', 0, unixepoch() * 1000 - 60000 FROM box WHERE id LIKE '%44';
        INSERT INTO alarm (box, kind, detail, at, last_at) VALUES ('cn-00001', 'journal_cut', 'x', 0, unixepoch() * 1000),
            ('cn-00002', 'disk_full', 'of long ago', 0, 1000);
        INSERT INTO sale (transaction_id, box, lane, receipt_no, at, total, tax, discount, change, currency, member, epoch, seq, content)
        WITH RECURSIVE k(n) AS (VALUES (1), (2), (3), (4))
        SELECT id || '-' || n, id, 1, n, unixepoch() * 1000 - n, 100 * n, 0, 0, 0, 'CNY', NULL, 1, n, x'00' FROM box, k;
        DELETE FROM sale_quarter;
        COMMIT;"#
    ))
    .unwrap();
}

fn rows(page: &str) -> Vec<&str> {
    page.split(r#"<a class="id" href="/box/"#).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_boxes_the_list_shows_one_screen_filtered_sorted_and_page_by_page() {
    let dir = tempdir().unwrap();
    hq(&config(&dir)).await.stop().await;
    seed(&Connection::open(dir.path().join("hq.db")).unwrap());
    // The next start works out the sums of a database that had none.
    let hq = hq(&config(&dir)).await;
    let own = hq.http.to_string();
    let page = |path: &'static str| get(hq.http, path, &own);

    let first = page("/fleet").await;
    assert_eq!(rows(&first).len(), 50);
    assert!(rows(&first).iter().all(|id| id.ends_with("03")), "those away come first: {:?}", rows(&first));
    assert!(first.len() < 60_000, "{} bytes", first.len());
    for count in [
        "All <b>10,000</b>",
        "Offline <b>100</b>",
        "Behind <b>20</b>",
        "Device down <b>40</b>",
        "Alarm today <b>101</b>",
    ] {
        assert!(first.contains(count), "{count}");
    }
    assert!(first.contains("0.0.9 (500)") && first.contains("1 / 200"));

    assert_eq!(rows(&page("/fleet?sort=id&page=199").await).last(), Some(&"cn-09999"));
    assert_eq!(rows(&page("/fleet?sort=backlog").await).first(), Some(&"cn-09507"));
    assert_eq!(rows(&page("/fleet?q=00123").await), ["cn-00123"]);
    assert_eq!(rows(&page("/fleet?q=%E5%8D%97%E4%BA%AC%E8%B7%AF%E5%BA%97%204001").await), ["cn-04001"]);
    assert_eq!(rows(&page("/fleet?state=behind&version=0.1.0&sort=id").await).len(), 20);
    assert_eq!(rows(&page("/fleet?alarm=journal_cut").await), ["cn-00001"]);
    assert!(rows(&page("/fleet?alarm=disk_full").await).is_empty(), "an alarm of long ago is history");
    assert!(rows(&page("/fleet?q=%27%20OR%201%3D1--").await).is_empty(), "words from outside are no SQL");
    assert!(page("/fleet?q=%22%3E%3Cscript%3E").await.contains("&quot;&gt;&lt;script&gt;"));

    let start = page("/").await;
    assert!(start.len() < 80_000, "{} bytes", start.len());
    assert!(start.contains("40,000 receipts") && start.contains("¥100,000.00"), "the sums of today");
    assert!(start.contains("Backup failed") && start.contains("100 boxes") && start.contains("Journal was cut"));
    assert!(start.contains("9,900 / 10,000") && rows(&start).len() <= 12);
    let chinese = page("/fleet?lang=zh&state=offline").await;
    assert!(chinese.contains("离线 <b>100</b>") && chinese.contains("下一页"));
}
