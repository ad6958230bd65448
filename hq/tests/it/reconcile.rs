//! Statements of providers against journals, with differences sown in.

use crate::support::{Journal, TestBox, becomes, config, count, hq, tempdir};
use crate::wallet::{charge, outcome};
use aisle_hq::pay::gift::Gifts;
use aisle_hq::pay::reconcile::{Kind, differences};
use aisle_hq::pay::sandbox::Sandbox;
use aisle_hq::pay::{order_no, statement};
use aisle_hq::store::{Store, now_ms};
use checkout::scan::WalletProvider;
use checkout::wire::Question;
use tempfile::TempDir;

/// Charges `tender` at the sandbox and, unless `journaled` says otherwise, writes down that it stands.
async fn pay(one: &mut TestBox, journal: &mut Journal, tender: &str, amount: i64, code: &str, journaled: Option<i64>) {
    outcome(one, 1, charge(tender, amount, code)).await;
    self::journaled(journal, tender, amount, journaled);
}

fn journaled(journal: &mut Journal, tender: &str, amount: i64, stands: Option<i64>) {
    let Some(stands) = stands else { return };
    let started =
        serde_json::json!({"started": {"tender": tender, "kind": "wallet", "amount": amount, "device": null}});
    let approved = serde_json::json!({"approved": {"tender": tender, "amount": stands, "reference": "w"}});
    for event in [started, approved] {
        journal.add(serde_json::json!({"utc": now_ms(), "lane": 1, "event": {"tender": event}}).to_string());
    }
}

fn today(dir: &TempDir) -> String {
    Sandbox::open(dir.path()).unwrap().statement("wechat", &day()).unwrap()
}

/// Today, in Beijing.
fn day() -> String {
    let beijing = "SELECT date(?1 / 1000, 'unixepoch', '+8 hours')";
    rusqlite::Connection::open_in_memory().unwrap().query_row(beijing, [now_ms()], |row| row.get(0)).unwrap()
}

fn take_in(dir: &TempDir, text: &str) -> usize {
    let lines = statement::read(text).unwrap();
    statement::keep(&mut Store::open(dir.path()).unwrap().writer().unwrap(), &lines).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_and_the_journals_say_differently_is_listed_line_by_line() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let mut journal = Journal::default();
    one.hello(&journal).await;
    pay(&mut one, &mut journal, "t-1.1", 500, "134567890123456781", Some(500)).await;
    pay(&mut one, &mut journal, "t-2.1", 600, "134567890123456782", None).await;
    pay(&mut one, &mut journal, "t-3.1", 700, "134567890123456783", Some(650)).await;
    pay(&mut one, &mut journal, "t-4.1", 800, "134567890123456737", Some(800)).await;
    pay(&mut one, &mut journal, "t-5.1", 900, "134567890123456785", Some(900)).await;
    // Charged and given back whole, and sold for by nothing: no difference.
    pay(&mut one, &mut journal, "t-6.1", 300, "134567890123456786", None).await;
    let back = Question::RefundWallet {
        tender: "t-6.2".into(),
        of: "t-6.1".into(),
        amount: checkout::words::Money(300),
        currency: "CNY".into(),
    };
    outcome(&mut one, 2, back).await;
    one.drain(&journal, 50).await;
    becomes(&dir, "SELECT count(*) FROM tender_money WHERE taken <> 0", 4).await;

    let lost = order_no("box-1", &"t-5.1".into());
    let told = today(&dir);
    assert!(told.starts_with("交易时间,") && told.contains("总交易单数"), "{told}");
    let text: String = told.lines().filter(|line| !line.contains(&lost)).map(|line| format!("{line}\n")).collect();
    assert_eq!(take_in(&dir, &text), 7);
    assert_eq!(take_in(&dir, &text), 0, "the same statement again");
    let found = differences(&Store::open(dir.path()).unwrap().reader().unwrap()).unwrap();
    let mut told: Vec<_> = found.iter().map(|one| (one.order_no.clone(), one.kind, one.here, one.there)).collect();
    told.sort();
    let mut wanted = vec![
        (order_no("box-1", &"t-2.1".into()), Kind::MissingHere, None, Some(600)),
        (order_no("box-1", &"t-3.1".into()), Kind::AmountDiffers, Some(650), Some(700)),
        (order_no("box-1", &"t-4.1".into()), Kind::Double, Some(800), Some(1_600)),
        (lost, Kind::MissingThere, Some(900), None),
    ];
    wanted.sort();
    assert_eq!(told, wanted);
    assert!(found.iter().any(|one| one.tender.as_deref() == Some("t-3.1") && one.box_id.as_deref() == Some("box-1")));
    assert_eq!(count(&dir, "SELECT count(*) FROM dead_letter"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_differences_says_so_and_a_day_without_a_statement_says_nothing() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let mut journal = Journal::default();
    one.hello(&journal).await;
    pay(&mut one, &mut journal, "t-1.1", 500, "134567890123456781", Some(500)).await;
    one.drain(&journal, 50).await;
    becomes(&dir, "SELECT count(*) FROM tender_money WHERE taken <> 0", 1).await;
    let read = || differences(&Store::open(dir.path()).unwrap().reader().unwrap()).unwrap();
    assert!(read().is_empty(), "the statement comes tomorrow");
    take_in(&dir, &today(&dir));
    assert!(read().is_empty());
}

/// UnionPay's codes and the retailer's own gift cards: no bill of theirs is alike everywhere, so they come in one of our own.
#[tokio::test(flavor = "multi_thread")]
async fn unionpays_codes_and_gift_cards_are_held_against_the_journals_too() {
    let dir = tempdir().unwrap();
    let card = "G-4242424242";
    let code = checkout::scan::Printed::Gift.code("4242424242").unwrap();
    assert!(code.starts_with(card));
    Gifts::open(dir.path()).unwrap().load(&code, checkout::words::Money(5_000), "CNY").unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let mut journal = Journal::default();
    one.hello(&journal).await;
    let by = |provider, tender: &str, amount, code: &str| Question::AuthoriseWallet {
        tender: tender.into(),
        amount: checkout::words::Money(amount),
        currency: "CNY".into(),
        provider,
        code: checkout::words::Private(code.into()),
    };
    for (tender, provider, amount, code, here) in [
        ("u-1.1", WalletProvider::Unionpay, 500, "6212345678901234561", Some(500)),
        ("u-2.1", WalletProvider::Unionpay, 600, "6212345678901234562", None),
        ("g-1.1", WalletProvider::Gift, 700, code.as_str(), Some(700)),
        ("g-2.1", WalletProvider::Gift, 800, code.as_str(), Some(790)),
    ] {
        outcome(&mut one, 1, by(provider, tender, amount, code)).await;
        journaled(&mut journal, tender, amount, here);
    }
    one.drain(&journal, 50).await;
    becomes(&dir, "SELECT count(*) FROM tender_money WHERE taken <> 0", 3).await;
    let day = day();
    let unionpay = Sandbox::open(dir.path()).unwrap().statement("unionpay", &day).unwrap();
    let gifts = Gifts::open(dir.path()).unwrap().statement(&day).unwrap();
    assert!(!gifts.contains(card), "a card's code is money: {gifts}");
    assert_eq!((take_in(&dir, &unionpay), take_in(&dir, &gifts)), (2, 2));
    let found = differences(&Store::open(dir.path()).unwrap().reader().unwrap()).unwrap();
    let mut told: Vec<_> = found.iter().map(|one| (one.provider.as_str(), one.kind, one.here, one.there)).collect();
    told.sort();
    let wanted =
        [("gift", Kind::AmountDiffers, Some(790), Some(800)), ("unionpay", Kind::MissingHere, None, Some(600))];
    assert_eq!(told, wanted);
    let foreign = unionpay.replace("unionpay", "wechat");
    assert!(statement::read(&foreign).is_err(), "WeChat has a bill of its own");
}

#[test]
fn alipays_bill_is_read_by_its_headings_and_a_damaged_one_is_refused_with_its_line() {
    let heading = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,\
                   订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,\
                   券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注";
    let row = |kind: &str, amount: &str, refund: &str| {
        format!(
            "2026112722001,\tord-1,{kind},茶,2026-11-27 10:00:00,2026-11-27 10:00:07,,,,,***,{amount},{amount},0,0,0,0,0,,0,0,{refund},0,0,"
        )
    };
    let bill = |rows: &[String]| {
        format!("#支付宝业务明细查询\n#账号：[2088]\n{heading}\n{}\n#业务明细列表结束\n#合计\n", rows.join("\n"))
    };
    let whole = bill(&[row("交易", "12.30", ""), row("退款", "-2.05", "ref-1")]);
    // As it is downloaded: in GBK.
    let (gbk, _, lost) = encoding_rs::GBK.encode(&whole);
    assert!(!lost && std::str::from_utf8(&gbk).is_err());
    assert_eq!(statement::text(&gbk), whole);
    let lines = statement::read(&statement::text(&gbk)).unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line.kind, line.amount, line.order_no.as_str(), line.refund_no.as_str())).collect();
    assert_eq!(
        told,
        [(statement::LineKind::Charge, 1_230, "ord-1", ""), (statement::LineKind::Refund, 205, "ord-1", "ref-1")]
    );
    assert_eq!(lines[0].at, 1_795_744_807_000, "the time of Beijing");
    for bad in [row("交易", "12.305", ""), row("交易", "1e3", ""), row("交易", "", "")] {
        let refused = format!("{:#}", statement::read(&bill(&[bad])).unwrap_err());
        assert!(refused.starts_with("line 2: ") && refused.contains("is no amount"), "{refused}");
    }
    assert!(statement::read("a,b\n1,2\n").is_err());
    assert!(statement::read("").is_err());
}
