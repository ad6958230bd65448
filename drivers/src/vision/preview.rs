//! The mirror image of whoever enrols: small, grey, and gone with the next one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

/// Longest side in pixels: the largest fits one line of the socket.
pub const PREVIEW_SIDE: usize = 208;

/// Rows of grey bytes, top row first, left and right as in a mirror. Overwritten when it is dropped; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct Preview {
    width: usize,
    height: usize,
    grey: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    width: usize,
    height: usize,
    /// Base64.
    grey: String,
}

impl Preview {
    /// `None` unless there is a byte for each pixel, and no more pixels than a preview may have.
    #[must_use]
    pub fn new(width: usize, height: usize, grey: Vec<u8>) -> Option<Self> {
        let fits = |side: usize| (1..=PREVIEW_SIDE).contains(&side);
        // Taken over first, so that what does not fit is overwritten, too.
        let preview = Self { width, height, grey };
        (fits(width) && fits(height) && preview.grey.len() == width.saturating_mul(height)).then_some(preview)
    }

    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    #[must_use]
    pub fn grey(&self) -> &[u8] {
        &self.grey
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.grey.zeroize();
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        self.grey.zeroize();
    }
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Preview({}x{})", self.width, self.height)
    }
}

impl TryFrom<Packed> for Preview {
    type Error = &'static str;

    fn try_from(packed: Packed) -> Result<Self, Self::Error> {
        let grey = STANDARD.decode(packed.grey.as_bytes()).map_err(|_| "a preview is base64")?;
        Self::new(packed.width, packed.height, grey).ok_or("a preview has a byte for each of its few pixels")
    }
}

impl From<Preview> for Packed {
    fn from(preview: Preview) -> Self {
        Self { width: preview.width, height: preview.height, grey: STANDARD.encode(preview.grey()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LINE_CAP, Reply, decode, encode};
    use super::*;

    #[test]
    fn the_largest_preview_fits_a_line_and_another_size_is_refused() {
        let side = PREVIEW_SIDE;
        let preview = Preview::new(side, side, (0..side * side).map(|at| at as u8).collect()).unwrap();
        let reply = Reply::Preview { attempt: 7, preview };
        let line = encode(&reply).unwrap();
        assert!(line.len() <= LINE_CAP);
        assert_eq!(decode::<Reply>(&line).unwrap(), reply);
        assert_eq!(format!("{reply:?}"), "Preview { attempt: 7, preview: Preview(208x208) }", "it prints no picture");
        assert!(Preview::new(side + 1, 1, vec![0; side + 1]).is_none());
        assert!(Preview::new(0, 4, Vec::new()).is_none());
        for hostile in [
            r#"{"preview":{"attempt":1,"preview":{"width":2,"height":2,"grey":"AAAA"}}}"#,
            r#"{"preview":{"attempt":1,"preview":{"width":18446744073709551615,"height":2,"grey":"AAAA"}}}"#,
            r#"{"preview":{"attempt":1,"preview":{"width":1,"height":3,"grey":"no base64"}}}"#,
        ] {
            assert!(decode::<Reply>(hostile.as_bytes()).is_err(), "{hostile}");
        }
    }
}
