//! Thresholds: from how many strangers may be taken for a member to the cosine that keeps it so.

use crate::manifest::CalibrationPoint;

/// Of a thousand strangers who ask to be recognised, one may be.
pub const FPIR_TARGET: f64 = 1e-3;

/// The gallery is larger than the calibration can vouch for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "a gallery of {members} needs a false match rate of {needed:.1e}, but the recogniser is calibrated to {known:.0e} only; split the gallery or raise the target"
)]
pub struct Uncalibrated {
    pub members: usize,
    pub needed: f64,
    pub known: f64,
}

/// The cosine at which a gallery of `members` identifies a stranger at most with probability `fpir`.
///
/// With independent comparisons FPIR = 1 - (1 - FMR)^N. Between measured points the threshold follows the logarithm of
/// the rate; beyond the rarest one there is nothing to go by, so there is no answer.
pub fn threshold(table: &[CalibrationPoint], fpir: f64, members: usize) -> Result<f32, Uncalibrated> {
    let needed = -f64::exp_m1(f64::ln_1p(-fpir) / members.max(1) as f64);
    let known = table.last().map_or(1.0, |point| point.fmr);
    // Rates are read from a table of a few digits; a thousandth of them is not worth refusing for.
    if needed < known * 0.999 {
        return Err(Uncalibrated { members, needed, known });
    }
    let above = table.iter().rev().find(|point| point.fmr >= needed);
    let below = table.iter().find(|point| point.fmr <= needed).or(table.last());
    let (Some(below), Some(above)) = (below, above.or(table.first())) else {
        return Err(Uncalibrated { members, needed, known });
    };
    let span = (above.fmr / below.fmr).ln();
    let part = if span > 0.0 { ((above.fmr / needed).ln() / span).clamp(0.0, 1.0) } else { 0.0 };
    Ok((above.threshold + (below.threshold - above.threshold) * part) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    fn at(members: usize) -> Result<f32, Uncalibrated> {
        threshold(&Manifest::built_in().recogniser.calibration, FPIR_TARGET, members)
    }

    #[test]
    fn b12_more_members_need_a_higher_cosine() {
        for (members, expected) in [(0, 0.340), (1, 0.340), (10, 0.425), (100, 0.504), (1000, 0.594)] {
            assert!((at(members).unwrap() - expected).abs() < 2e-3, "{members}: {:?}", at(members));
        }
        let rising: Vec<f32> = (1..=1000).map(|n| at(n).unwrap()).collect();
        assert!(rising.is_sorted());
    }

    #[test]
    fn b12_a_gallery_beyond_the_table_is_refused() {
        let refused = at(2000).unwrap_err();
        assert!(refused.to_string().contains("gallery of 2000"), "{refused}");
        assert!(threshold(&[], FPIR_TARGET, 1).is_err());
    }
}
