use crate::console::get;
use crate::support::{Journal, TestBox, config, count, db, hq, sale, tempdir};
use aisle_hq::coupon::conflicts;
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::store::Store;
use checkout::wire::{Answer, Question};
use serde_json::{Value, json};

/// A sale that redeemed coupon `serial` of campaign `tea` under a lease.
fn with_coupon(transaction: &str, serial: &str, single_use: bool) -> String {
    let mut body: Value = serde_json::from_str(&sale(transaction, 1, 315)).unwrap();
    let name = json!({"zh": "茶券", "en": "Tea"});
    let mut coupon = json!({"campaign": "tea", "serial": serial, "name": name, "lease": 1});
    if single_use {
        coupon["single_use"] = true.into();
    }
    body["event"]["basket"]["completed"]["coupons"] = json!([coupon]);
    body.to_string()
}

fn claim(serial: &str) -> Question {
    Question::ClaimCoupon { campaign: "tea".into(), serial: serial.into() }
}

/// Who has it, as headquarters says; and under which question's number.
async fn told(one: &mut TestBox) -> (u64, Option<String>) {
    let reply = one.reply().await;
    let Answer::Coupon { used, .. } = reply.what else { panic!("not of a coupon: {reply:?}") };
    (reply.id, used)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_redeemed_at_two_boxes_offline_leaves_both_sales_and_one_conflict_with_its_names() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let (mut one, mut two) = (Journal::default(), Journal::default());
    one.add(with_coupon("one-1", "7", true));
    one.add(with_coupon("one-2", "paper", false));
    two.add(with_coupon("two-1", "7", true));
    two.add(with_coupon("two-2", "8", true));
    two.add(with_coupon("two-3", "paper", false));

    let mut first = TestBox::connect(&hq, "box-1").await;
    first.hello(&one).await;
    first.drain(&one, 10).await;
    let mut second = TestBox::connect(&hq, "box-2").await;
    second.hello(&two).await;
    second.send(&two, 1, two.head()).await;
    assert_eq!(told(&mut second).await, (0, Some("box-1".into())), "the second box hears of it");
    // The same again, as after a lost ack: nothing doubles.
    second.send(&two, 1, two.head()).await;
    second.drain(&two, 10).await;

    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 5, "both sales stand");
    let found = conflicts(&db(&dir), 10).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let named = (found[0].serial.as_str(), found[0].transaction.as_str(), found[0].other_transaction.as_str());
    assert_eq!(named, ("7", "two-1", "one-1"));
    assert_eq!((found[0].box_id.as_str(), found[0].other_box.as_str()), ("box-2", "box-1"));
    assert_eq!(count(&dir, "SELECT count FROM alarm WHERE kind = 'coupon_conflict' AND box = 'box-2'"), 1);
    let page = get(hq.http, "/coupons?lang=en", &hq.http.to_string()).await;
    assert!(page.contains("two-1") && page.contains("one-1") && page.contains("Coupons redeemed twice"), "{page}");
    let listed = get(hq.http, "/api/coupon-conflicts", &hq.http.to_string()).await;
    assert!(listed.contains(r#""other_box":"box-1""#), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_is_kept_for_the_box_that_claims_it_first_until_it_waits_too_long() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let mut two = TestBox::connect(&hq, "box-2").await;
    one.ask(1, claim("7")).await;
    assert_eq!(told(&mut one).await, (1, None));
    one.ask(2, claim("7")).await;
    assert_eq!(told(&mut one).await, (2, None), "the same box may ask again: its other basket was given up");
    two.ask(3, claim("7")).await;
    assert_eq!(told(&mut two).await, (3, Some("box-1".into())));
    db(&dir).execute("UPDATE coupon_claim SET at = at - 600001", []).unwrap();
    two.ask(4, claim("7")).await;
    assert_eq!(told(&mut two).await, (4, None), "a basket that never came to a sale does not keep it for ever");

    let mut journal = Journal::default();
    journal.add(with_coupon("two-1", "7", true));
    two.hello(&journal).await;
    two.drain(&journal, 10).await;
    db(&dir).execute("DELETE FROM coupon_claim", []).unwrap();
    one.ask(5, claim("7")).await;
    assert_eq!(told(&mut one).await, (5, Some("box-2".into())), "redeemed for ever");
}

#[test]
fn campaigns_are_checked_line_by_line() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let good = r#"{"id":"tea","name":{"zh":"茶券","en":"Tea"},"single_use":true,"signed":true,"lease":3,"issue":{"spend":5000,"valid_days":30}}"#;
    let lines = [
        good,
        good,
        &good.replace("\"tea\"", "\"t.a\""),
        &good.replace("\"signed\":true,", "").replace("tea", "two"),
        &good.replace("5000", "0").replace("tea", "three"),
        &good.replace("\"lease\":3", "\"from\":\"2026-12-02\",\"until\":\"2026-12-01\"").replace("tea", "four"),
        &good.replace("lease", "leese").replace("tea", "five"),
    ];
    let bad = dataset::import(&store, Kind::Coupons, &lines.join("\n"), None, OnBad::Refuse).unwrap().unwrap_err();
    let told: Vec<String> = bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 2: campaign tea is there twice",
            "line 3: the id is not 1 to 40 letters, digits, '-' and '_'",
            "line 4: what receipts hand out is signed and single_use",
            "line 5: issue wants a spend above zero and 1 to 3660 valid_days",
            "line 6: it ends before it begins",
            "line 7: unknown field `leese`",
        ]
    );
    let imported = dataset::import(&store, Kind::Coupons, good, None, OnBad::Refuse).unwrap().unwrap();
    assert_eq!((imported.manifest.dataset.as_str(), imported.manifest.name.as_str()), ("coupons", "coupons-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_that_went_back_with_its_goods_is_free_nowhere() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut body: Value = serde_json::from_str(&sale("one-2", 2, -315)).unwrap();
    let name = json!({"zh": "茶券", "en": "Tea"});
    body["event"]["basket"]["completed"]["revoked"] =
        json!([{"campaign": "tea", "serial": "one-1", "name": name, "last_day": "2026-12-31"}]);
    let mut one = Journal::default();
    one.add(sale("one-1", 1, 315));
    one.add(body.to_string());
    let mut second = TestBox::connect(&hq, "box-2").await;
    second.ask(1, claim("one-9")).await;
    assert_eq!(told(&mut second).await, (1, None));
    let mut first = TestBox::connect(&hq, "box-1").await;
    first.hello(&one).await;
    first.drain(&one, 10).await;
    second.ask(2, claim("one-1")).await;
    assert_eq!(told(&mut second).await, (2, Some("box-1".into())));
    assert_eq!(count(&dir, "SELECT count(*) FROM coupon_conflict"), 0);
}
