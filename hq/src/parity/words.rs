//! What a difference is called by whoever reads the list: what, where, and what it should have been, in both languages.

use checkout::receipt::Currency;
use checkout::words::{Money, Name};

/// How the two values of a difference are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Minor units of the sale's currency.
    Money,
    /// Basis points.
    Rate,
    AsIs,
}

use Unit::{AsIs, Rate};

/// Code, Chinese, English, and what its values are.
const WHAT: &[(&str, &str, &str, Unit)] = &[
    ("age", "年龄限制", "Age limit", AsIs),
    ("age_check", "年龄核对", "Age check", AsIs),
    ("bought", "退货所属的交易", "Sale that returned goods come from", AsIs),
    ("change", "找零", "Change", Unit::Money),
    ("comes_with", "押金或附带商品", "Deposit or goods that come with it", AsIs),
    ("coupon", "优惠券", "Coupon", AsIs),
    ("coupon_again", "优惠券重复使用", "Coupon redeemed again", AsIs),
    ("coupon_count", "一单优惠券张数", "Coupons with one basket", AsIs),
    ("coupon_issued", "小票发出的优惠券", "Coupon handed out with the receipt", AsIs),
    ("coupon_lease", "离线额度编号", "Lease a coupon was taken under", AsIs),
    ("coupon_use", "优惠券使用次数", "How often the coupon may be used", AsIs),
    ("coupon_validity", "优惠券有效期", "When the coupon was valid", AsIs),
    ("discount", "优惠合计", "Sum of savings", Unit::Money),
    ("event", "日志事件", "Row of the journal", AsIs),
    ("group", "商品分类", "Group of goods", AsIs),
    ("item", "价格本中的商品", "Item of the price book", AsIs),
    ("kind", "行的种类", "Kind of line", AsIs),
    ("lines", "售出的行", "Lines sold", AsIs),
    ("member", "会员", "Member", AsIs),
    ("member_level", "会员等级", "Member's level", AsIs),
    ("member_price", "会员价", "Member prices", AsIs),
    ("member_used", "会员已用的促销次数", "Promotions the member had used before", AsIs),
    ("members", "会员数据版本", "Version of the members", AsIs),
    ("net", "税前净额", "Net amount", Unit::Money),
    ("offer", "单品促销", "Offer of the item", AsIs),
    ("paid", "付款合计", "Sum of payments", Unit::Money),
    ("points_burnt", "使用的积分", "Points burnt", AsIs),
    ("points_earned", "获得的积分", "Points earned", AsIs),
    ("points_given", "退回的积分", "Points given back", AsIs),
    ("points_on", "计积分的实付金额", "Paid with money, what points are earned on", Unit::Money),
    ("points_taken", "扣回的积分", "Points taken back", AsIs),
    ("points_worth", "积分抵扣金额", "What the points were worth", Unit::Money),
    ("price_book", "价格本", "Price book", AsIs),
    ("promotions", "促销数据版本", "Version of the promotions", AsIs),
    ("quantity_price", "多件价", "Prices by quantity", AsIs),
    ("receipt", "小票号", "Receipt number", AsIs),
    ("redeemed", "随交易核销的优惠券", "Coupons redeemed with the sale", AsIs),
    ("refund", "退款", "Refund", AsIs),
    ("report", "报表", "Report", AsIs),
    ("returned_item", "退回的商品", "Goods brought back", AsIs),
    ("returned_quantity", "退货数量", "Pieces brought back", AsIs),
    ("returned_worth", "退货金额", "What returned goods were worth", Unit::Money),
    ("rounding", "现金尾差", "Cash rounding", Unit::Money),
    ("saving", "优惠", "Saving", Unit::Money),
    ("serial", "序列号", "Serial number", AsIs),
    ("sold_price", "售出单价", "Unit price sold at", Unit::Money),
    ("sold_quantity", "售出数量", "Quantity sold", AsIs),
    ("sold_total", "售出金额", "Amount of the line sold", Unit::Money),
    ("sold_weight", "售出重量（克）", "Grams sold", AsIs),
    ("tax", "税额", "Tax", Unit::Money),
    ("tax_rate", "税率", "Tax rate", Rate),
    ("tender", "付款方式与金额", "Payment and its amount", AsIs),
    ("total", "总额", "Total", Unit::Money),
    ("transaction", "交易", "Transaction", AsIs),
    ("unit_price", "单价", "Unit price", Unit::Money),
    ("uses", "限次促销的使用次数", "Uses of promotions limited per member", AsIs),
];

/// What is different; a code nobody has words for is its own.
#[must_use]
pub fn what(code: &str) -> Name {
    let (zh, en) = WHAT.iter().find(|(known, ..)| *known == code).map_or((code, code), |(_, zh, en, _)| (zh, en));
    Name { zh: zh.into(), en: en.into() }
}

/// Where: “line 3”, “the whole sale”.
#[must_use]
pub fn place(place: &str) -> Name {
    let (first, rest) = place.split_once(' ').unwrap_or((place, ""));
    let (zh, en) = match first {
        "sale" | "basket" => ("整单".into(), "the whole sale".into()),
        "line" => match rest.split_once(" by ") {
            Some((line, rule)) => (format!("第 {line} 行，促销 {rule}"), format!("line {line}, promotion {rule}")),
            None => (format!("第 {rest} 行"), place.to_owned()),
        },
        "rate" => (format!("税率 {}", percent(rest)), format!("rate {}", percent(rest))),
        "coupon" => (format!("优惠券 {rest}"), place.to_owned()),
        "payment" => (format!("付款 {rest}"), place.to_owned()),
        "day" => (format!("日结 {rest}"), place.to_owned()),
        "shift" => (format!("班次 {rest}"), place.to_owned()),
        "bought" => (format!("购于{}", rest.trim_start_matches("with")), place.to_owned()),
        _ => (place.to_owned(), place.to_owned()),
    };
    Name { zh, en }
}

/// A value as people write it.
#[must_use]
pub fn value(code: &str, raw: &str, currency: &str) -> String {
    let unit = WHAT.iter().find(|(known, ..)| *known == code).map_or(AsIs, |(.., unit)| *unit);
    match (unit, raw.parse::<i64>()) {
        (Unit::Money, Ok(amount)) => {
            let digits = if matches!(currency, "JPY" | "KRW") {
                0
            } else if currency == "KWD" {
                3
            } else {
                2
            };
            Currency { code: String::new(), numeric: 0, sign: String::new(), digits }.show(Money(amount))
        }
        (Rate, Ok(_)) => percent(raw),
        _ => raw.to_owned(),
    }
}

/// “Unit price, line 1: headquarters works out 3.50, the box recorded 3.49.”
#[must_use]
pub fn sentence(code: &str, at: &str, (expected, found): (&str, &str), currency: &str) -> Name {
    let (what, at) = (what(code), place(at));
    let (expected, found) = (value(code, expected, currency), value(code, found, currency));
    let said = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
    let zh = format!(
        "{}（{}）：总部算得 {}，收银盒记为 {}",
        what.zh,
        at.zh,
        said(expected.clone(), "无"),
        said(found.clone(), "无")
    );
    let en = format!(
        "{}, {}: headquarters works out {}, the box recorded {}",
        what.en,
        at.en,
        said(expected, "nothing"),
        said(found, "nothing")
    );
    Name { zh, en }
}

/// `13 %`, `5.5 %`.
fn percent(bp: &str) -> String {
    let Ok(bp) = bp.parse::<u32>() else { return bp.to_owned() };
    let part = format!("{:02}", bp % 100);
    match part.trim_end_matches('0') {
        "" => format!("{} %", bp / 100),
        part => format!("{}.{part} %", bp / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_sentence_in_both_languages() {
        let said = sentence("unit_price", "line 3", ("350", "349"), "CNY");
        assert_eq!(said.en, "Unit price, line 3: headquarters works out 3.50, the box recorded 3.49");
        assert_eq!(said.zh, "单价（第 3 行）：总部算得 3.50，收银盒记为 3.49");
        let said = sentence("member_level", "sale", ("", "gold"), "CNY");
        assert_eq!(said.en, "Member's level, the whole sale: headquarters works out nothing, the box recorded gold");
        assert_eq!(sentence("total", "sale", ("1200", "1199"), "JPY").en.matches("1200").count(), 1);
        assert_eq!(place("rate 550").en, "rate 5.5 %");
        assert_eq!(place("line 2 by 3for2").zh, "第 2 行，促销 3for2");
    }

    #[test]
    fn every_difference_that_can_be_found_has_words() {
        let sources = [
            include_str!("../parity.rs"),
            include_str!("check.rs"),
            include_str!("check/account.rs"),
            include_str!("check/lines.rs"),
            include_str!("check/sums.rs"),
        ];
        let mut codes = std::collections::BTreeSet::new();
        for source in sources {
            for call in ["found.compare(\"", "found.add(\"", "what: \""] {
                codes.extend(source.split(call).skip(1).filter_map(|rest| rest.split('"').next()));
            }
        }
        assert!(codes.len() > 40, "{codes:?}");
        for code in codes {
            assert!(WHAT.iter().any(|(known, ..)| *known == code), "{code} has no words");
        }
    }
}
