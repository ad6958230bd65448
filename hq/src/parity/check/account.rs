//! Who bought, which coupons counted, and which points moved.

use super::{Bought, Case, Differences};
use crate::db::Connection;
use crate::parity::books::Books;
use crate::parity::replay::coupon_id;
use crate::parity::sales;
use anyhow::Result;
use checkout::calendar;
use checkout::catalog::Campaign;
use checkout::coupon::{Coupon, Issued};
use checkout::points::{Points, PointsBack, share};
use checkout::returns::SaleRef;
use checkout::sale::SaleTender;
use checkout::view::TenderKind;
use checkout::words::{LocalMinute, MemberId, Money};
use std::collections::{BTreeMap, BTreeSet};

/// Level and what was used before, as the members dataset in force said when the basket was worked out.
pub(super) fn member(case: &Case<'_>, books: &mut Books, hq: &Connection, found: &mut Differences) -> Result<()> {
    let (open, version) = (case.transaction, case.priced.members);
    let id = |member: Option<&MemberId>| member.map_or("nobody", |member| member.0.as_str()).to_owned();
    let known = open.member.as_ref().map(|identified| &identified.member);
    found.compare("member", "sale", id(known), id(case.sale.member.as_ref()));
    let terms = open.terms.member.clone().unwrap_or_default();
    let (mut level, mut used) = (String::new(), BTreeMap::new());
    if let Some(member) = known {
        match books.member(hq, version, member)? {
            None if version > 0 => {
                found.add("members", "sale", &"a published version", &version);
                return Ok(());
            }
            None => {}
            Some(row) => (level, used) = (row.level, row.used),
        }
    }
    for (promotion, times) in &case.priced.used {
        *used.entry(promotion.clone()).or_default() += times;
    }
    found.compare("member_level", "sale", level, terms.level);
    let times = |used: &BTreeMap<String, u32>| {
        used.iter().map(|(promotion, times)| format!("{promotion} {times}")).collect::<Vec<_>>().join(", ")
    };
    found.compare("member_used", "sale", times(&used), times(&terms.used));
    Ok(())
}

/// Each coupon of the sale: of a campaign that was published, shown while it held, and not redeemed before.
pub(super) fn coupons(case: &Case<'_>, books: &mut Books, hq: &Connection, found: &mut Differences) -> Result<()> {
    for coupon in &case.sale.coupons {
        let place = format!("coupon {}", coupon_id(coupon));
        let version = case.priced.coupons.get(&coupon_id(coupon)).copied();
        if !case.transaction.coupons.contains(coupon) {
            found.add("coupon", &place, &"one shown with this basket", &"another");
        }
        let campaign = match version {
            Some(version) => books.campaign(hq, version, &coupon.campaign)?,
            None => None,
        };
        match campaign {
            Some(campaign) => one_coupon(case, coupon, campaign, &place, found),
            None => found.add("coupon", &place, &"a published campaign", &coupon.campaign),
        }
        if coupon.single_use
            && let Some(other) = sales::redeemed_before(hq, case.box_id, coupon, &case.sale.transaction)?
        {
            found.add("coupon_again", &place, &"not redeemed before", &format!("redeemed with {other}"));
        }
    }
    let version = case.facts.datasets.get("coupons").map_or(0, |in_force| in_force.version);
    for issued in &case.sale.issued {
        let campaign = books.campaign(hq, version, &issued.campaign)?;
        handed_out(case, issued, campaign, found);
    }
    Ok(())
}

fn one_coupon(case: &Case<'_>, coupon: &Coupon, campaign: &Campaign, place: &str, found: &mut Differences) {
    // Journals that do not say when are not judged by it.
    if let Some(at) = coupon.shown_at.filter(|at| !campaign.holds(*at)) {
        let day = |at: Option<LocalMinute>| at.map_or_else(|| "…".to_owned(), calendar::write);
        let valid = format!("{} – {}", day(campaign.from), day(campaign.until));
        found.add("coupon_validity", place, &valid, &calendar::write(at));
    }
    let often = |once: bool| if once { "each serial once" } else { "any number of times" };
    found.compare("coupon_use", place, often(campaign.single_use), often(coupon.single_use));
    let lease = |lease: Option<u64>| lease.map_or_else(|| "none".to_owned(), |lease| lease.to_string());
    found.compare("coupon_lease", place, lease(coupon.lease.map(|_| campaign.lease_no)), lease(coupon.lease));
    let many = case.sale.coupons.iter().filter(|one| one.campaign == coupon.campaign).count();
    if let Some(most) = campaign.per_basket.filter(|most| many > usize::try_from(*most).unwrap_or(usize::MAX)) {
        found.add("coupon_count", place, &format!("{most} at most"), &many);
    }
}

fn handed_out(case: &Case<'_>, issued: &Issued, campaign: Option<&Campaign>, found: &mut Differences) {
    let place = format!("coupon {}.{}", issued.campaign, issued.serial);
    let Some(issue) = campaign.and_then(|campaign| campaign.issue.as_ref()) else {
        return found.add("coupon_issued", place, &"a campaign that receipts hand out", &issued.campaign);
    };
    found.compare("coupon_issued", &place, &case.sale.transaction.0, &issued.serial);
    if case.sale.total < issue.spend {
        found.add("coupon_issued", &place, &format!("a total of {} or more", issue.spend.0), &case.sale.total.0);
    }
    if issue.members && case.sale.member.is_none() {
        found.add("coupon_issued", &place, &"a member", &"nobody");
    }
}

/// Earned, burnt, taken back and given back, by the rules the store told of.
pub(super) fn points(case: &Case<'_>, bought: &Bought, found: &mut Differences) {
    // Journals of stores that never said by which rules they give points are not judged by any.
    let Some(rules) = &case.facts.point_rules else { return };
    let worked_out = case.transaction.points(rules);
    let (expected, sold) = (worked_out.unwrap_or_default(), case.sale.points.unwrap_or_default());
    let Points { earned, burnt, on } = expected;
    // Journals that do not say what of the goods earned points are of boxes that did not ask how they were paid.
    if burnt == 0 || sold.on.is_some() {
        found.compare("points_earned", "sale", earned, sold.earned);
        let amount = |on: Option<Money>| on.unwrap_or_default().0;
        found.compare("points_on", "sale", amount(on), amount(sold.on));
    }
    found.compare("points_burnt", "sale", burnt, sold.burnt);
    for tender in case.sale.tenders.iter().filter(|tender| tender.kind == TenderKind::Points) {
        let place = format!("payment {}", tender.tender);
        if tender.amount >= Money::ZERO {
            found.compare("points_worth", place, rules.worth_of(tender.points).0, tender.amount.0);
        } else if let Some(expected) = given_back(case, tender, bought) {
            found.compare("points_given", place, expected, tender.points);
        }
    }
    let sold = |asked: &SaleRef| match asked {
        SaleRef::Transaction(transaction) => bought.get(transaction).cloned(),
        SaleRef::Number { .. } => None,
    };
    let back = case.facts.points_back(case.transaction, sold);
    let all: BTreeSet<_> = back.iter().chain(&case.sale.points_back).map(|back| &back.transaction).collect();
    for transaction in all {
        let of = |all: &[PointsBack]| {
            let one = all.iter().find(|back| back.transaction == *transaction);
            one.map_or((0, 0), |back| (back.taken, back.given))
        };
        let (expected, told) = (of(&back), of(&case.sale.points_back));
        let place = format!("bought with {transaction}");
        found.compare("points_taken", &place, expected.0, told.0);
        found.compare("points_given", &place, expected.1, told.1);
    }
}

/// Points that go with this part of the payment they were burnt by.
fn given_back(case: &Case<'_>, tender: &SaleTender, bought: &Bought) -> Option<u64> {
    let of = tender.of.as_ref()?;
    let burnt = bought.get(&of.transaction())?.sale.tenders.iter().find(|one| one.tender == *of)?;
    let done = case.facts.returned.get(&of.transaction()).map_or(Money::ZERO, |returned| returned.refunded(of));
    let earlier = case.sale.tenders.iter().take_while(|one| one.tender != tender.tender);
    let here: Money = earlier.filter(|one| one.of.as_ref() == Some(of)).map(|one| one.amount).sum();
    let before = done.minus(here);
    let up_to = |amount| share(burnt.points, amount, burnt.amount);
    Some(up_to(before.minus(tender.amount)).saturating_sub(up_to(before)))
}
