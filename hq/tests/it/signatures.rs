//! What providers sign, encrypt and verify, against examples they have published.

use aisle_hq::pay::rsa::{Signing, Verifying};
use aisle_hq::pay::{alipay, wechat};
use std::collections::BTreeMap;

/// The example key, request and signature of WeChat's own guide to signing requests; the key signs nothing real.
const WECHAT_KEY: &str = include_str!("published/wechat-example.pem");
const WECHAT_BODY: &str = r#"{"appid":"wxd678efh567hg6787","mchid":"1230000109","description":"Image形象店-深圳腾大-QQ公仔","out_trade_no":"1217752501201407033233368018","notify_url":"https://www.weixin.qq.com/wxpay/pay.php","amount":{"total":100,"currency":"CNY"},"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}"#;
const WECHAT_SIGNATURE: &str = "gEuexJ547PHFV77TQ6eiE4tphVYfWfUe1Wc2dBmVnoMYU2rl/M4zhw+b3vBhuMw6AC7pteNkryLA7UWU2h+umo0OdSuuLm1++O3NckQPCSfm6dypsjn4GYm84KMqXWFrhFmyxEwIdEJDr3w1UYfxOcu55OQupfLkrt/ZzuOspnliJFrPzGQFUk7lGqMMtpz3EfbDUNxnVsHblORg3hVmuYNmbGWnS2ovU30Y2Q+iKFDxzkaXBk8LTy6HzvxizRo6Q+J4SVM7O0hKXfgo1QdI68kpzNULb3EVBXlhTyPUzhkHzzLxECL1qHl3HH2hEv8++C+4wBlsagF3j/O6PABojA==";

#[test]
fn a_request_to_wechat_is_signed_as_its_guide_shows() {
    let key = Signing::from_pem(WECHAT_KEY).unwrap();
    let message = wechat::Message {
        method: "POST",
        url: "/v3/pay/transactions/jsapi",
        timestamp: 1_554_208_460,
        nonce: "593BEC0C930BF1AFEB40B4A08C8FB242",
        body: WECHAT_BODY,
    };
    let header = wechat::authorization(&key, "1230000109", "SERIAL", &message).unwrap();
    assert_eq!(
        header,
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"1230000109\",nonce_str=\"593BEC0C930BF1AFEB40B4A08C8FB242\",\
             signature=\"{WECHAT_SIGNATURE}\",timestamp=\"1554208460\",serial_no=\"SERIAL\""
        )
    );
    assert!(!format!("{key:?}").contains("MII"));
}

#[test]
fn a_notification_is_believed_only_as_it_was_signed_and_when() {
    let ours = Signing::from_pem(WECHAT_KEY).unwrap();
    let theirs = Verifying::from_der(ours.public_der());
    let body = r#"{"id":"EV-1"}"#;
    let signature = ours.sign(&wechat::answer_message(1_700_000_000, "n", body)).unwrap();
    let signed = wechat::Signed { timestamp: 1_700_000_000, nonce: "n", signature: &signature };
    wechat::verify(&theirs, signed, body, 1_700_000_100).unwrap();
    assert!(wechat::verify(&theirs, signed, r#"{"id":"EV-2"}"#, 1_700_000_100).is_err());
    assert!(wechat::verify(&theirs, wechat::Signed { nonce: "m", ..signed }, body, 1_700_000_100).is_err());
    assert!(wechat::verify(&theirs, signed, body, 1_700_000_301).is_err(), "a recording of an old one");
    assert!(wechat::verify(&theirs, wechat::Signed { signature: "!", ..signed }, body, 1_700_000_100).is_err());
}

/// No example was found whose key is published, too: what is opened here was sealed here, by the same specification.
#[test]
fn the_encrypted_part_of_a_notification_is_opened_with_the_v3_key_and_nothing_else() {
    use base64::Engine as _;
    let key = "0123456789abcdef0123456789abcdef";
    let sealed = seal(key, b"nonce-12byte", b"transaction", br#"{"trade_state":"SUCCESS"}"#);
    let resource = wechat::Resource {
        algorithm: "AEAD_AES_256_GCM".into(),
        ciphertext: base64::engine::general_purpose::STANDARD.encode(sealed),
        associated_data: "transaction".into(),
        nonce: "nonce-12byte".into(),
    };
    assert_eq!(wechat::decrypt(key, &resource).unwrap(), r#"{"trade_state":"SUCCESS"}"#);
    let wrong = [
        wechat::Resource { associated_data: "refund".into(), ..resource.clone() },
        wechat::Resource { nonce: "short".into(), ..resource.clone() },
        wechat::Resource { algorithm: "none".into(), ..resource.clone() },
        wechat::Resource { ciphertext: "AAAA".into(), ..resource.clone() },
    ];
    for wrong in wrong {
        assert!(wechat::decrypt(key, &wrong).is_err(), "{wrong:?}");
    }
    assert!(wechat::decrypt("short", &resource).is_err());
    assert!(wechat::decrypt("0123456789abcdef0123456789abcdeF", &resource).is_err());
}

fn seal(key: &str, nonce: &[u8; 12], aad: &[u8], text: &[u8]) -> Vec<u8> {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).unwrap());
    let mut sealed = text.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut sealed).unwrap();
    sealed
}

#[test]
fn alipays_parameters_are_signed_sorted_without_empty_ones_and_without_the_signature() {
    let parameters: BTreeMap<String, String> = [
        ("method", "alipay.trade.pay"),
        ("app_id", "2014072300007148"),
        ("charset", "utf-8"),
        ("notify_url", ""),
        ("sign_type", "RSA2"),
        ("sign", "old"),
        ("biz_content", r#"{"out_trade_no":"1"}"#),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let message = alipay::request_message(&parameters);
    assert_eq!(
        message,
        r#"app_id=2014072300007148&biz_content={"out_trade_no":"1"}&charset=utf-8&method=alipay.trade.pay&sign_type=RSA2"#
    );
    assert!(!alipay::notice_message(&parameters).contains("sign_type"));
    let key = Signing::from_pem(WECHAT_KEY).unwrap();
    let theirs = Verifying::from_der(key.public_der());
    assert!(theirs.verifies(&message, &alipay::sign(&key, &parameters).unwrap()));
    let mut notice = parameters;
    notice.insert("sign".into(), key.sign(&alipay::notice_message(&notice)).unwrap());
    assert!(alipay::verify_notice(&theirs, &notice));
    notice.insert("app_id".into(), "another".into());
    assert!(!alipay::verify_notice(&theirs, &notice));
}
