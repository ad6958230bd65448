//! What a face may be used for and what is kept about it: consent, failures, withdrawal, and the proof that nothing is left.
//!
//! A camera says who somebody may be. What may come of that is decided here and in [`crate::face_pay`], nowhere else.

use crate::page::Refused;
use crate::words::{LaneId, MemberId, Money, Utc};
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Failures in a row after which each further attempt has to wait (NIST SP 800-63B-4, with detection of presentation attacks,
/// which is always on).
pub const DELAYED_FROM: u32 = 10;
/// Failures in a row after which the camera stays shut until a person of the staff opens it again.
pub const OFF_FROM: u32 = 100;
/// The first wait; it doubles with each further failure.
pub const DELAY_MS: i64 = 30_000;
const DELAY_MAX_MS: i64 = 3_600_000;
/// Digits of a telephone number a shopper gives to narrow the search.
pub const TAIL_DIGITS: usize = 4;
/// Members a search may be narrowed to: what fits one line of the camera's socket.
pub const AMONG_MAX: usize = 500;
/// Guardians' forms are numbered, not named.
const REFERENCE_MAX: usize = 40;

/// What a member agreed to before a template may exist; apart from every other agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    pub purpose: String,
    pub text_version: String,
    /// SHA-256 of the text that was shown, hexadecimal.
    pub text_sha256: String,
    /// When it was given, milliseconds since 1970 in UTC.
    pub at_utc_ms: i64,
    pub channel: Channel,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_utc_ms: Option<i64>,
    pub age: Age,
    /// The shop's number of the form a guardian signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardian: Option<String>,
}

/// Where a consent was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Kiosk,
    Staff,
    /// A member's own application, through headquarters.
    Hq,
}

impl Channel {
    /// As databases name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Kiosk => "kiosk",
            Self::Staff => "staff",
            Self::Hq => "hq",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Age {
    FourteenOrOver,
    UnderFourteen,
}

/// Why a consent allows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentFault {
    NoPurpose,
    NoText,
    NoTime,
    Ended,
    NoGuardian,
}

impl ConsentFault {
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoPurpose => "a consent names its purpose",
            Self::NoText => "a consent names the version of its text and the text's SHA-256",
            Self::NoTime => "a consent says when it was given",
            Self::Ended => "the consent ends before it begins",
            Self::NoGuardian => "under fourteen a guardian's consent is needed, by the number of its form",
        }
    }
}

impl Consent {
    /// What is missing before a template may be kept.
    #[must_use]
    pub fn fault(&self) -> Option<ConsentFault> {
        let hash = self.text_sha256.len() == 64 && self.text_sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.purpose.is_empty() {
            Some(ConsentFault::NoPurpose)
        } else if self.text_version.is_empty() || !hash {
            Some(ConsentFault::NoText)
        } else if self.at_utc_ms <= 0 {
            Some(ConsentFault::NoTime)
        } else if self.until_utc_ms.is_some_and(|until| until <= self.at_utc_ms) {
            Some(ConsentFault::Ended)
        } else if self.age == Age::UnderFourteen && !self.guardian.as_deref().is_some_and(is_reference) {
            Some(ConsentFault::NoGuardian)
        } else {
            None
        }
    }
}

fn is_reference(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte);
    !text.is_empty() && text.len() <= REFERENCE_MAX && text.bytes().all(allowed)
}

/// Signed by the gallery that held a template: the key that opened it is destroyed, and no file holds it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReceipt {
    pub member: MemberId,
    pub at_utc_ms: i64,
    pub cause: ErasureCause,
    /// SHA-256 of the destroyed key as it was kept, hexadecimal.
    pub key_sha256: String,
    /// What was searched for it afterwards, in bytes.
    pub scanned_bytes: u64,
    /// Ed25519, hexadecimal.
    pub public_key: String,
    pub signature: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureCause {
    Withdrawn,
    /// The consent ended, or nobody was recognised by it for too long.
    Expired,
}

impl ErasureReceipt {
    /// What the signature is over.
    #[must_use]
    pub fn signed_text(&self) -> String {
        let cause = match self.cause {
            ErasureCause::Withdrawn => "withdrawn",
            ErasureCause::Expired => "expired",
        };
        let Self { member, at_utc_ms, key_sha256, scanned_bytes, .. } = self;
        alloc::format!("aisle-erasure-1\n{member}\n{at_utc_ms}\n{cause}\n{key_sha256}\n{scanned_bytes}\n")
    }
}

/// One row of the dataset `erasures`: a member withdrew at some store, so every store forgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Counted by headquarters, without end.
    pub n: u64,
    pub member: MemberId,
    /// Templates of consents given later stay.
    pub at: Utc,
}

/// Why nothing comes of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceRefused {
    /// Too many failures: a while later it goes on.
    Delayed,
    /// Far too many failures: staff has to look.
    Off,
    PayOff,
    /// The last digits of a telephone number are needed, or are nobody's.
    Tail,
    /// The basket has changed since name and amount were shown.
    AmountChanged,
    PinNeeded,
    /// A face is not enough to change what is kept of faces.
    CodeNeeded,
    /// The consent lacks something.
    NoConsent,
}

impl FaceRefused {
    /// What the page says, in Chinese and English.
    pub(crate) const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Delayed => (
                "人脸识别失败次数较多，请稍后再试，或扫会员码",
                "Too many failed attempts: try again in a while, or scan your member code",
            ),
            Self::Off => (
                "本台人脸识别已暂停，请扫会员码或请店员处理",
                "Face recognition is shut at this lane: please scan your member code or ask an assistant",
            ),
            Self::PayOff => ("本台不支持刷脸支付", "Paying by face is not offered here"),
            Self::Tail => {
                ("请输入会员手机号的后四位", "Please give the last four digits of the telephone number we know")
            }
            Self::AmountChanged => ("金额已变化，请重新确认", "The amount has changed: please look again"),
            Self::PinNeeded => ("请输入支付密码", "Please enter your payment PIN"),
            Self::CodeNeeded => ("请先扫会员码", "Please scan the member code first"),
            Self::NoConsent => (
                "同意书不完整：未满十四岁需监护人同意书编号",
                "The consent is not complete; under fourteen the number of a guardian's form is needed",
            ),
        }
    }
}

/// What a shop allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaceRules {
    /// Members may pay from their wallet by face and a second factor.
    pub pay: bool,
    pub camera: Camera,
    /// Up to here a tap on amount and name confirms; above it the payment PIN.
    pub tap_up_to: Money,
    /// Above this the member confirms on the phone; left out: the PIN is enough for any amount.
    pub pin_up_to: Option<Money>,
}

/// What the camera sees besides colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Camera {
    #[default]
    Rgb,
    Infrared,
    Depth,
}

impl FaceRules {
    /// Why a store with these rules does not start.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if self.camera == Camera::Rgb && self.tap_up_to > Money::ZERO {
            return Some(
                "face.tap_up_to: a camera that sees colours only can be shown a picture, so paying needs the PIN; leave it at 0 or use an infrared or depth camera",
            );
        }
        if self.tap_up_to < Money::ZERO || self.pin_up_to.is_some_and(|most| most < self.tap_up_to) {
            return Some("face: the limits are 0 <= tap_up_to <= pin_up_to");
        }
        None
    }

    /// The second factor for `amount`.
    #[must_use]
    pub fn factor(&self, amount: Money) -> Factor {
        if amount <= self.tap_up_to {
            Factor::Tap
        } else if self.pin_up_to.is_none_or(|most| amount <= most) {
            Factor::Pin
        } else {
            Factor::Phone
        }
    }
}

/// What a shopper adds to a face before anything is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    Tap,
    Pin,
    Phone,
}

/// What the store has to remember of faces, none of it biometric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaceFacts {
    pub lanes: BTreeMap<LaneId, Failures>,
    /// By the one member a shopper claimed to be.
    pub claims: BTreeMap<MemberId, Failures>,
    /// Withdrawn here, and not yet erased by every camera's gallery.
    pub withdrawn: BTreeMap<MemberId, Utc>,
    /// Of headquarters' list of erasures everything up to here is done.
    pub erased_to: u64,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    pub count: u32,
    pub last: Utc,
}

impl Failures {
    pub(crate) const fn failed(&mut self, at: Utc) {
        self.count = self.count.saturating_add(1);
        self.last = at;
    }

    /// Whether another attempt may begin.
    pub(crate) fn gate(self, now: Utc) -> Result<(), Refused> {
        if self.count >= OFF_FROM {
            return Err(Refused::Face(FaceRefused::Off));
        }
        let Some(over) = self.count.checked_sub(DELAYED_FROM) else { return Ok(()) };
        let delay = DELAY_MS.saturating_mul(1_i64.checked_shl(over.min(20)).unwrap_or(i64::MAX)).min(DELAY_MAX_MS);
        if now.0.saturating_sub(self.last.0) < delay { Err(Refused::Face(FaceRefused::Delayed)) } else { Ok(()) }
    }
}

impl FaceFacts {
    pub(crate) fn ended(&mut self, at: Utc, lane: LaneId, claimed: Option<&MemberId>, ended: FailureKind) {
        match ended {
            FailureKind::Failed => {
                self.lanes.entry(lane).or_default().failed(at);
                if let Some(claimed) = claimed {
                    self.claims.entry(claimed.clone()).or_default().failed(at);
                }
            }
            FailureKind::Recognised => {
                self.lanes.remove(&lane);
                if let Some(claimed) = claimed {
                    self.claims.remove(claimed);
                }
            }
            FailureKind::Nothing => {}
        }
    }

    /// Whether the camera may open at `lane`, for somebody who claims to be that member.
    pub(crate) fn gate(&self, lane: LaneId, claimed: Option<&MemberId>, now: Utc) -> Result<(), Refused> {
        let of = |failures: Option<&Failures>| failures.copied().unwrap_or_default().gate(now);
        of(self.lanes.get(&lane))?;
        claimed.map_or(Ok(()), |claimed| of(self.claims.get(claimed)))
    }
}

/// What an attempt says about the one who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Failed,
    Recognised,
    /// Nobody looked, or the camera could not.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent() -> Consent {
        Consent {
            purpose: "identify".into(),
            text_version: "face-enrol-1".into(),
            text_sha256: "0f".repeat(32),
            at_utc_ms: 1_795_000_000_000,
            channel: Channel::Staff,
            until_utc_ms: None,
            age: Age::FourteenOrOver,
            guardian: None,
        }
    }

    #[test]
    fn b01_a_consent_names_purpose_text_version_time_and_channel() {
        assert_eq!(consent().fault(), None);
        for (broken, fault) in [
            (Consent { purpose: String::new(), ..consent() }, ConsentFault::NoPurpose),
            (Consent { text_version: String::new(), ..consent() }, ConsentFault::NoText),
            (Consent { text_sha256: "short".into(), ..consent() }, ConsentFault::NoText),
            (Consent { at_utc_ms: 0, ..consent() }, ConsentFault::NoTime),
            (Consent { until_utc_ms: Some(1), ..consent() }, ConsentFault::Ended),
        ] {
            assert_eq!(broken.fault(), Some(fault));
        }
        let no_channel =
            r#"{"purpose":"x","text_version":"1","text_sha256":"","at_utc_ms":1,"age":"fourteen_or_over"}"#;
        assert!(serde_json::from_str::<Consent>(no_channel).is_err());
    }

    #[test]
    fn b09_under_fourteen_needs_the_number_of_a_guardians_form() {
        let child = Consent { age: Age::UnderFourteen, ..consent() };
        assert_eq!(child.fault(), Some(ConsentFault::NoGuardian));
        for name in ["", "Anna Berg", "王小明"] {
            let named = Consent { guardian: Some(name.into()), ..child.clone() };
            assert_eq!(named.fault(), Some(ConsentFault::NoGuardian), "a form has a number, not {name:?}");
        }
        assert_eq!(Consent { guardian: Some("F-2026/17".into()), ..child }.fault(), None);
    }

    #[test]
    fn b17_a_camera_of_colours_only_never_pays_by_a_tap() {
        let rules = |camera, tap, pin: Option<i64>| FaceRules {
            pay: true,
            camera,
            tap_up_to: Money(tap),
            pin_up_to: pin.map(Money),
        };
        for (camera, tap, pin, starts) in [
            (Camera::Rgb, 0, None, true),
            (Camera::Rgb, 0, Some(50_000), true),
            (Camera::Rgb, 1, None, false),
            (Camera::Infrared, 5_000, Some(50_000), true),
            (Camera::Depth, 5_000, None, true),
            (Camera::Depth, 5_000, Some(4_999), false),
            (Camera::Depth, -1, None, false),
        ] {
            assert_eq!(rules(camera, tap, pin).fault().is_none(), starts, "{camera:?} {tap} {pin:?}");
        }
        let rgb = rules(Camera::Rgb, 0, Some(50_000));
        assert_eq!([1, 50_000, 50_001].map(|n| rgb.factor(Money(n))), [Factor::Pin, Factor::Pin, Factor::Phone]);
        assert_eq!(rules(Camera::Depth, 100, None).factor(Money(100)), Factor::Tap);
    }

    #[test]
    fn b19_ten_failures_cost_half_a_minute_and_a_hundred_shut_the_camera() {
        let mut failures = Failures::default();
        let at = |n: i64| Utc(1_000_000_000 + n);
        for _ in 0..DELAYED_FROM - 1 {
            failures.failed(at(0));
            assert_eq!(failures.gate(at(0)), Ok(()));
        }
        failures.failed(at(0));
        assert_eq!(failures.gate(at(29_999)), Err(Refused::Face(FaceRefused::Delayed)));
        assert_eq!(failures.gate(at(30_000)), Ok(()));
        failures.failed(at(30_000));
        assert_eq!(failures.gate(at(89_999)), Err(Refused::Face(FaceRefused::Delayed)), "the wait doubles");
        assert_eq!(failures.gate(at(90_000)), Ok(()));
        while failures.count < OFF_FROM {
            failures.failed(at(90_000));
        }
        assert_eq!(failures.gate(at(i64::MAX / 2)), Err(Refused::Face(FaceRefused::Off)), "no wait opens it again");
    }
}
