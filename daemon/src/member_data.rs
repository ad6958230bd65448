//! All that a store box has of one member, for that member: what stands among the members, and every fact of the journal that
//! names them. Nothing biometric is here to be told: templates stay in the vision process, whose socket has no word for them.
//! Nobody else is in it either: of other members and of staff there is no name and no id.

use crate::catalog;
use crate::clock::Zone;
use crate::journal::Reader;
use anyhow::Result;
use checkout::basket::BasketEvent;
use checkout::calendar;
use checkout::catalog::Member;
use checkout::event::{Event, Record};
use checkout::face::Consent;
use checkout::member::{Identified, IdentifiedBy, MemberEvent};
use checkout::points::PointsBack;
use checkout::receipt::SlipRow;
use checkout::sale::Sale;
use checkout::store::StoreEvent;
use checkout::view::FaceEnd;
use checkout::words::{LaneId, LocalMinute, MemberId, TenderId, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// More than a member leaves in many years; `cut` says where there is more.
const FACTS_MAX: usize = 20_000;
/// Disputes name their payment only.
const DISPUTES: &str = "\"face_pay_disputed\"";

/// What is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberData {
    pub made_at: Utc,
    #[serde(rename = "box")]
    pub box_id: String,
    pub member: Option<Profile>,
    pub face: Face,
    pub sales: Sales,
    /// Oldest first.
    pub facts: Vec<Fact>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// What stands among the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Profile {
    pub id: MemberId,
    pub code: String,
    pub name: String,
    pub phone: String,
    pub level: String,
    /// As headquarters knew them when it made this version of the members.
    pub points: u64,
    /// How often promotions with a limit were used.
    pub used: BTreeMap<String, u32>,
}

/// What the facts about the face come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Face {
    /// The consent in force: a template of it lies at this store.
    pub consent: Option<Consent>,
    pub enrolled_at: Option<Utc>,
    pub withdrawn_at: Option<Utc>,
    pub erased_at: Option<Utc>,
    pub recognised: u64,
    pub recognised_last: Option<Utc>,
    /// Attempts by somebody who claimed to be this member.
    pub not_recognised: u64,
    /// Payments by face that were confirmed with the second factor.
    pub paid: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sales {
    pub count: u64,
    pub points_earned: u64,
    pub points_burnt: u64,
}

/// One fact of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub at: Utc,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneId>,
    /// As headquarters' ledger names it.
    pub what: &'static str,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// # Errors
/// The journal cannot be read.
pub fn gather(journal: &Path, data: &Path, box_id: &str, member: &MemberId, made_at: Utc) -> Result<MemberData> {
    let mut told =
        Told { member, tenders: BTreeSet::new(), agreed: None, face: Face::default(), sales: Sales::default() };
    let (mut facts, mut cut) = (Vec::new(), false);
    let name = serde_json::to_string(&member.0)?;
    Reader::open(journal)?.mentions([&name, DISPUTES], |Record { utc, lane, event }| {
        cut = facts.len() >= FACTS_MAX;
        if let Some((what, detail)) = told.fact(utc, &event).filter(|_| !cut) {
            facts.push(Fact { at: utc, lane, what, detail });
        }
        !cut
    })?;
    let profile = catalog::member_of(data, member).map(Profile::from);
    Ok(MemberData { made_at, box_id: box_id.into(), member: profile, face: told.face, sales: told.sales, facts, cut })
}

impl From<Member> for Profile {
    fn from(member: Member) -> Self {
        let Member { id, code, name, phone, level, used, points, points_lease: _ } = member;
        Self { id, code, name, phone, level, points, used }
    }
}

impl MemberData {
    /// For a screen and a paper that others may see: who it is stays half hidden.
    #[must_use]
    pub fn masked(mut self) -> Self {
        if let Some(profile) = &mut self.member {
            profile.name = masked(&profile.name, 1, 0);
            profile.code = masked(&profile.code, 0, 4);
            profile.phone = masked(&profile.phone, 0, 2);
        }
        self
    }

    /// What fits a receipt: what is kept and what it came to. The facts one by one are in the file.
    #[must_use]
    pub fn rows(&self, zone: &Zone) -> Vec<SlipRow> {
        let at = |at: Utc| {
            let minute = LocalMinute(at.0.div_euclid(60_000).saturating_add(i64::from(zone.at(at).0)));
            calendar::write(minute).replace('T', " ")
        };
        let mut rows = Vec::new();
        let mut row = |label, value: String| rows.push(SlipRow::of(label, value));
        if let Some(Profile { name, code, phone, level, points, .. }) = &self.member {
            row(("姓名", "Name"), name.clone());
            row(("会员码", "Member code"), code.clone());
            row(("手机号", "Telephone"), phone.clone());
            row(("等级", "Level"), level.clone());
            row(("积分（总部）", "Points at headquarters"), points.to_string());
        }
        match &self.face.consent {
            Some(consent) => {
                row(("人脸特征", "Face template"), "1".into());
                row(("同意书版本", "Consent"), consent.text_version.clone());
                row(("同意时间", "Given"), at(Utc(consent.at_utc_ms)));
                for part in consent.text_sha256.as_bytes().chunks(16) {
                    row(("同意书 SHA-256", "SHA-256 of its text"), String::from_utf8_lossy(part).into_owned());
                }
            }
            None => row(("人脸特征", "Face template"), "0".into()),
        }
        for (label, time) in [
            (("录入时间", "Enrolled"), self.face.enrolled_at),
            (("撤回时间", "Withdrawn"), self.face.withdrawn_at),
            (("删除时间", "Erased"), self.face.erased_at),
            (("最近识别", "Last recognised"), self.face.recognised_last),
        ] {
            if let Some(time) = time {
                row(label, at(time));
            }
        }
        row(("刷脸识别次数", "Times recognised"), self.face.recognised.to_string());
        row(("识别未成功次数", "Attempts that failed"), self.face.not_recognised.to_string());
        row(("刷脸付款次数", "Payments by face"), self.face.paid.to_string());
        row(("本店购物次数", "Purchases at this store"), self.sales.count.to_string());
        row(("累计积分", "Points earned"), self.sales.points_earned.to_string());
        row(("使用积分", "Points used"), self.sales.points_burnt.to_string());
        row(("记录条数", "Facts on record"), self.facts.len().to_string());
        rows
    }
}

/// All but the first and the last few characters hidden.
fn masked(text: &str, first: usize, last: usize) -> String {
    let length = text.chars().count();
    let shown = |at: usize| at < first || at + last >= length;
    text.chars().enumerate().map(|(at, one)| if shown(at) { one } else { '*' }).collect()
}

struct Told<'a> {
    member: &'a MemberId,
    /// Payments of theirs by face.
    tenders: BTreeSet<TenderId>,
    /// The consent a template is being made under.
    agreed: Option<Consent>,
    face: Face,
    sales: Sales,
}

impl Told<'_> {
    fn fact(&mut self, at: Utc, event: &Event) -> Option<(&'static str, Value)> {
        match event {
            Event::Member(event) => self.about_member(at, event),
            Event::Store(StoreEvent::FaceErased { member, receipts, .. }) if member == self.member => {
                (self.face.erased_at, self.face.consent) = (Some(at), None);
                Some(("erased", json!({ "receipts": receipts })))
            }
            Event::Basket(BasketEvent::Completed(sale)) => self.about_sale(sale),
            Event::Store(_)
            | Event::Basket(_)
            | Event::Lane(_)
            | Event::Tender(_)
            | Event::Shift(_)
            | Event::Box(_)
            | Event::Control(_) => None,
        }
    }

    fn about_member(&mut self, at: Utc, event: &MemberEvent) -> Option<(&'static str, Value)> {
        match event {
            MemberEvent::Identified(now) | MemberEvent::Switched { to: now, .. } => self.identified(at, now),
            MemberEvent::FaceEnrolConsented { member, consent, .. } if member == self.member => {
                self.agreed = Some((**consent).clone());
                Some(("consented", json!(consent)))
            }
            MemberEvent::FaceEnrolled { member, frames, .. } if member == self.member => {
                (self.face.consent, self.face.enrolled_at) = (self.agreed.take(), Some(at));
                (self.face.withdrawn_at, self.face.erased_at) = (None, None);
                Some(("enrolled", json!({ "frames": frames })))
            }
            MemberEvent::FaceEnrolRefused { member, .. } if member == self.member => {
                Some(("not_enrolled", Value::Null))
            }
            MemberEvent::FaceWithdrawn { member } if member == self.member => {
                (self.face.withdrawn_at, self.face.consent) = (Some(at), None);
                Some(("withdrawn", Value::Null))
            }
            MemberEvent::FaceEnded { outcome, claimed: Some(claimed), .. }
                if claimed == self.member && *outcome != FaceEnd::Match =>
            {
                self.face.not_recognised += 1;
                Some(("not_recognised", json!({ "outcome": outcome })))
            }
            MemberEvent::FacePayAsked { member, amount, factor, .. } if member == self.member => {
                Some(("asked", json!({ "amount": amount, "factor": factor })))
            }
            MemberEvent::FacePayConfirmed { member, tender, amount, factor, .. } if member == self.member => {
                self.face.paid += 1;
                self.tenders.insert(tender.clone());
                Some(("confirmed", json!({ "tender": tender, "amount": amount, "factor": factor })))
            }
            MemberEvent::FacePayDisputed { tender, amount, reason, .. } if self.tenders.contains(tender) => {
                Some(("disputed", json!({ "tender": tender, "amount": amount, "reason": reason })))
            }
            MemberEvent::DataShown { member, staff } if member == self.member => {
                Some(("shown", json!({ "by_staff": staff.is_some() })))
            }
            MemberEvent::FaceConsented { .. }
            | MemberEvent::FaceEnded { .. }
            | MemberEvent::FaceEnrolConsented { .. }
            | MemberEvent::FaceEnrolled { .. }
            | MemberEvent::FaceEnrolRefused { .. }
            | MemberEvent::FaceWithdrawn { .. }
            | MemberEvent::FaceReopened { .. }
            | MemberEvent::FacePayAsked { .. }
            | MemberEvent::FacePayConfirmed { .. }
            | MemberEvent::FacePayDisputed { .. }
            | MemberEvent::DataShown { .. }
            | MemberEvent::Removed {} => None,
        }
    }

    fn identified(&mut self, at: Utc, now: &Identified) -> Option<(&'static str, Value)> {
        if now.member != *self.member {
            return None;
        }
        if now.by != IdentifiedBy::Face {
            return Some(("identified", json!({ "by": now.by })));
        }
        self.face.recognised += 1;
        self.face.recognised_last = Some(at);
        Some(("recognised", Value::Null))
    }

    /// Their own purchase, or what another's return did to their points.
    fn about_sale(&mut self, sale: &Sale) -> Option<(&'static str, Value)> {
        let back = |back: &&PointsBack| back.member == *self.member;
        let back: Vec<Value> = sale
            .points_back
            .iter()
            .filter(back)
            .map(|one| json!({ "sale": one.transaction, "taken": one.taken, "given": one.given }))
            .collect();
        if sale.member.as_ref() != Some(self.member) {
            return (!back.is_empty()).then(|| ("points", json!({ "back": back })));
        }
        let points = sale.points.unwrap_or_default();
        self.sales.count += 1;
        self.sales.points_earned += points.earned;
        self.sales.points_burnt += points.burnt;
        let lines: Vec<Value> = sale.lines.iter().map(|line| json!({ "goods": line.key, "name": line.name, "quantity": line.quantity, "weight_g": line.weight_g, "total": line.total })).collect();
        let tenders: Vec<Value> = sale
            .tenders
            .iter()
            .map(|one| json!({ "tender": one.tender, "kind": one.kind, "amount": one.amount }))
            .collect();
        let detail = json!({
            "transaction": sale.transaction, "receipt": sale.receipt, "currency": sale.currency, "total": sale.total,
            "points": { "earned": points.earned, "burnt": points.burnt, "back": back }, "tenders": tenders, "lines": lines,
        });
        Some(("sale", detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use checkout::face::{Age, Channel};

    const AT: i64 = 1_790_000_000_000;

    fn consent() -> Value {
        json!({"purpose": "identify", "text_version": "face-enrol-1", "text_sha256": "0f".repeat(32), "at_utc_ms": AT,
            "channel": "staff", "age": "fourteen_or_over"})
    }

    /// What stands in the journal of a store where two members shop, and one is told of.
    fn journal(folder: &Path, more: &[Value]) -> std::path::PathBuf {
        let path = folder.join("journal.db");
        let sale = |member: &str, no: u64, back: Value| {
            json!({"basket": {"completed": {"transaction": format!("t-{no}"), "receipt": no, "currency": "CNY", "total": 350,
                "discount": 0, "taxes": [], "tenders": [{"tender": format!("t-{no}.1"), "kind": "member_wallet", "amount": 350}],
                "change": 0, "member": member, "lines": [], "points": {"earned": 3, "burnt": 1}, "points_back": back}}})
        };
        let shared = [
            json!({"member": {"face_consented": {"attempt": 1, "consent": "face-consent-1"}}}),
            json!({"member": {"face_ended": {"attempt": 1, "outcome": "not_live", "claimed": "m-1"}}}),
            json!({"member": {"face_enrol_consented": {"attempt": 2, "member": "m-1", "consent": consent(), "staff": "s-77"}}}),
            json!({"member": {"face_enrolled": {"attempt": 2, "member": "m-1", "frames": 3}}}),
            json!({"member": {"switched": {"from": "m-2", "to": {"member": "m-1", "by": "face"}}}}),
            json!({"member": {"identified": {"member": "m-2", "by": "face"}}}),
            json!({"member": {"face_pay_asked": {"attempt": 3, "member": "m-1", "amount": 350, "factor": "pin"}}}),
            json!({"member": {"face_pay_confirmed":
                {"attempt": 3, "tender": "t-1.1", "member": "m-1", "amount": 350, "factor": "pin"}}}),
            sale("m-1", 1, json!([])),
            sale("m-2", 2, json!([{"transaction": "t-1", "member": "m-1", "taken": 3}])),
            json!({"member": {"face_pay_disputed": {"tender": "t-1.1", "amount": 350, "staff": "s-77", "reason": "not me"}}}),
            json!({"member": {"face_pay_disputed": {"tender": "t-2.1", "amount": 350, "staff": "s-77", "reason": "theirs"}}}),
            json!({"member": {"data_shown": {"member": "m-1", "staff": "s-77"}}}),
        ];
        let record = |(at, event): (i64, &Value)| -> Record {
            serde_json::from_value(json!({"utc": AT + at, "lane": 1, "event": event})).unwrap()
        };
        let records: Vec<Record> = (0..).zip(shared.iter().chain(more)).map(record).collect();
        Journal::open(&path).unwrap().commit(&records, None, None).unwrap();
        path
    }

    fn gathered(more: &[Value]) -> MemberData {
        let folder = tempfile::tempdir().unwrap();
        let path = journal(folder.path(), more);
        gather(&path, folder.path(), "box-1", &"m-1".into(), Utc(AT)).unwrap()
    }

    #[test]
    fn b22_a_member_is_told_all_of_the_journal_that_names_them_and_nothing_of_anybody_else() {
        let data = gathered(&[]);
        let what: Vec<&str> = data.facts.iter().map(|fact| fact.what).collect();
        assert_eq!(
            what,
            [
                "not_recognised",
                "consented",
                "enrolled",
                "recognised",
                "asked",
                "confirmed",
                "sale",
                "points",
                "disputed",
                "shown"
            ]
        );
        let consent = data.face.consent.clone().expect("in force");
        assert_eq!(
            (consent.text_version.as_str(), consent.channel, consent.age),
            ("face-enrol-1", Channel::Staff, Age::FourteenOrOver)
        );
        assert_eq!((data.face.recognised, data.face.not_recognised, data.face.paid), (1, 1, 1));
        assert_eq!((data.sales.count, data.sales.points_earned, data.sales.points_burnt), (1, 3, 1));
        let text = serde_json::to_string(&data).unwrap();
        for foreign in ["m-2", "s-77", "t-2", "theirs", "template", "score"] {
            assert!(!text.contains(foreign), "{foreign} is told: {text}");
        }
        let rows = data.rows(&Zone::fixed(480).unwrap());
        assert!(rows.iter().any(|row| row.value == "2026-09-21 22:13"), "{rows:?}");
        let hash: String =
            rows.iter().filter(|row| row.label.en.contains("SHA")).map(|row| row.value.as_str()).collect();
        assert_eq!(hash, "0f".repeat(32), "the whole hash of the text is on the paper");
    }

    #[test]
    fn b04_after_a_withdrawal_no_consent_is_told_as_in_force_and_its_record_stays() {
        let withdrawn = json!({"member": {"face_withdrawn": {"member": "m-1"}}});
        let erased = json!({"store": {"face_erased": {"member": "m-1"}}});
        let data = gathered(&[withdrawn.clone(), erased.clone()]);
        assert_eq!(data.face.consent, None);
        assert!(data.face.withdrawn_at < data.face.erased_at);
        assert_eq!(
            data.facts.iter().filter(|fact| ["consented", "withdrawn", "erased"].contains(&fact.what)).count(),
            3
        );
        let again = json!({"member": {"face_enrol_consented": {"attempt": 9, "member": "m-1", "consent": consent(), "staff": "s-77"}}});
        let refused = gathered(&[withdrawn.clone(), erased.clone(), again.clone()]);
        assert_eq!(refused.face.consent, None, "agreed, and no template came of it");
        let enrolled = json!({"member": {"face_enrolled": {"attempt": 9, "member": "m-1", "frames": 3}}});
        let back = gathered(&[withdrawn, erased, again, enrolled]);
        assert!(back.face.consent.is_some() && back.face.withdrawn_at.is_none());
    }

    #[test]
    fn on_a_screen_others_see_who_it_is_stays_half_hidden() {
        let member = Member {
            id: "m-1".into(),
            code: "M1234567897".into(),
            name: "王小明".into(),
            phone: "13912345678".into(),
            level: String::new(),
            used: BTreeMap::new(),
            points: 0,
            points_lease: 0,
        };
        let data = MemberData { member: Some(member.into()), ..gathered(&[]) };
        let shown = data.masked().member.unwrap();
        assert_eq!(
            (shown.name.as_str(), shown.code.as_str(), shown.phone.as_str()),
            ("王**", "*******7897", "*********78")
        );
    }
}
