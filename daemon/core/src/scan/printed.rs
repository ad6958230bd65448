//! Codes a shop of ours prints: badges, coupons, receipts, exit passes, orders.

use super::{Code, CouponCode, CouponScheme, Refusal, WalletProvider};
use crate::words::Private;
use alloc::format;
use alloc::string::String;

/// Longest body: room for an id and an Ed25519 signature in base64url, still a symbol a phone can show.
const BODY_MAX: usize = 200;

/// One letter and a hyphen, a body of letters, digits, `.`, `_` and `-`, and two check digits:
/// everything before them, read as a big-endian number of bytes, modulo 97.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    Coupon,
    ExitPass,
    /// Stored value: whoever holds the code can spend it.
    Gift,
    Order,
    Receipt,
    Staff,
}

impl Printed {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Coupon => "K-",
            Self::ExitPass => "X-",
            Self::Gift => "G-",
            Self::Order => "O-",
            Self::Receipt => "R-",
            Self::Staff => "S-",
        }
    }

    /// The code that says `body`; `None` where a body cannot be that.
    #[must_use]
    pub fn code(self, body: &str) -> Option<String> {
        let unchecked = format!("{}{body}", self.prefix());
        body_fits(body).then(|| format!("{unchecked}{:02}", check(&unchecked)))
    }
}

fn body_fits(body: &str) -> bool {
    (1..=BODY_MAX).contains(&body.len())
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn check(text: &str) -> u32 {
    text.bytes().fold(0, |sum, byte| (sum * 256 + u32::from(byte)) % 97)
}

/// `None`: no code of ours.
pub(crate) fn read(text: &str, paying: bool) -> Option<Code> {
    let kind = [Printed::Coupon, Printed::ExitPass, Printed::Gift, Printed::Order, Printed::Receipt, Printed::Staff]
        .into_iter()
        .find(|kind| text.starts_with(kind.prefix()))?;
    let (unchecked, digits) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let body = unchecked.strip_prefix(kind.prefix()).filter(|body| body_fits(body))?;
    if digits != format!("{:02}", check(unchecked)) {
        return Some(Code::Refused(Refusal::CheckDigit));
    }
    let body = String::from(body);
    Some(match kind {
        Printed::Coupon => Code::Coupon(CouponCode { scheme: CouponScheme::Ours, code: body }),
        Printed::ExitPass => Code::ExitPass(body),
        Printed::Gift if paying => Code::Wallet { provider: WalletProvider::Gift, code: Private(text.into()) },
        Printed::Gift => Code::Refused(Refusal::WalletNotNow),
        Printed::Order => Code::Order(body),
        Printed::Receipt => Code::Receipt(body),
        Printed::Staff => Code::Staff(Private(body)),
    })
}
