//! Why a scan added no line, and what the shopper is told.

use crate::scan::Refusal;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRefusal {
    Code(Refusal),
    UnknownItem,
    /// This box has no goods at all yet.
    NoGoods,
    UnknownMember,
    Paying,
    NoScale,
    NoWeight,
    /// The scale named another price than the one it was given.
    ScalePrice,
    Full,
    /// Behind the expiration date of its lot.
    Expired,
    PastSellBy,
    /// Behind the best-before date, and the store sells no such goods.
    PastBestBefore,
    Recalled,
    /// A coupon, badge, receipt, exit pass or order where this lane takes none.
    NotTaken,
    UnknownCoupon,
    CouponExpired,
    CouponUsed,
    /// As many of this campaign as one basket may have.
    CouponEnough,
    /// Headquarters is away, and what this store may redeem without it is gone.
    CouponOffline,
    /// Its campaign is signed, and this box has no coupon key.
    CouponUnchecked,
    UnknownBadge,
    /// Each piece of these goods has a number, and this code shows none.
    NoSerial,
    /// The piece with that number is in a basket or was sold here.
    SerialSold,
}

impl LineRefusal {
    pub(crate) const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Code(Refusal::CheckDigit) => ("没有读清楚，请再扫一次", "Not read clearly, please scan again"),
            Self::Code(Refusal::WalletNotNow) => {
                ("这是付款码，请先点“付款”", "That is a payment code: please press “Pay” first")
            }
            Self::Code(Refusal::NotGoods) => ("这不是商品的条码", "This is not the code of goods"),
            Self::Expired => {
                ("这批商品已过有效期，不能出售", "This lot is past its expiration date and cannot be sold")
            }
            Self::PastSellBy => {
                ("这批商品已过销售期限，不能出售", "This lot is past its sell-by date and cannot be sold")
            }
            Self::PastBestBefore => {
                ("这批商品已过最佳食用期，本店不出售", "This lot is past its best-before date and is not sold here")
            }
            Self::Recalled => {
                ("这批商品已召回，请交给店员", "This lot has been recalled, please hand it to an assistant")
            }
            Self::UnknownBadge => ("这张工牌在本店无效", "That badge is not known here"),
            Self::UnknownCoupon => ("没有找到这张优惠券", "This coupon is not known here"),
            Self::CouponExpired => ("这张优惠券不在有效期内", "This coupon is not valid today"),
            Self::CouponUsed => ("这张优惠券已经用过", "This coupon has been used"),
            Self::CouponEnough => ("每次购物只能用这么多张", "No more of these coupons in one basket"),
            Self::CouponOffline => {
                ("网络中断，这种券暂时不能用", "The network is away: these coupons cannot be taken just now")
            }
            Self::CouponUnchecked => (
                "本店还没有券密钥，无法核验这种券，请找店员",
                "This store has no coupon key and cannot check this coupon: please ask an assistant",
            ),
            Self::NotTaken => {
                ("这里不收这种码，请找店员", "Codes of this kind are not taken here, please ask an assistant")
            }
            Self::Code(Refusal::Gs1Syntax | Refusal::Unrecognised | Refusal::Empty) => {
                ("认不出这个条码", "This code is not known here")
            }
            Self::NoGoods => (
                "本机还没有商品资料，正在向总部下载，请稍候",
                "This box has no goods yet: they are on their way from headquarters, please wait",
            ),
            Self::UnknownItem => ("没有找到这件商品，请找店员", "This item is not on file, please ask an assistant"),
            Self::UnknownMember => ("没有找到这个会员", "This member is not on file"),
            Self::Paying => ("正在付款，暂不能扫商品", "A payment is under way: goods cannot be scanned"),
            Self::NoScale => ("秤暂不可用，请找店员", "The scale is not available, please ask an assistant"),
            Self::NoWeight => ("没有称到重量，请重新扫码", "No weight was read, please scan it again"),
            Self::ScalePrice => ("秤上的单价不对，请找店员", "The scale shows another price, please ask an assistant"),
            Self::Full => ("购物篮已满", "The basket is full"),
            Self::NoSerial => {
                ("请扫这件商品上带序列号的码", "Please scan the code with the serial number on this piece")
            }
            Self::SerialSold => ("这一件已在购物篮或已售出", "This very piece is in a basket or was sold"),
        }
    }
}
